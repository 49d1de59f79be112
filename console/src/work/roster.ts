// Editing a roster: pure functions from a verified roster to the next one's content. Each refuses what every reader of the
// roster would refuse later (protocol section 4). Nothing is signed here; `successor` numbers and dates the result.
import { rules } from "../texts/rules";
import { isId, isPath, select } from "../protocol/path";
import type { Device, Key, Pair, Person, Policy, Roster } from "../protocol/objects";
import { order, same } from "./compare";
import { Stopped, type Words } from "./stopped";

export const DAY = 86400; // seconds
export const ROSTER_LIFE = 90 * DAY;
export const DEVICE_LIFE = 365 * DAY;
export const CERT_LIFE = 365 * DAY;
export const ROOT_LIFE = 5 * 365 * DAY;
export const MAX_WINDOW = 28800; // seconds
export const MAX_TTL = 3600; // seconds
export const MAX_PEOPLE = 127;
export const MAX_HOLD = 365 * DAY;

export const ROLES = ["admin", "approver", "sealer", "auditor"] as const;
export const TIERS = ["soft", "synced", "device-gated", "device-bound"] as const;
export const SCOPES = ["process", "task", "exe", "unit"] as const;
export type Role = (typeof ROLES)[number];

export type Edit = (roster: Roster) => Roster;
export type Hold = Roster["holds"][number];
export type Recovery = NonNullable<Policy["recovery"]>;
export type Floor = [path: string, version: number, revision: number];

/** The edited roster as the next version. `previous` is the oid of the one before, `root` that of the newest root. */
export function successor(edited: Roster, previous: string, root: string, now: number): Roster {
  return {
    ...edited,
    version: edited.version + 1,
    previous,
    root,
    issued: now,
    expires: now + ROSTER_LIFE,
    holds: edited.holds.filter((one) => now < one.until),
    floors: [...edited.floors].sort((a, b) => order(a[0], b[0])),
    revoked: [...new Set(edited.revoked)].sort(order),
  };
}

export function comparePair(a: Pair, b: Pair): number {
  return a[0] - b[0] || a[1] - b[1];
}

export function personOf(roster: Roster, id: string): Person {
  const found = roster.people.find((one) => one.id === id);
  if (!found)
    throw new Stopped(
      "unknown-person",
      rules.unknownPerson(
        id,
        roster.people.map((one) => one.id),
      ),
      "person",
    );
  return found;
}

export function deviceOf(roster: Roster, person: string, device: string): Device {
  const devices = personOf(roster, person).devices;
  const found = devices.find((one) => one.id === device);
  if (!found)
    throw new Stopped(
      "unknown-device",
      rules.unknownDevice(
        person,
        device,
        devices.map((one) => one.id),
      ),
      "device",
    );
  return found;
}

export function isAlive(device: Device, now: number): boolean {
  return device.added <= now && now < device.expires;
}

/** One edit after another. */
export function both(...edits: Edit[]): Edit {
  return (roster) => edits.reduce((so_far, edit) => edit(so_far), roster);
}

export const unchanged: Edit = (roster) => roster;

function inOrder(roles: readonly string[]): Person["roles"] {
  return ROLES.filter((role) => roles.includes(role)) as Person["roles"];
}

function mapPerson(roster: Roster, id: string, change: (person: Person) => Person): Roster {
  return { ...roster, people: roster.people.map((one) => (one.id === id ? change(one) : one)) };
}

// ---- people and devices ------------------------------------------------------------------------------------------------

/** Adds a device, and the person where they are new; roles are joined. */
export function withDevice(person: string, roles: readonly string[], device: Device): Edit {
  return (roster) =>
    roster.people.some((one) => one.id === person)
      ? mapPerson(roster, person, (one) => ({
          ...one,
          roles: inOrder([...one.roles, ...roles]),
          devices: [...one.devices, device],
        }))
      : { ...roster, people: [...roster.people, { id: person, name: person, roles: inOrder(roles), devices: [device] }] };
}

/** A device id that is not taken: a new KEM key always means a new id. */
export function deviceId(roster: Roster, person: string, label: string): string {
  const taken = new Set(roster.people.flatMap((one) => one.devices.map((each) => each.id)));
  const slug =
    label
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 24) || "device";
  const base = `${person}-${slug}`.slice(0, 58).replace(/-+$/, "");
  let name = base;
  for (let number = 2; taken.has(name); number += 1) name = `${base}-${number}`;
  return name;
}

/** One more passkey for a synced KEM key: any of a device's keys signs for it (section 4). */
export function withPasskey(person: string, device: string, key: Key): Edit {
  return (roster) => {
    deviceOf(roster, person, device);
    return mapPerson(roster, person, (one) => ({
      ...one,
      devices: one.devices.map((each) => (each.id === device ? { ...each, auth: [...each.auth, key] } : each)),
    }));
  };
}

