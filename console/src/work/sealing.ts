// Secrets as people look at them, and sealing: the newest seal looked at first, the roster's changes shown, the value in one
// Uint8Array that is wiped whatever happens.
//
// A relay that hides the newest version gains nothing: the highest one that this browser saw is never gone below (A11).
import { ApiError } from "../api";
import type { Account } from "../device/account";
import { Refused } from "../protocol/error";
import type { Json } from "../protocol/json";
import { comparePairs } from "../protocol/objects";
import type { Core, Pair, Policy, Recipient, Roster } from "../protocol/objects";
import { isPath } from "../protocol/path";
import { seal } from "../protocol/seal";
import { trustedSecret } from "../protocol/secret";
import { peek } from "../protocol/signed";
import { b64, utf8 } from "../protocol/text";
import type { Bytes } from "../protocol/text";
import { RECOVERY_BASE } from "../protocol/trust";
import type { Trust } from "../protocol/trust";
import { sealingText } from "../texts/sealing";
import { changes } from "./changes";
import { VALUE_LIMIT } from "./dotenv";
import { stale } from "./seals";
import { Stopped } from "./stopped";

/** One seal in a list. Only `path` may be shown of one that did not verify, as what the relay says. */
export type Entry =
  | { ok: false; path: string; code: string; detail: string }
  | { ok: true; path: string; oid: string; core: Core; stale: boolean };

type Secrets = { secrets: Json[]; next?: string };
const PAGE = 200;

export { VALUE_LIMIT };

// ---- looking ---------------------------------------------------------------------------------------------------------------

/** The newest seal of each path below a prefix, in order of path, page by page. */
export async function* listed(account: Account, trust: Trust, prefix = ""): AsyncGenerator<Entry[]> {
  for (let after = ""; ; ) {
    const query = { ...(prefix ? { prefix } : {}), ...(after ? { after } : {}), limit: PAGE };
    const page = await account.api.get<Secrets>("/v1/secrets", query);
    const entries: Entry[] = [];
    for (const one of page.secrets) {
      const path = claimedPath(one);
      const highest = path ? await account.memory.highest(path) : undefined;
      entries.push(await describe(trust, one, path, highest ? [highest] : [], account.now()));
    }
    await remember(account, entries);
    yield entries;
    if (!page.next || page.next <= after) return;
    after = page.next;
  }
}

/** The newest seal of one path; undefined where the relay knows none. */
export async function latest(account: Account, trust: Trust, path: string): Promise<Entry | undefined> {
  const signed = await fetchLatest(account, path);
  if (signed === undefined) return undefined;
  const highest = await account.memory.highest(path);
  const found = await describe(trust, signed, path, highest ? [highest] : [], account.now());
  await remember(account, [found]);
  return found;
}

/** What verified is remembered before it is shown: the relay cannot go back behind it any more (A11). */
async function remember({ memory }: Account, entries: readonly Entry[]): Promise<void> {
  await memory.sawAll(entries.flatMap((one) => (one.ok ? [[one.path, [one.core.version, one.core.revision]] as const] : [])));
}

async function fetchLatest(account: Account, path: string): Promise<Json | undefined> {
  try {
    return (await account.api.get<{ secret: Json }>("/v1/secrets/latest", { path })).secret;
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return undefined;
    throw error;
  }
}

/** Every seal of one path, the newest first. */
export async function history(account: Account, trust: Trust, path: string): Promise<Entry[]> {
  const { secrets } = await account.api.get<Secrets>("/v1/secrets/history", { path });
  const entries = await Promise.all(secrets.map((one) => describe(trust, one, path, [], account.now())));
  const pair = (one: Entry): Pair => (one.ok ? [one.core.version, one.core.revision] : [0, 0]);
  return entries.sort((one, other) => comparePairs(pair(other), pair(one)));
}

/** What a seal says of itself, for choosing it by. Unverified. */
function claimedPath(signed: Json): string {
  try {
    const { path } = peek("secret", signed).core;
    return isPath(path) ? path : "";
  } catch {
    return "";
  }
}

