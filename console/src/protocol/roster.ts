// Protocol 4, last bullets: what makes a roster unusable, whoever signed it. A slip or a hostile admin would otherwise weaken
// every policy in it.
import { Refused } from "./error";
import type { Policy, Roster } from "./objects";

export const LONGEST_WINDOW = 28800; // seconds
export const LONGEST_TTL = 3600; // seconds
/** Of a policy, and recovery keys of a group: an index has seven bits. */
export const MOST_PEOPLE = 127;
/** Recovery key n, from 1, is the recipient `[128 + n, "recovery", id]`. */
export const RECOVERY_BASE = 128;

function invalid(why: string): Refused {
  return new Refused("roster-invalid", why);
}

function once(what: string, items: readonly string[]): void {
  if (new Set(items).size !== items.length) throw invalid(`a ${what} stands twice`);
}

/** Each recovery key once. The same key under the same id may stand in several policies (one recovery group for the
 * organisation); one id with two keys, or one key with two ids, may not. */
function recoveryKeys(policies: readonly Policy[]): string[] {
  const groups = policies.flatMap((policy) => (policy.recovery ? [policy.recovery.keys] : []));
  const distinct = new Map(groups.flat().map((key) => [`${key.id} ${key.kem.public}`, key]));
  once("recovery id", Array.from(distinct.values(), (key) => key.id));
  for (const group of groups) once("recovery key", group.map((key) => key.id));
  return Array.from(distinct.values(), (key) => key.kem.public);
}

/** 4: the bounds of a policy by itself; a sealed one is held to them as well. */
export function checkPolicy(policy: Policy, code: string): void {
  const { people, threshold, recovery } = policy;
  const distinct = new Set(people).size === people.length;
  if (!distinct || threshold < 1 || threshold > people.length || people.length > MOST_PEOPLE) {
    throw new Refused(code, "1 <= threshold <= people <= 127");
  }
  if (policy.window > LONGEST_WINDOW || policy.ttl > LONGEST_TTL) throw new Refused(code, "window or ttl too long");
  if (!recovery) return;
  if (recovery.threshold < 2 || recovery.threshold > recovery.keys.length || recovery.keys.length > MOST_PEOPLE) {
    throw new Refused(code, "2 <= recovery.threshold <= keys <= 127");
  }
}

export function checkRoster(roster: Roster): void {
  const { people, policies } = roster;
  const devices = people.flatMap((person) => person.devices);
  // 1. Names are unique, each among its kind; a pattern stands once, or two policies would cover one path equally well.
  once("person", people.map((person) => person.id));
  once("device", devices.map((device) => device.id));
  once("policy", policies.map((policy) => policy.id));
  once("pattern", policies.flatMap((policy) => policy.match));
  // 2. A public key stands once: shared keys let one person count as two, or a signature be made where a key is unwrapped.
  const keys = devices.flatMap((device) => [device.kem, ...device.auth, ...(device.deny ? [device.deny] : [])]);
  once("public key", [...keys.map((key) => key.public), ...recoveryKeys(policies)]);
  if (people.some((person) => person.id === "recovery")) throw invalid("`recovery` is no person");
  // 3. What a device signs with.
  for (const device of devices) {
    if (device.auth.length !== 1 && !(device.tier === "synced" && device.auth.length > 0)) {
      throw invalid("one auth key; several for tier synced alone");
    }
    if (device.deny && device.deny.alg !== "es256") throw invalid("a deny key is es256");
  }
  // 4. Floors by path (ASCII), one each.
  const floors = roster.floors.map(([path]) => path);
  if (floors.some((path, at) => at > 0 && path <= floors[at - 1]!)) throw invalid("floors are not sorted by path");
  // 5. Policies that can be met, by people who may decide.
  const approvers = new Set(people.filter((person) => person.roles.includes("approver")).map((person) => person.id));
  for (const policy of policies) {
    checkPolicy(policy, "roster-invalid");
    if (!policy.people.every((id) => approvers.has(id))) throw invalid("a policy names somebody who is no approver");
  }
}
