// The operations of the vector files on what is sealed. They take private keys from files: only in the build for the vectors.
import { checkPrompt } from "./approver";
import { openReleases, verifyDenial } from "./client";
import { checkForm, domain, encode, requestCode, sha256 } from "./encoding";
import { Refused } from "./error";
import { opener, pairOfScalar } from "./hpke";
import type { Opener } from "./hpke";
import type { Json } from "./json";
import { leaseTerms } from "./lease";
import { core as coreShape, hash, pair, SHAPES } from "./objects";
import type { Core, Pair, Request, Secret } from "./objects";
import { dekCommitment, openPayload, pad, payloadKey, unpad } from "./payload";
import { openStanza, trustedSecret } from "./secret";
import { isObject, many, number, raw, row, text, wrong } from "./shapes";
import type { Shape } from "./shapes";
import { checkShare, commitment, join } from "./shares";
import { peek } from "./signed";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import { Trust } from "./trust";

export type Given = Record<string, unknown>;
export type Operation = (given: Given) => Promise<Json>;

/** How many bytes of a padded value a vector shows. */
const SHOWN = 80;

function take<T>(given: Given, name: string, shape: Shape): T {
  const value = given[name];
  if (value === undefined || value === null) throw wrong(`${name} is missing`);
  shape(value);
  return value as T;
}

const anything: Shape = () => undefined;
const bytes = (given: Given, name: string, shape: Shape = raw()): Bytes => unb64(take<string>(given, name, shape));
const int = (given: Given, name: string): number => take<number>(given, name, number);
const optional = <T>(given: Given, name: string, shape: Shape): T | undefined =>
  given[name] === undefined || given[name] === null ? undefined : take<T>(given, name, shape);

/** The trust inputs: `pin`, `roots`, `roster`, `now` and `seen?`. */
export async function trustOf(given: Given): Promise<Trust> {
  const seen = optional<Given>(given, "seen", (value) => {
    if (!isObject(value)) throw wrong("seen is not an object");
  });
  const before = seen && { roster: take<Pair>(seen, "roster", pair), oid: bytes(seen, "oid", hash) };
  const roots = take<unknown[]>(given, "roots", many(anything));
  return Trust.verify(bytes(given, "pin", hash), roots, given.roster, int(given, "now"), before);
}

async function openerOf(scalar: Bytes): Promise<Opener> {
  const { pair: keys, public: publicBytes } = await pairOfScalar(scalar);
  return opener(keys, publicBytes);
}

function index(value: unknown): number {
  number(value);
  if (value > 255) throw new Refused("index", "an index has one byte");
  return value;
}

async function open(given: Given): Promise<Json> {
  const kem = await openerOf(bytes(given, "secret_key"));
  const info = encode(take(given, "info", many(anything)));
  return { plaintext: b64(await kem.open(info, bytes(given, "enc"), bytes(given, "ct"))) };
}

async function keys(given: Given): Promise<Json> {
  const [dek, salt] = [bytes(given, "dek", hash), bytes(given, "salt", hash)];
  return {
    payload_key: b64(await payloadKey(dek, salt)),
    dek_commitment: b64(await dekCommitment(dek, salt)),
    share_commitment: b64(await commitment(salt, { index: index(given.index), value: dek })),
    prf_input: b64(await sha256(domain("prf-input", take(given, "org", hash)))),
    code: requestCode(dek),
  };
}

async function payload(given: Given): Promise<Json> {
  checkForm(given.core);
  const core = take<Core>(given, "core", coreShape);
  return { data: b64(await openPayload(core, bytes(given, "dek", hash), bytes(given, "ciphertext"))) };
}

async function stanza(given: Given): Promise<Json> {
  checkForm(given.secret);
  const secret = take<Secret>(given, "secret", SHAPES.secret);
  const kem = await openerOf(bytes(given, "secret_key"));
  return { opened: b64(await openStanza(secret, int(given, "position"), kem)) };
}

async function joinShares(given: Given): Promise<Json> {
  const shares = take<[number, string][]>(given, "shares", many(row(number, hash)));
  return { secret: b64(join(shares.map(([at, value]) => ({ index: index(at), value: unb64(value) })))) };
}

async function share(given: Given): Promise<Json> {
  const one = { index: int(given, "index"), value: bytes(given, "share", hash) };
  await checkShare(bytes(given, "salt", hash), one, bytes(given, "commitment", hash));
  return {};
}

async function padded(given: Given): Promise<Json> {
  const [length, byte] = [int(given, "length"), int(given, "byte")];
  if (byte > 255) throw wrong("no byte");
  const whole = pad(new Uint8Array(Math.min(length, 1 << 20)).fill(byte));
  return { padded: b64(whole.subarray(0, SHOWN)), total: whole.length };
}

async function secret(given: Given): Promise<Json> {
  const trust = await trustOf(given);
  const lowest = take<Pair[]>(given, "lowest", many(pair));
  const found = await trustedSecret(trust, given.secret, take(given, "path", text), lowest, int(given, "now"));
  return { oid: b64(found.oid) };
}

async function client(given: Given): Promise<Json> {
  const trust = await trustOf(given);
  const opened = await openReleases(
    trust, given.request, await openerOf(bytes(given, "ephemeral_secret")), given.secret, bytes(given, "ciphertext"),
    take<unknown[]>(given, "releases", many(anything)), optional<Pair>(given, "remembered", pair), int(given, "now"),
  );
  return { data: b64(opened.value), lease: { ...opened.terms } };
}

async function approver(given: Given): Promise<Json> {
  const trust = await trustOf(given);
  const own = take<[string, string]>(given, "own", row(text, text));
  const memory = take<Given>(given, "memory", (value) => {
    if (!isObject(value)) throw wrong("memory is not an object");
  });
  // What the device remembers is looked up by what the request says of itself.
  const request: Request = peek("request", given.request);
  const decided = take<[string, string][]>(memory, "decided", many(anything));
  const before = decided.some(([by, id]) => by === request.client && id === request.id);
  const lowest = isObject(memory.secrets) ? optional<Pair>(memory.secrets, request.path, pair) : undefined;
  const prompt = await checkPrompt(trust, own, given.client_cert, given.request, given.secret, before, lowest, int(given, "now"));
  return { code: prompt.code, index: prompt.index, position: prompt.position, host: prompt.host };
}

async function denied(given: Given): Promise<Json> {
  const sealed = optional(given, "secret", checkForm);
  const { payload: found } = await verifyDenial(await trustOf(given), given.request, sealed, given.decision, int(given, "now"));
  return { verdict: found.verdict, person: found.person, device: found.device };
}

async function lease(given: Given): Promise<Json> {
  const bounds: Shape = (value) => {
    if (!isObject(value)) throw wrong("no bounds");
    int(value, "window");
    int(value, "uses");
  };
  type Terms = Parameters<typeof leaseTerms>;
  const policy = take<Terms[0]>(given, "policy", bounds);
  const items = take<Terms[2]>(given, "items", many(bounds));
  return { ...leaseTerms(policy, take(given, "sealed_policy", bounds), items, take<Terms[3]>(given, "request", bounds)) };
}

export const sealedOperations: Readonly<Record<string, Operation>> = {
  open, keys, payload, stanza, join: joinShares, share, pad: padded, secret, client, approver, denied, lease,
  unpad: async (given) => ({ data: b64(unpad(bytes(given, "padded"))) }),
};
