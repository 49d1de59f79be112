// From a pinned organisation id to people who may be believed (protocol 4, 7.1, 8). A `Trust` exists only where every check
// held. Nothing is remembered here: the caller keeps `(pair, oid)` of what it accepted, stores it BEFORE using the result, and
// hands it in as `seen`, which is what stops a relay from showing an older or another roster.
import type { Name } from "./encoding";
import { Refused } from "./error";
import { comparePairs, TIERS } from "./objects";
import type {
  ClientCert, Device, Objects, Pair, Person, Policy, Quorum, Recipient, Role, Root, Roster, Signed, Tier,
} from "./objects";
import { select } from "./path";
import { checkRoster, RECOVERY_BASE } from "./roster";
import { byThreshold, oidOf, opened, peek, verify } from "./signed";
import type { Verified } from "./signed";
import { b64, equal } from "./text";
import type { Bytes } from "./text";

/** Seconds by which another machine's clock may be ahead of ours. */
export const SKEW = 300;

export { checkPolicy, RECOVERY_BASE } from "./roster";
export type Cert = Verified<ClientCert>;
export type Seen = { roster: Pair; oid: Uint8Array };

/** 4: `issued <= now + 300`, `now < expires`. */
export function inDate(value: { issued: number; expires: number }, now: number): void {
  if (value.issued > now + SKEW) throw new Refused("future", "issued in the future");
  if (now >= value.expires) throw new Refused("expired");
}

export function deviceInDate(device: Device, now: number): boolean {
  return device.added <= now && now < device.expires;
}

export function tierAtLeast(tier: Tier, wanted: Tier): boolean {
  return TIERS.indexOf(tier) >= TIERS.indexOf(wanted);
}

function checkQuorum(quorum: Quorum): void {
  const distinct = new Set(quorum.keys.map((key) => key.public)).size;
  if (quorum.threshold < 1 || quorum.threshold > distinct) {
    throw new Refused("root-invalid", "1 <= threshold <= distinct keys");
  }
}

/** 8: the chain from version 1 without gaps. Returns the newest root; its dates are the caller's. */
export async function verifyRoots(pin: Uint8Array, roots: readonly unknown[]): Promise<Verified<Root>> {
  let before: Verified<Root> | undefined;
  for (const [at, wrapper] of roots.entries()) {
    // 8.1 the first is the pin, before anything in it is read
    const oid = await oidOf(opened("root", wrapper).signed);
    if (at === 0 && !equal(oid, pin)) throw new Refused("pin", "the first root is not the pinned one");
    const root = peek("root", wrapper);
    // 8.2 no gap, and each names the one before
    const follows = root.version === at + 1 && root.previous === (before && b64(before.oid));
    if (!follows) throw new Refused("root-chain", "a gap, or another root before it");
    // 8.3 possible thresholds
    checkQuorum(root.root);
    checkQuorum(root.admin);
    // 8.4 signed by the thresholds of both neighbours; a passkey's origin is that of the root that lists it
    if (before) await byThreshold("root", wrapper, before.payload.root, before.payload.origins, "root-threshold");
    await byThreshold("root", wrapper, root.root, root.origins, "root-threshold");
    before = { oid, payload: root };
  }
  if (!before) throw new Refused("root-chain", "no root");
  return before;
}

/** 8: rollback, fork. A new root version undoes a fast-forward: below it the roster's number may start again. */
function checkSeen(pair: Pair, roster: Verified<Roster>, seen: Seen): void {
  const order = comparePairs(pair, seen.roster);
  if (order < 0) throw new Refused("rollback");
  if (order === 0 && !equal(roster.oid, seen.oid)) throw new Refused("fork", "two rosters of one number");
  const next = pair[0] === seen.roster[0] && pair[1] === seen.roster[1] + 1;
  if (next && roster.payload.previous !== b64(seen.oid)) {
    throw new Refused("fork", "the next roster does not follow the one seen");
  }
}

/** A verified root chain and roster. */
export class Trust {
  /** The organisation id, as bytes and as it stands in objects. */
  readonly pin: Bytes;
  readonly org: string;
  readonly root: Root;
  readonly rootOid: Bytes;
  readonly roster: Roster;
  /** Of the roster. */
  readonly oid: Bytes;
  readonly pair: Pair;
  readonly roots: readonly Signed[];
  readonly signedRoster: Signed;