/** One seal, verified as for opening by a re-seal; or the code of the check that refused it. */
export async function describe(trust: Trust, signed: Json, path: string, lowest: readonly Pair[], now: number): Promise<Entry> {
  try {
    const { oid, payload } = await trustedSecret(trust, signed, path, lowest, now, { reseal: true });
    return { ok: true, path, oid: b64(oid), core: payload.core, stale: stale(trust, path, payload, now) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { ok: false, path, code: error.code, detail: error.detail };
  }
}

/** Paths that this browser has seen sealed and that `entries`, the whole list, leaves out (A11). */
export async function hidden(account: Account, entries: readonly Entry[]): Promise<string[]> {
  const seen = (await account.memory.read<Map<string, Pair>>("highest")) ?? new Map<string, Pair>();
  const there = new Set(entries.map((one) => one.path));
  return [...seen.keys()].filter((path) => !there.has(path)).sort();
}

export interface Openers {
  people: string[]; // ids, in the policy's order
  threshold: number;
  recovery: number; // how many recovery keys hold a share
  recoveryNeeded: number;
}

/** Who can open a seal: people, not devices, and how many of them it takes. */
export function openers(policy: Policy, recipients: readonly Recipient[]): Openers {
  const people = [...new Set(recipients.filter(([index]) => index <= RECOVERY_BASE).map(([, person]) => person))];
  const recovery = recipients.filter(([index]) => index > RECOVERY_BASE).length;
  return { people, threshold: policy.threshold, recovery, recoveryNeeded: policy.recovery?.threshold ?? 0 };
}

// ---- sealing ---------------------------------------------------------------------------------------------------------------

/** What sealing at a path would do: shown before anything is signed. */
export interface Plan {
  path: string;
  version: Pair;
  /** How often it is sealed, a version each: more than once where versions that this browser has seen were lost. */
  times: number;
  previous: string | undefined;
  policy: Policy;
  openers: Openers;
  missing: string[];
  changes: string[];
  /** The roster that all this was looked up in, and for which keys under which terms it would be sealed. */
  roster: Roster;
  terms: string;
}

/** Whether an owner has accepted a restore of the relay at some time: the root then names a further log (protocol 12). */
export function wasRestored(trust: Trust): boolean {
  return !trust.root.log.origin.endsWith("/log");
}

/** Looks at the newest seal and the policy. Raises what would stop a sealing. `lost`: a person says that what this browser saw
 * went with a restore that an owner accepted; the value is then sealed until its version passes that. */
export async function plan(account: Account, path: string, fresh = true, lost = false): Promise<Plan> {
  if (!isPath(path)) throw new Stopped("path", sealingText.badPath(path), "path");
  const trust = await account.trust(fresh);
  if (!trust.hasRole(account.person, "sealer")) throw new Stopped("not-sealer", sealingText.notSealer(account.person));
  const policy = policyOf(trust, path);
  const highest = await account.memory.highest(path);
  const before = await newest(account, trust, path, lost && wasRestored(trust) ? undefined : highest);
  const version = before ? before.core.version + 1 : 1;
  const recipients = trust.recipients(path, account.now());
  const missing = policy.people.filter((person) => !recipients.some(([, who]) => who === person));
  if (policy.people.length - missing.length < policy.threshold) {
    throw new Stopped("recipients", sealingText.tooFew(missing, policy.threshold), "path");
  }
  const last = await account.memory.lastSeal();
  return {
    path, policy, missing,
    version: [version, 0],
    times: Math.max(1, (highest?.[0] ?? 0) + 2 - version),
    previous: before?.oid,
    openers: openers(policy, recipients),
    changes: last ? changes(last, trust.roster) : [],
    roster: trust.roster,
    terms: termsOf(trust, path, account.now()),
  };
}

/** The policy, and each recipient with its key. */
function termsOf(trust: Trust, path: string, now: number): string {
  const recipients = trust.recipients(path, now);
  const keys = recipients.map(([index, person, id]) => [index, person, id, trust.device(person, id)?.kem.public ?? ""]);
  return JSON.stringify([policyOf(trust, path), keys]);
}

function policyOf(trust: Trust, path: string): Policy {
  try {
    return trust.selectPolicy(path);
  } catch (error) {
    if (error instanceof Refused && error.code === "no-policy") throw new Stopped("no-policy", sealingText.noPolicy(path), "path");
    throw error;
  }
}

/** The newest seal of a path, verified and not below `highest`; undefined where there is none and none was seen. */
async function newest(
  account: Account, trust: Trust, path: string, highest: Pair | undefined,
): Promise<{ oid: string; core: Core } | undefined> {
  const signed = await fetchLatest(account, path);
  if (signed === undefined) {
    if (highest) throw new Stopped("version", sealingText.hidden(path, highest[0]));
    return undefined;
  }
  const { oid, payload } = await trustedSecret(trust, signed, path, [], account.now(), { reseal: true });
  const { version, revision } = payload.core;
  if (highest && comparePairs([version, revision], highest) < 0)
    throw new Stopped("version", sealingText.older(path, version, highest[0]));
  return { oid: b64(oid), core: payload.core };
}

/** Seals and uploads with one passkey ceremony for each version, mostly one; returns what was sealed last. `value` is wiped, whatever happens. */
export async function sealValue(account: Account, planned: Plan, value: Bytes): Promise<Plan> {
  try {
    if (value.length > VALUE_LIMIT) throw new Stopped("size", sealingText.tooLarge(value.length), "value");
    // What was shown is what is sealed for: a roster that came meanwhile may not change who opens it, or when.
    const trust = await account.trust(true);
    if (termsOf(trust, planned.path, account.now()) !== planned.terms) {
      throw new Stopped("roster", sealingText.moved(planned.path, changes(planned.roster, trust.roster)));
    }
    const random = (length: number): Bytes => crypto.getRandomValues(new Uint8Array(length));
    const { path } = planned;
    let { version, previous } = planned;
    for (let left = planned.times; ; left -= 1) {
      const made = await seal(trust, account.signer(), account.own, path, value, version, previous, account.now(), random);
      if (left === 1) value.fill(0);
      const stored = await upload(account, made.secret, made.ciphertext, path);
      await account.memory.sawHighest(path, version);
      await account.memory.setLastSeal(planned.roster); // the one whose changes were shown
      previous = b64(made.oid);
      if (stored !== previous) throw new Stopped("bad-answer", sealingText.otherStored(path));
      if (left === 1) return { ...planned, version };
      version = [version[0] + 1, 0];
    }
  } finally {
    value.fill(0);
  }
}

async function upload(account: Account, secret: object, ciphertext: Bytes, path: string): Promise<string> {
  try {
    return (await account.api.post<{ oid: string }>("/v1/secrets", { secret, ciphertext: b64(ciphertext) })).oid;
  } catch (error) {
    if (error instanceof ApiError && error.status === 409) throw new Stopped("conflict", sealingText.overtaken(path));
    throw error;
  }
}

/** The bytes of a text, counted as they will be sealed. */
export function bytesOf(text: string): Bytes {
  return utf8(text);
}
