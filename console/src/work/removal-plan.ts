// What a removal would do, before anything is signed (protocol 11 (a)): pure, over verified seals.
import { removalText } from "../texts/removal";
import type { Roster, Secret } from "../protocol/objects";
import { order } from "./compare";
import { type Edit, isAlive, personOf, deviceOf } from "./roster";
import { rules } from "../texts/rules";
import { Stopped, type Words } from "./stopped";

export const BLOCKED = "removal-blocked";

/** What goes: a whole person (`device` ""), one device, or one passkey of a device (`passkey`: its public key). */
export interface Going {
  person: string;
  device: string;
  passkey: string;
}

/** A seal as it verified: which key of `by.device` signed it is needed where a passkey goes. */
export interface Sealed {
  path: string;
  payload: Secret;
  signer: string;
}

export interface Plan {
  going: Going;
  /** Paths that the removed could open: to be rotated at their source (e). */
  known: string[];
  /** Paths to be sealed again (c). */
  paths: string[];
  /** Reasons why it cannot be done; none: it can. */
  blocked: Words[];
  warnings: string[];
  policies: string[];
}

export interface Standing {
  roster: Roster;
  admins: readonly string[]; // public keys that the root names
  own: readonly [person: string, device: string];
  ownPasskey: string; // public key
  now: number;
}

/** Raises `Stopped` where the question itself is wrong; what stands in the way of a right one is listed in `blocked`. */
export function plan(going: Going, seals: readonly Sealed[], standing: Standing): Plan {
  const { roster } = standing;
  const now = Math.max(standing.now, roster.issued); // what another administrator ended a second ago has ended, by whichever clock
  const blocked: Words[] = [];
  const warnings: string[] = [];
  const ids = leavingDevices(roster, going);
  checkOwn(going, standing);
  if (standing.admins.some((key) => leavingKeys(roster, going).includes(key)))
    blocked.push(going.passkey ? removalText.rootPasskey() : removalText.rootKey(going.person));
  if (!going.device) checkPolicies(roster, going.person, blocked, warnings);
  if (!going.device) checkLastAdmin(roster, going.person, blocked);
  const affected = seals.filter((one) => concerns(one, going, ids));
  if (!going.passkey) for (const one of affected) checkSecret(roster, one.payload, ids, now, blocked, warnings);
  return {
    going,
    // Who held a passkey held the device's key: what that key opens is known to them.
    known: seals
      .filter((one) => opens(one.payload, going.passkey ? new Set([going.device]) : ids))
      .map((one) => one.path)
      .sort(order),
    paths: affected.map((one) => one.path).sort(order),
    blocked,
    warnings,
    policies: going.device ? [] : roster.policies.filter((one) => one.people.includes(going.person)).map((one) => one.id),
  };
}

/** Asks once more of the very roster that is edited: since the plan was shown, and while it was signed, somebody may have removed
 * others whom a secret needs (D8). */
export function unblocked(going: Going, seals: readonly Sealed[], standing: Standing): Edit {
  return (roster) => {
    const [why] = plan(going, seals, { ...standing, roster }).blocked;
    if (why) throw new Stopped(BLOCKED, why);
    return roster;
  };
}

/** The devices that go. A passkey's device stays. */
export function leavingDevices(roster: Roster, going: Going): Set<string> {
  const person = personOf(roster, going.person);
  if (going.device) deviceOf(roster, going.person, going.device);
  if (going.passkey) return new Set();
  return new Set(person.devices.filter((one) => !going.device || one.id === going.device).map((one) => one.id));
}

/** The authentication keys that go. */
export function leavingKeys(roster: Roster, going: Going): string[] {
  if (going.passkey) return [going.passkey];
  const devices = personOf(roster, going.person).devices;
  return devices.filter((one) => !going.device || one.id === going.device).flatMap((one) => one.auth.map((key) => key.public));
}

function checkOwn(going: Going, { roster, own, ownPasskey }: Standing): void {
  if (going.passkey) {
    const device = deviceOf(roster, going.person, going.device);
    if (!device.auth.some((key) => key.public === going.passkey))
      throw new Stopped("unknown-passkey", rules.unknownPasskey(device.id));
    if (device.auth.length === 1) throw new Stopped("last-passkey", rules.lastPasskey(device.id));
    if (going.passkey === ownPasskey) throw new Stopped("own-device", removalText.ownPasskey());
  } else if (going.person === own[0] && (!going.device || going.device === own[1])) {
    throw new Stopped("own-device", removalText.ownDevice());
  }
}

function checkPolicies(roster: Roster, person: string, blocked: Words[], warnings: string[]): void {
  for (const policy of roster.policies) {
    if (!policy.people.includes(person)) continue;
    const left = policy.people.length - 1;
    if (left < policy.threshold) blocked.push(removalText.policyBlocked(policy.id, policy.threshold, left));
    else if (left === policy.threshold) warnings.push(removalText.policyTight(policy.id, left));
  }
}

function checkLastAdmin(roster: Roster, person: string, blocked: Words[]): void {
  const admins = roster.people.filter((one) => (one.roles as string[]).includes("admin")).map((one) => one.id);
  if (admins.length === 1 && admins[0] === person) blocked.push(rules.lastAdmin(person));
}

/** The people who can still open a seal must reach its threshold, or it could never be sealed again. */
function checkSecret(roster: Roster, secret: Secret, ids: Set<string>, now: number, blocked: Words[], warnings: string[]): void {
  if (!opens(secret, ids)) return;
  const left = openers(roster, secret, now, ids);
  const { path, policy } = secret.core;
  if (left.length < policy.threshold) blocked.push(removalText.secretBlocked(path, policy.threshold, left.length, policy.id));
  else if (left.length === policy.threshold) warnings.push(removalText.secretTight(path));
}

/** People who can open this seal with a device in date, without the devices of `going`. */
export function openers(roster: Roster, secret: Secret, now: number, going: ReadonlySet<string> = new Set()): string[] {
  const approvers = roster.people.filter((one) => (one.roles as string[]).includes("approver"));
  const alive = new Set(
    approvers.flatMap((one) => one.devices.filter((each) => isAlive(each, now) && !going.has(each.id)).map((each) => each.id)),
  );
  const people = secret.core.recipients
    .filter(([index, , device]) => index <= 127 && alive.has(device))
    .map(([, person]) => person);
  return [...new Set(people)];
}

export function opens(secret: Secret, ids: ReadonlySet<string>): boolean {
  return secret.core.recipients.some(([, , device]) => ids.has(device));
}

/** Whether a seal must be made anew: the leaving can open it, or its signature leaves with them. */
export function concerns(seal: Sealed, going: Going, ids: ReadonlySet<string>): boolean {
  if (going.passkey) return seal.signer === going.passkey;
  return opens(seal.payload, ids) || ids.has(seal.payload.core.by.device);
}

/** Whether the roster has step (b) behind it, or all of the removal. */
export function isRetired(roster: Roster, going: Going, now: number): boolean {
  if (going.passkey) return true; // a passkey stays good until its seals are made anew: there is no (b)
  const person = roster.people.find((one) => one.id === going.person);
  const standing = person?.devices.some((one) => (!going.device || one.id === going.device) && now < one.expires);
  return !standing && (Boolean(going.device) || !roster.policies.some((one) => one.people.includes(going.person)));
}
