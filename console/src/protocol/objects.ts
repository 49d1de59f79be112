// Protocol 4: the shape of every object, as a table, and its type. Rules that span objects (who may sign, what must match)
// stand with the checks that use them. A parsed object is not a verified one: see `signed` and `trust`.
import { checkPublic, isAlgorithm } from "./curves";
import type { Algorithm } from "./curves";
import { decode, limitOf, typeOf } from "./encoding";
import type { Name } from "./encoding";
import { Refused } from "./error";
import { fields, flag, fromOne, id, isObject, many, number, oneOf, path, pattern, raw, row, text, wrong } from "./shapes";
import type { Shape } from "./shapes";
import { unb64 } from "./text";

/** `[version, revision]`, `[root version, roster version]`; compared in order (`comparePairs`). */
export type Pair = [number, number];
export type Tier = "soft" | "synced" | "device-gated" | "device-bound";
export type Role = "admin" | "approver" | "sealer" | "auditor";
export type Grade = "user" | "system";
export type LeaseScope = "process" | "task" | "exe" | "unit";
export type Purpose = "use" | "reseal";
export type Verdict = "approve" | "deny" | "freeze";
/** `[index, person, device]`; recovery key n is `[128 + n, "recovery", id]`. */
export type Recipient = [number, string, string];
export type LogHead = [number, string];

export type Key = { alg: Algorithm; public: string; credential?: string; rp_id?: string; backup?: boolean };
export type Kem = { suite: "p256"; public: string };
export type Quorum = { keys: Key[]; threshold: number };
export type Root = {
  name: string; version: number; previous?: string; root: Quorum; admin: Quorum; log: { origin: string; public: string };
  rp_id: string; origins: string[]; issued: number; expires: number;
};
export type Device = {
  id: string; name: string; tier: Tier; kem: Kem; auth: Key[]; deny?: Key; attestation?: string; added: number; expires: number;
};
export type Person = { id: string; name: string; roles: Role[]; devices: Device[] };
export type RecoveryKey = { id: string; kem: Kem };
export type Recovery = { threshold: number; keys: RecoveryKey[] };
export type Policy = {
  id: string; match: string[]; threshold: number; people: string[]; tier: Tier; window: number; scope: LeaseScope; uses: number;
  ttl: number; code: boolean; deny: "veto" | "count"; recovery?: Recovery;
};
export type Hold = { subject?: string; match?: string; until: number };
export type Roster = {
  org: string; root: string; version: number; previous?: string; issued: number; expires: number; people: Person[];
  policies: Policy[]; floors: [string, number, number][]; revoked: string[]; holds: Hold[];
};
export type ClientCert = {
  org: string; subject: string; host: string; key: Key; scopes: string[]; grade: Grade; issued: number; expires: number;
};
export type Core = {
  org: string; path: string; version: number; revision: number; previous?: string; sealed: number;
  by: { person: string; device: string }; policy: Policy; salt: string; dek_commitment: string; ciphertext_hash: string;
  length: number; recipients: Recipient[]; share_commitments: [number, string][];
};
export type Secret = { core: Core; stanzas: [string, string][] };
export type Ancestor = { exe: string; exe_sha256: string };
export type Observed = {
  host: string; uid: number; user: string; exe: string; exe_sha256: string; chain: Ancestor[]; unit?: string; container?: string;
  grade: Grade;
};
export type Claimed = { argv?: string[]; reason?: string };
export type Request = {
  org: string; id: string; client: string; path: string; minimum: Pair; suite: string; ephemeral: string; issued: number;
  expires: number; window: number; uses: number; roster: Pair; log_head?: LogHead; purpose: Purpose; observed: Observed;
  claimed: Claimed;
};
export type Item = {
  request: string; secret: string; path: string; version: number; revision: number; index: number; window: number; uses: number;
};
export type Decision = {
  org: string; verdict: Verdict; person: string; device: string; issued: number; expires: number; roster: Pair;
  log_head?: LogHead; note?: string; items: Item[];
};
export type Receipt = {
  org: string; request: string; secret: string; result: "delivered" | "failed" | "discarded"; reason?: string; issued: number;
};
export type Use = {
  org: string; request: string; by: { uid: number; exe: string; exe_sha256: string; count: number }[]; first: number;
  last: number; issued: number;
};
export type Cancel = { org: string; request: string; issued: number };
export type Enrol = {
  org: string; invite: string; name: string; auth: Key; kem?: Kem; deny?: Key; client?: Key; issued: number;
};
export type Login = { org: string; origin: string; nonce: string; issued: number };

