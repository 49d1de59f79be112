// What changed between two rosters, a line each.
import type { Policy } from "../protocol/objects";
import { duration } from "../ui/format";

const lease = ({ window, scope, uses }: Policy): string =>
  window ? `a yes lasts ${duration(window)} for the same ${scope}${uses ? `, ${uses} uses at most` : ""}` : "asked every time";

export const changed = {
  newPerson: (id: string, roles: readonly string[]) => `New person ${id}: ${roles.join(", ")}`,
  gonePerson: (id: string) => `Person ${id} is gone`,
  roles: (id: string, roles: readonly string[]) => `${id} is now ${roles.join(", ")}`,
  newDevice: (device: string, person: string, tier: string) => `New device ${device} of ${person} (${tier})`,
  goneDevice: (device: string, person: string) => `Device ${device} of ${person} is gone`,
  retiredDevice: (device: string, person: string) => `Device ${device} of ${person} was retired`,
  passkeys: (device: string, person: string, count: number) =>
    `Device ${device} of ${person} has now ${count} ${count === 1 ? "passkey" : "passkeys"}`,
  key: (device: string, person: string) =>
    `Device ${device} of ${person} has another key: what is sealed now opens with that one`,
  tier: (device: string, person: string, tier: string) => `Device ${device} of ${person} counts as ${tier} now`,
  recovery: (id: string, found: Policy["recovery"]) =>
    found
      ? `The recovery keys of policy ${id} are now ${found.threshold} of ${found.keys.map((one) => one.id).join(", ")}`
      : `Policy ${id} has no recovery keys any more`,
  gonePolicy: (id: string) => `Policy ${id} is gone`,
  policy: (one: Policy) =>
    `Policy ${one.id}: ${one.threshold} of ${one.people.join(", ")} for ${one.match.join(", ")}, tier ${one.tier}; ${lease(one)}; ` +
    `a request waits ${duration(one.ttl)}; ${one.deny === "veto" ? "one no ends it" : "noes are counted"}${one.code ? "; with the code" : ""}`,
} as const;