/** Takes one passkey from a device that has others. Its seals go with it (section 4): they are sealed again before. */
export function withoutPasskey(person: string, device: string, publicKey: string): Edit {
  return (roster) => {
    const found = deviceOf(roster, person, device);
    if (!found.auth.some((key) => key.public === publicKey)) throw new Stopped("unknown-passkey", rules.unknownPasskey(device));
    if (found.auth.length === 1) throw new Stopped("last-passkey", rules.lastPasskey(device));
    return mapPerson(roster, person, (one) => ({
      ...one,
      devices: one.devices.map((each) =>
        each.id === device ? { ...each, auth: each.auth.filter((key) => key.public !== publicKey) } : each,
      ),
    }));
  };
}

/** Sets the roles exactly. Refuses to take the role of approver from someone whom a policy names. `seen`: the roles that stood
 * where the edit began; another administrator's change of them is not undone unseen. */
export function withRoles(person: string, roles: readonly string[], seen?: readonly string[]): Edit {
  return (roster) => {
    const before = personOf(roster, person);
    if (seen && !same(inOrder(seen), inOrder(before.roles))) throw new Stopped("roles", rules.rolesMoved(person, before.roles), "roles");
    const named = roster.policies.filter((policy) => policy.people.includes(person)).map((policy) => policy.id);
    if (!roles.length) throw new Stopped("roles", rules.noRoles(person), "roles");
    if (!roles.includes("approver") && named.length) throw new Stopped("in-policy", rules.inPolicy(person, named), "roles");
    const others = roster.people.some((one) => one.id !== person && (one.roles as string[]).includes("admin"));
    if ((before.roles as string[]).includes("admin") && !roles.includes("admin") && !others)
      throw new Stopped("last-admin", rules.lastAdmin(person), "roles");
    return mapPerson(roster, person, (one) => ({ ...one, roles: inOrder(roles) }));
  };
}

/** Removal (b): the devices end now and stay listed; the whole person leaves every policy. `device` "" is all of them. */
export function retired(person: string, device: string, now: number): Edit {
  return (roster) => {
    personOf(roster, person);
    const ended = mapPerson(roster, person, (one) => ({
      ...one,
      devices: one.devices.map((each) =>
        (!device || each.id === device) && now < each.expires ? { ...each, expires: now } : each,
      ),
    }));
    if (device) return ended;
    return {
      ...ended,
      policies: ended.policies.map((one) => ({ ...one, people: one.people.filter((each) => each !== person) })),
    };
  };
}

/** Raises the floors to these seals, never lowers one. */
export function withFloors(floors: readonly Floor[]): Edit {
  return (roster) => {
    const raised = new Map<string, Pair>(roster.floors.map(([path, version, revision]) => [path, [version, revision]]));
    for (const [path, version, revision] of floors) {
      const standing = raised.get(path);
      if (!standing || comparePair(standing, [version, revision]) < 0) raised.set(path, [version, revision]);
    }
    const list = [...raised].sort((a, b) => order(a[0], b[0])).map(([path, pair]): Floor => [path, ...pair]);
    return { ...roster, floors: list };
  };
}

/** Removal (d): floors rise to the new seals, and the person (or the one device) is gone. */
export function dropped(person: string, device: string, floors: readonly Floor[]): Edit {
  return both(withFloors(floors), (roster) => {
    if (!device) return { ...roster, people: roster.people.filter((one) => one.id !== person) };
    return mapPerson(roster, person, (one) => ({ ...one, devices: one.devices.filter((each) => each.id !== device) }));
  });
}

/** Renewal: devices that live but have used up half their year get another. */
export function withFreshDevices(now: number): Edit {
  return (roster) => ({
    ...roster,
    people: roster.people.map((one) => ({
      ...one,
      devices: one.devices.map((each) =>
        now < each.expires && each.expires < now + DEVICE_LIFE / 2 ? { ...each, expires: now + DEVICE_LIFE } : each,
      ),
    })),
  });
}

// ---- policies ----------------------------------------------------------------------------------------------------------

export type Rule = Omit<Policy, "recovery">;

/** What the form begins with: the console's default tier is `synced`, the command line's is `soft`. */
export function freshRule(): Rule {
  return {
    id: "",
    match: [],
    people: [],
    threshold: 1,
    tier: "synced",
    window: 900,
    scope: "process",
    uses: 0,
    ttl: 300,
    code: false,
    deny: "veto",
  };
}

/** Adds or replaces a policy. `recovery` stands in every policy of an organisation that has recovery keys. `seen`: what stood
 * under this id where the edit began; another administrator's change of it is not undone unseen. */
export function withPolicy(rule: Rule, recovery: Recovery | undefined, seen?: { standing: Policy | undefined }): Edit {
  return (roster) => {
    const before = roster.policies.find((one) => one.id === rule.id);
    if (seen && !same(seen.standing, before)) throw new Stopped("policy", rules.policyMoved(rule.id, !seen.standing), "id");
    const keys = recovery ?? before?.recovery;
    const policy: Policy = { ...rule, ...(keys ? { recovery: keys } : {}) };
    checkPolicy(roster, policy);
    return { ...roster, policies: [...roster.policies.filter((one) => one.id !== rule.id), policy] };
  };
}