/** One signature. What it says of itself is a hint; the listed key decides. */
export type Signature = { alg: string; key: string; sig: string; auth_data?: string; client_data?: string };
export type Signed = { type: string; payload: string; signatures: Signature[] };
/** `[request oid, enc, ct]` of each item. */
export type Release = { decision: Signed; sealed: [string, string, string][] };

/** The payload of each signed object, by its name. */
export type Objects = {
  root: Root; roster: Roster; "client-cert": ClientCert; secret: Secret; request: Request; decision: Decision; receipt: Receipt;
  use: Use; cancel: Cancel; enrol: Enrol; login: Login;
};

export const TIERS: readonly Tier[] = ["soft", "synced", "device-gated", "device-bound"];
export const ROLES: readonly Role[] = ["admin", "approver", "sealer", "auditor"];
export const GRADES: readonly Grade[] = ["user", "system"];
export const LEASE_SCOPES: readonly LeaseScope[] = ["process", "task", "exe", "unit"];
const CHAIN_LIMIT = 8;

export function comparePairs(one: Readonly<Pair>, other: Readonly<Pair>): number {
  return one[0] - other[0] || one[1] - other[1];
}

// 4. Key: `credential`, `rp_id` and `backup` exactly for webauthn-es256
const PLAIN_KEY = fields({ alg: text, public: raw() });
const PASSKEY = fields({ alg: text, public: raw(), credential: raw(), rp_id: text, backup: flag });

export function checkKey(value: unknown): asserts value is Key {
  const alg: unknown = isObject(value) && Object.hasOwn(value, "alg") ? value.alg : undefined;
  if (!isAlgorithm(alg)) throw wrong("not a key of a known algorithm");
  (alg === "webauthn-es256" ? PASSKEY : PLAIN_KEY)(value);
  checkPublic(alg, unb64((value as Key).public));
}

/** 4: a client's key is not webauthn-es256. */
export function checkClientKey(value: unknown): void {
  checkKey(value);
  if (value.alg === "webauthn-es256") throw new Refused("alg", "a client's key signs without a person");
}

/** 4: the key for deny and freeze is es256. In a roster the same rule is one of `roster-invalid`. */
function denyKey(value: unknown): void {
  checkKey(value);
  if (value.alg !== "es256") throw new Refused("alg", "a deny key is es256");
}

const KEM = fields({ suite: oneOf("p256"), public: raw() }); // 3: nothing may be sealed to the reserved suite yet

function kem(value: unknown): void {
  KEM(value);
  checkPublic("es256", unb64((value as Kem).public));
}

const HOLD = fields({ "subject?": path, "match?": pattern, until: number });

function hold(value: unknown): void {
  HOLD(value);
  if ("subject" in (value as Hold) === "match" in (value as Hold)) throw wrong("a hold names a subject or a pattern");
}

