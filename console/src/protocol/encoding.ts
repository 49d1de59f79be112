// Protocol 2: canonical JSON, object ids, domains. `decode` is the only way in for bytes from outside.
import { Refused } from "./error";
import { DEPTH_LIMIT, parse } from "./json";
import type { Json } from "./json";
import { checkFieldName, checkVisible, concat, equal, utf8 } from "./text";
import type { Bytes } from "./text";

export { b64, equal, unb64, utf8, visible } from "./text";
export type { Bytes } from "./text";
export type { Json } from "./json";

const KIB = 1024;
export const PAYLOAD_LIMIT = 64 * KIB; // bytes
export const ROSTER_LIMIT = 1024 * KIB; // bytes
export const WRAPPER_LIMIT = 1536 * KIB; // bytes
export const NAMES = [
  "root", "roster", "client-cert", "secret", "request", "decision", "receipt", "use", "cancel", "enrol", "login",
] as const;
export type Name = (typeof NAMES)[number];
export type Fields = { [name: string]: Json };

function checkDepth(depth: number): void {
  if (depth > DEPTH_LIMIT) throw new Refused("depth", `more than ${DEPTH_LIMIT} levels`);
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

function write(value: unknown, depth: number): string {
  if (value === true || value === false) return String(value);
  if (value === null || value === undefined) throw new Refused("null", "an absent field is left out");
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value) || value < 0) throw new Refused("number", "integers are 0 to 2^53-1");
    return String(value);
  }
  if (typeof value === "string") {
    checkVisible(value);
    return JSON.stringify(value); // what is left to escape is `"` and `\`
  }
  if (typeof value !== "object") throw new Refused("json", "not a JSON value");
  if (Array.isArray(value)) {
    checkDepth(depth);
    return `[${Array.from(value, (item) => write(item, depth + 1)).join(",")}]`;
  }
  if (!isPlain(value)) throw new Refused("json", "not a JSON value");
  checkDepth(depth);
  const names = Object.keys(value).sort(); // ASCII, so the order of UTF-16 is that of bytes
  const fields = names.map((name) => {
    checkVisible(name);
    checkFieldName(name);
    return `"${name}":${write((value as Record<string, unknown>)[name], depth + 1)}`;
  });
  return `{${fields.join(",")}}`;
}

/** Whether a value may stand in a payload at all: everything that `encode` refuses. */
export function checkForm(value: unknown): void {
  write(value, 1);
}

/** The one canonical form of a value (RFC 8785 under the restrictions of section 2). */
export function encode(value: unknown): Bytes {
  return utf8(write(value, 1));
}

/** A canonical value of any kind, in at most `limit` bytes. */
function decodeAny(bytes: Uint8Array, limit: number = PAYLOAD_LIMIT): Json {
  if (bytes.length > limit) throw new Refused("size", `more than ${limit} bytes`);
  const value = parse(bytes);
  // One comparison ends names that stand twice, white space, other escapes, other ways to write a number, other orders.
  if (!equal(encode(value), bytes)) throw new Refused("canonical", "the bytes are not those of the canonical form");
  return value;
}

/** A canonical object of at most `limit` bytes, or a refusal. */
export function decode(bytes: Uint8Array, limit: number = PAYLOAD_LIMIT): Fields {
  const value = decodeAny(bytes, limit);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refused("field", "the outermost value is not an object");
  }
  return value;
}

function isName(name: unknown): name is Name {
  return (NAMES as readonly unknown[]).includes(name);
}

/** The media type of the object `name`. */
export function typeOf(name: string): string {
  if (!isName(name)) throw new Refused("type", "no such object");
  return `application/vnd.stillvault.${name}.v1+json`;
}

export function nameOf(type: string): Name {
  const found = NAMES.find((name) => typeOf(name) === type);
  if (found === undefined) throw new Refused("type", "no such type");
  return found;
}

export function limitOf(name: string): number {
  return name === "roster" ? ROSTER_LIMIT : PAYLOAD_LIMIT;
}

/** DSSE v1 pre-authentication encoding: what a signature covers. Lengths are of bytes. */
export function pae(name: string, payload: Uint8Array): Bytes {
  const type = typeOf(name); // ASCII
  return concat(utf8(`DSSEv1 ${type.length} ${type} ${payload.length} `), payload);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** The object id of a payload. */
export function oid(name: string, payload: Uint8Array): Promise<Bytes> {
  return sha256(pae(name, payload));
}

/** A domain string and what follows it, as the canonical array that HPKE, HKDF and the hashes take. */
export function domain(label: string, ...items: unknown[]): Bytes {
  return encode([`stillvault/v1/${label}`, ...items]);
}

export async function hkdf(secret: Bytes, salt: Bytes, info: Bytes, length = 32): Promise<Bytes> {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  return new Uint8Array(await crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 8 * length));
}

/** 6: the first 20 bits of a request's oid, modulo 10^6, six digits. */
export function requestCode(requestOid: Uint8Array): string {
  const bits = (requestOid[0]! << 12) | (requestOid[1]! << 4) | (requestOid[2]! >> 4);
  return String(bits % 1_000_000).padStart(6, "0");
}

