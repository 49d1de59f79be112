// What changed between two rosters, a line each.
export const changed = {
  newPerson: (id: string, roles: readonly string[]) => `New person ${id}: ${roles.join(", ")}`,
  gonePerson: (id: string) => `Person ${id} is gone`,
  roles: (id: string, roles: readonly string[]) => `${id} is now ${roles.join(", ")}`,
  newDevice: (device: string, person: string, tier: string) => `New device ${device} of ${person} (${tier})`,
  goneDevice: (device: string, person: string) => `Device ${device} of ${person} is gone`,
  retiredDevice: (device: string, person: string) => `Device ${device} of ${person} was retired`,
  passkeys: (device: string, person: string, count: number) =>
    `Device ${device} of ${person} has now ${count} ${count === 1 ? "passkey" : "passkeys"}`,
  gonePolicy: (id: string) => `Policy ${id} is gone`,
  policy: (id: string, threshold: number, people: readonly string[], match: readonly string[], tier: string) =>
    `Policy ${id}: ${threshold} of ${people.join(", ")} for ${match.join(", ")}, tier ${tier}`,
} as const;