export const hash = raw(32);
export const pair = row(number, number);
const key: Shape = (value) => checkKey(value);
const clientKey: Shape = (value) => checkClientKey(value);
const head = row(number, hash);
const quorum = fields({ keys: many(key), threshold: number });
const recovery = fields({ threshold: number, keys: many(fields({ id, kem })) });
export const policy = fields({
  id, match: many(pattern), threshold: number, people: many(id), tier: oneOf(...TIERS), window: number,
  scope: oneOf(...LEASE_SCOPES), uses: number, ttl: number, code: flag, deny: oneOf("veto", "count"), "recovery?": recovery,
});
const device = fields({
  id, name: text, tier: oneOf(...TIERS), kem, auth: many(key), "deny?": key, "attestation?": hash, added: number, expires: number,
});
const person = fields({ id, name: text, roles: many(oneOf(...ROLES)), devices: many(device) });
const exe = fields({ exe: text, exe_sha256: hash });
const use = fields({ uid: number, exe: text, exe_sha256: hash, count: number });
const item = fields({
  request: hash, secret: hash, path, version: number, revision: number, index: number, window: number, uses: number,
});
const observed = fields({
  host: text, uid: number, user: text, exe: text, exe_sha256: hash, chain: many(exe, CHAIN_LIMIT), "unit?": text,
  "container?": text, grade: oneOf(...GRADES),
});
export const core = fields({
  org: hash, path, version: fromOne, revision: number, "previous?": hash, sealed: number, by: fields({ person: id, device: id }),
  policy, salt: hash, dek_commitment: hash, ciphertext_hash: hash, length: number, recipients: many(row(number, id, id)),
  share_commitments: many(row(number, hash)),
});

export const SHAPES: Readonly<Record<Name, Shape>> = {
  root: fields({
    name: text, version: fromOne, "previous?": hash, root: quorum, admin: quorum, log: fields({ origin: text, public: hash }),
    rp_id: text, origins: many(text), issued: number, expires: number,
  }),
  roster: fields({
    org: hash, root: hash, version: fromOne, "previous?": hash, issued: number, expires: number, people: many(person),
    policies: many(policy), floors: many(row(path, number, number)), revoked: many(hash), holds: many(hold),
  }),
  "client-cert": fields({
    org: hash, subject: path, host: text, key: clientKey, scopes: many(pattern), grade: oneOf(...GRADES), issued: number,
    expires: number,
  }),
  secret: fields({ core, stanzas: many(row(raw(65), raw(48))) }),
  request: fields({
    org: hash, id: raw(16), client: hash, path, minimum: pair, suite: text, ephemeral: raw(), issued: number, expires: number,
    window: number, uses: number, roster: pair, "log_head?": head, purpose: oneOf("use", "reseal"), observed,
    claimed: fields({ "argv?": many(text), "reason?": text }),
  }),
  decision: fields({
    org: hash, verdict: oneOf("approve", "deny", "freeze"), person: id, device: id, issued: number, expires: number, roster: pair,
    "log_head?": head, "note?": text, items: many(item),
  }),
  receipt: fields({
    org: hash, request: hash, secret: hash, result: oneOf("delivered", "failed", "discarded"), "reason?": text, issued: number,
  }),
  use: fields({ org: hash, request: hash, by: many(use), first: number, last: number, issued: number }),
  cancel: fields({ org: hash, request: hash, issued: number }),
  enrol: fields({
    org: hash, invite: hash, name: text, auth: key, "kem?": kem, "deny?": denyKey, "client?": clientKey, issued: number,
  }),
  login: fields({ org: hash, origin: text, nonce: raw(), issued: number }),
};

// Wrappers. The rules for `auth_data` and `client_data` belong to the algorithm and stand in `keys`.
const signature = fields({ alg: text, key: raw(), sig: raw(), "auth_data?": raw(), "client_data?": raw() });
const SIGNED = fields({ type: text, payload: raw(), signatures: many(signature) });
const RELEASE = fields({ decision: (value) => SIGNED(value), sealed: many(row(hash, raw(65), raw(48))) });

export function signedWrapper(value: unknown): asserts value is Signed {
  SIGNED(value);
}

export function releaseWrapper(value: unknown): asserts value is Release {
  RELEASE(value);
}

/** Form and shape of a payload. The caller has verified the signature, or uses only "who signed". */
export function parseObject<N extends Name>(name: N, payload: Uint8Array): Objects[N] {
  typeOf(name);
  const value = decode(payload, limitOf(name));
  SHAPES[name](value);
  return value as unknown as Objects[N];
}