  private constructor(pin: Uint8Array, root: Verified<Root>, roster: Verified<Roster>, roots: Signed[], signedRoster: Signed) {
    this.pin = Uint8Array.from(pin);
    this.org = b64(pin);
    this.root = root.payload;
    this.rootOid = root.oid;
    this.roster = roster.payload;
    this.oid = roster.oid;
    this.pair = [root.payload.version, roster.payload.version];
    this.roots = roots;
    this.signedRoster = signedRoster;
  }

  /** 8: root chain and roster, against the pin and what was accepted last. */
  static async verify(
    pin: Uint8Array, roots: readonly unknown[], signedRoster: unknown, now: number, seen?: Seen,
  ): Promise<Trust> {
    const newest = await verifyRoots(pin, roots);
    const root = newest.payload;
    // 8.5 only the newest root must be in date
    inDate(root, now);
    // 8.6 the admin threshold of the newest root
    const roster = await byThreshold("roster", signedRoster, root.admin, root.origins, "roster-threshold");
    if (roster.payload.org !== b64(pin)) throw new Refused("org", "of another organisation");
    // 8.7 names the newest root
    if (roster.payload.root !== b64(newest.oid)) throw new Refused("roster-root", "made under another root");
    checkRoster(roster.payload);
    // 8.8 in date: an expired roster is a freeze
    inDate(roster.payload, now);
    // 8.9 never below what was seen
    if (seen) checkSeen([root.version, roster.payload.version], roster, seen);
    return new Trust(pin, newest, roster, roots as Signed[], signedRoster as Signed);
  }

  /** Where passkeys sign. */
  get origins(): readonly string[] {
    return this.root.origins;
  }

  /** Unix seconds: the earlier end of root and roster. */
  get expires(): number {
    return Math.min(this.root.expires, this.roster.expires);
  }

  /** The policy with the longest match: `path` or `no-policy`. */
  selectPolicy(path: string): Policy {
    return select(this.roster.policies, path);
  }

  person(id: string): Person | undefined {
    return this.roster.people.find((person) => person.id === id);
  }

  /** A rostered device of that person, whatever its dates. */
  device(person: string, device: string): Device | undefined {
    return this.person(person)?.devices.find((entry) => entry.id === device);
  }

  hasRole(person: string, role: Role): boolean {
    return this.person(person)?.roles.includes(role) ?? false;
  }

  /** 7.1, 8: whoever wrote `pair` saw no newer roster than this one. */
  notNewer(pair: Pair): void {
    if (comparePairs(pair, this.pair) > 0) {
      throw new Refused("stale-roster", "this roster is older than the one that the signer saw");
    }
  }

  checkOrg(value: { org: string }): void {
    if (value.org !== this.org) throw new Refused("org", "of another organisation");
  }

  /** 5.1: every rostered device of the policy's people that is in date and of the tier, then the recovery keys. */
  recipients(path: string, now: number): Recipient[] {
    const policy = this.selectPolicy(path);
    const found: Recipient[] = [];
    policy.people.forEach((person, at) => {
      for (const device of this.person(person)?.devices ?? []) {
        if (deviceInDate(device, now) && tierAtLeast(device.tier, policy.tier)) found.push([at + 1, person, device.id]);
      }
    });
    policy.recovery?.keys.forEach((key, at) => found.push([RECOVERY_BASE + at + 1, "recovery", key.id]));
    return found.sort((one, other) => one[0] - other[0] || (one[2] < other[2] ? -1 : 1));
  }

  /** 7.1: a client certificate under the newest root, unrevoked, in date. */
  async verifyCert(signed: unknown, now: number): Promise<Cert> {
    const cert = await byThreshold("client-cert", signed, this.root.admin, this.origins, "cert-threshold");
    this.checkOrg(cert.payload);
    if (this.roster.revoked.includes(b64(cert.oid))) throw new Refused("revoked");
    inDate(cert.payload, now);
    return cert;
  }

  /** An object signed by a device in date: by one of its `auth` keys, or with `deny` by its deny key instead. The dates of the
   * object itself are the caller's to look at. */
  async verifyByDevice<N extends Name>(
    name: N, signed: unknown, person: string, device: string, now: number, { deny = false } = {},
  ): Promise<Verified<Objects[N]>> {
    opened(name, signed);
    const entry = this.device(person, device);
    if (!entry || !deviceInDate(entry, now)) throw new Refused("device", "not a rostered device in date");
    const denying = entry.deny ? [entry.deny] : [];
    const verified = await verify(name, signed, deny ? denying : entry.auth, this.origins);
    this.checkOrg(verified.payload as { org: string });
    return verified;
  }
}