/** Takes a policy out. `governed`: paths of secrets that it governs; while there are any it stays. `standing`: the policy as it
 * was shown; another administrator's change of it is not undone unseen. */
export function withoutPolicy(standing: Policy, governed: readonly string[]): Edit {
  return (roster) => {
    const found = roster.policies.find((one) => one.id === standing.id);
    if (!found) throw new Stopped("policy", rules.policyGone(standing.id), "id");
    if (!same(standing, found)) throw new Stopped("policy", rules.policyMoved(standing.id, false), "id");
    if (governed.length) throw new Stopped("policy-used", rules.policyUsed(standing.id, governed), "id");
    return { ...roster, policies: roster.policies.filter((one) => one !== found) };
  };
}

export function checkPolicy(roster: Roster, policy: Policy): void {
  const stop = (words: Words, field: string): never => {
    throw new Stopped("policy", words, field);
  };
  if (!isId(policy.id)) stop(rules.policyId(), "id");
  if (!policy.match.length) stop(rules.noMatch(), "match");
  for (const pattern of policy.match) if (!isPattern(pattern)) stop(rules.matchForm(pattern), "match");
  if (!policy.people.length) stop(rules.nobody(), "people");
  const double = firstTwice(policy.people) ?? firstTwice(policy.match);
  if (double !== undefined) stop(rules.twice(double), policy.people.includes(double) ? "people" : "match");
  for (const name of policy.people)
    if (!(personOf(roster, name).roles as string[]).includes("approver")) stop(rules.noApprover(name), "people");
  if (!whole(policy.threshold, 1, policy.people.length) || policy.people.length > MAX_PEOPLE)
    stop(rules.threshold(policy.threshold, policy.people.length), "threshold");
  for (const other of roster.policies) {
    const taken = other.id === policy.id ? undefined : [...policy.match].sort(order).find((one) => other.match.includes(one));
    if (taken !== undefined) stop(rules.matchTaken(other.id, taken), "match");
  }
  if (!whole(policy.window, 0, MAX_WINDOW)) stop(rules.window(), "window");
  if (!whole(policy.ttl, 1, MAX_TTL)) stop(rules.ttl(), "ttl");
  if (!whole(policy.uses, 0, 1_000_000)) stop(rules.uses(), "uses");
  const known = (TIERS as readonly string[]).includes(policy.tier) && (SCOPES as readonly string[]).includes(policy.scope);
  if (!known || !["veto", "count"].includes(policy.deny)) stop(rules.terms(), "tier");
}

function whole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && least <= value && value <= most;
}

function firstTwice(items: readonly string[]): string | undefined {
  return items.find((one, at) => items.indexOf(one) !== at);
}

/** The recovery keys for a new policy: those that this browser keeps, else those that the policies name already. */
export function recoveryOf(roster: Roster, kept: Recovery | undefined): Recovery | undefined {
  return kept ?? roster.policies.find((one) => one.recovery)?.recovery;
}

/** The policy of the longest match (section 2): the exact path, then the longest prefix, then `**`. */
export function governing(policies: readonly Policy[], path: string): Policy | undefined {
  try {
    return select(policies, path);
  } catch {
    return undefined;
  }
}

export function isPattern(text: string): boolean {
  return text === "**" || isPath(text.endsWith("/**") ? text.slice(0, -3) : text);
}

// ---- clients -----------------------------------------------------------------------------------------------------------

/** Adds holds, in the place of older ones on the same targets. */
export function withHolds(holds: readonly Hold[]): Edit {
  return (roster) => ({ ...roster, holds: [...otherHolds(roster, holds), ...holds] });
}

/** Lifts the holds on those targets. */
export function withoutHolds(holds: readonly Hold[]): Edit {
  return (roster) => {
    const left = otherHolds(roster, holds);
    if (left.length === roster.holds.length)
      throw new Stopped("no-hold", rules.noHold(holds[0]?.subject ?? holds[0]?.match ?? ""));
    return { ...roster, holds: left };
  };
}

function otherHolds(roster: Roster, holds: readonly Hold[]): Hold[] {
  return roster.holds.filter((one) => !holds.some((hold) => hold.subject === one.subject && hold.match === one.match));
}

/** What a hold on this target is: a pattern alone, or, for an exact name, client and path alike. */
export function holdsOn(target: string, until: number): Hold[] {
  const holds: Hold[] = [{ match: target, until }];
  // An exact name may be a client or a path. Both are held: which of them exists is the relay's word alone.
  if (!target.endsWith("**")) holds.push({ subject: target, until });
  return holds;
}

/** Revokes client certificates. */
export function withRevoked(oids: Iterable<string>): Edit {
  const added = [...oids];
  return (roster) => ({ ...roster, revoked: [...roster.revoked, ...added] });
}
