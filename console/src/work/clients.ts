// Hosts and agents as their certificates verify, and what an administrator does with them: hold, lift, revoke.
import type { Account } from "../device/account";
import { Refused } from "../protocol/error";
import type { ClientCert } from "../protocol/objects";
import { oidOf, peek } from "../protocol/signed";
import { b64 } from "../protocol/text";
import type { Trust } from "../protocol/trust";
import { rules } from "../texts/rules";
import { order } from "./compare";
import { freezesOf, type Freeze } from "./freezes";
import { adminKey, allClients, certsOf, publish } from "./publish";
import { holdsOn, MAX_HOLD, withHolds, withoutHolds, withRevoked, type Hold } from "./roster";
import { Stopped } from "./stopped";

/** One certificate. `state` is "valid", or the check that refused it; then what it says is nobody's word. */
export interface Client {
  oid: string;
  cert: ClientCert;
  lastSeen: number;
  state: string;
  heldUntil: number | undefined;
  freezes: Freeze[];
}

export interface Clients {
  /** The newest certificate of each key, by subject: revoked and expired ones last. */
  clients: Client[];
  /** The check that each row failed that cannot even be read. */
  unreadable: string[];
}

/** All that the relay lists. A row that cannot be read hides none of the others. */
export async function clientsOf(account: Account, trust: Trust): Promise<Clients> {
  const now = account.now();
  const found = new Map<string, Client>();
  const unreadable: string[] = [];
  const subjectOf = new Map<string, string>();
  for (const row of await allClients(account)) {
    let cert: ClientCert;
    let oid: string;
    try {
      cert = peek("client-cert", row.cert);
      oid = b64(await oidOf(row.cert));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      unreadable.push(error.code);
      continue;
    }
    subjectOf.set(oid, cert.subject);
    let state = "valid";
    try {
      await trust.verifyCert(row.cert, now);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      state = error.code;
    }
    const one: Client = {
      oid,
      cert,
      lastSeen: row.last_seen ?? 0,
      state,
      heldUntil: heldUntil(trust.roster.holds, cert.subject, now),
      freezes: [],
    };
    const key = `${cert.key.public} ${state === "valid"}`;
    const known = found.get(key);
    if (!known || known.cert.expires < cert.expires) found.set(key, one);
  }
  const frozen = await freezesOf(account, trust, subjectOf);
  for (const one of found.values()) one.freezes = frozen.filter((each) => each.subject === one.cert.subject);
  return { clients: standing([...found.values()]), unreadable };
}

function standing(found: readonly Client[]): Client[] {
  const renewed = new Set(found.filter((one) => one.state === "valid").map((one) => one.cert.key.public));
  return found
    .filter((one) => one.state === "valid" || one.state === "revoked" || !renewed.has(one.cert.key.public))
    .sort((a, b) => Number(a.state !== "valid") - Number(b.state !== "valid") || order(a.cert.subject, b.cert.subject));
}

export function heldUntil(holds: readonly Hold[], subject: string, now: number): number | undefined {
  const until = holds.filter((one) => one.subject === subject && now < one.until).map((one) => one.until);
  return until.length ? Math.max(...until) : undefined;
}

/** Holds in force, those of an exact name once. */
export function holdsInForce(holds: readonly Hold[], now: number): { target: string; until: number }[] {
  const found = new Map<string, number>();
  for (const one of holds) {
    const target = one.subject ?? one.match;
    if (target && now < one.until) found.set(target, Math.max(one.until, found.get(target) ?? 0));
  }
  return [...found].map(([target, until]) => ({ target, until })).sort((a, b) => order(a.target, b.target));
}

export async function hold(account: Account, target: string, seconds: number): Promise<Trust> {
  if (!(1 <= seconds && seconds <= MAX_HOLD)) throw new Stopped("hold", rules.holdTime(), "for");
  return publish(account, withHolds(holdsOn(target, account.now() + seconds)));
}

/** Ends the roster's hold and every approver's freeze of that name. Returns how many freezes there were. */
export async function lift(account: Account, target: string): Promise<number> {
  const trust = await account.trust(true);
  adminKey(account, trust);
  // An approver's freeze is a hold of the relay's: an administrator's word ends it too.
  const thawed = target.endsWith("**")
    ? 0
    : ((await account.api.post<{ count?: number }>("/v1/holds/lift", { subject: target })).count ?? 0);
  const standing = trust.roster.holds.some((one) => one.subject === target || one.match === target);
  if (standing || !thawed) await publish(account, withoutHolds(holdsOn(target, 0)));
  return thawed;
}

/** Revokes every certificate of a client: what the relay lists, and what this browser signed. */
export async function revoke(account: Account, subject: string): Promise<string[]> {
  const oids = await certsOf(account, subject);
  if (!oids.length) throw new Stopped("unknown-client", rules.unknownClient(subject));
  await publish(account, withRevoked(oids));
  return oids;
}
