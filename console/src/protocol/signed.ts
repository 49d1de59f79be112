// Protocol 2: signed objects. Verify first, parse after, use only the verified bytes. A wrapper is JSON that was parsed
// elsewhere; `opened` looks at its form, and everything here does so before it reads anything.
import { encode, oid, typeOf, nameOf, WRAPPER_LIMIT } from "./encoding";
import type { Name } from "./encoding";
import { Refused } from "./error";
import { keyHint, verifySignature } from "./keys";
import { parseObject, signedWrapper } from "./objects";
import type { Key, Objects, Quorum, Signature, Signed } from "./objects";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";

/** A payload whose signature was good, parsed from the very bytes that were verified. */
export type Verified<T> = { readonly oid: Bytes; readonly payload: T };
export type Origins = readonly string[];

/** The payload bytes of a well-formed wrapper of this type. NOT verified. */
export function opened(name: Name, value: unknown): { signed: Signed; payload: Bytes } {
  signedWrapper(value);
  if (encode(value).length > WRAPPER_LIMIT) throw new Refused("size", "the wrapper is too large");
  if (value.type !== typeOf(name)) throw new Refused("type", `not a ${name}`);
  return { signed: value, payload: unb64(value.payload) };
}

/** The parsed payload BEFORE verification: to learn who signed, and for nothing else. */
export function peek<N extends Name>(name: N, value: unknown): Objects[N] {
  return parseObject(name, opened(name, value).payload);
}

/** The oid of a wrapper of any type, unverified. */
export async function oidOf(signed: Signed): Promise<Bytes> {
  return oid(nameOf(signed.type), unb64(signed.payload));
}

/** A wrapper around signatures that were made elsewhere: by a passkey, by several admins. Form and schema are checked. */
export function wrap(name: Name, payload: Bytes, signatures: Signature[]): Signed {
  parseObject(name, payload);
  return { type: typeOf(name), payload: b64(payload), signatures };
}

/** One more signature, for thresholds; refused where this key has signed already. */
export function addSignature(signed: Signed, signature: Signature): Signed {
  const again = signed.signatures.some((entry) => entry.key === signature.key);
  if (again) throw new Refused("signature", "this key has signed already");
  return { ...signed, signatures: [...signed.signatures, signature] };
}

async function believe<N extends Name>(name: N, payload: Bytes): Promise<Verified<Objects[N]>> {
  return { oid: await oid(name, payload), payload: parseObject(name, payload) };
}

/** Exactly one signature, by one of the `listed` keys. */
export async function verify<N extends Name>(
  name: N, value: unknown, listed: readonly Key[], origins: Origins,
): Promise<Verified<Objects[N]>> {
  const { signed, payload } = opened(name, value);
  const [signature, ...more] = signed.signatures;
  if (!signature || more.length > 0) throw new Refused("signature", "exactly one");
  for (const key of listed) {
    if (signature.key !== (await keyHint(unb64(key.public)))) continue;
    await verifySignature(key, name, payload, signature, origins);
    return believe(name, payload);
  }
  throw new Refused("signature", "no listed key made it");
}

async function isGood(key: Key, name: Name, payload: Bytes, signature: Signature, origins: Origins): Promise<boolean> {
  try {
    await verifySignature(key, name, payload, signature, origins);
    return true;
  } catch (error) {
    if (error instanceof Refused) return false;
    throw error;
  }
}

/** Distinct listed keys with a good signature. The rest is passed over: whoever hands the object on may add to it. */
export async function count(name: Name, value: unknown, listed: readonly Key[], origins: Origins): Promise<number> {
  const { signed, payload } = opened(name, value);
  const good = new Set<string>();
  for (const key of listed) {
    for (const signature of signed.signatures) {
      if (!good.has(key.public) && (await isGood(key, name, payload, signature, origins))) good.add(key.public);
    }
  }
  return good.size;
}

/** At least `threshold` of the keys of a quorum, or a refusal with `code`. */
export async function byThreshold<N extends Name>(
  name: N, value: unknown, quorum: Quorum, origins: Origins, code: string,
): Promise<Verified<Objects[N]>> {
  // A threshold of 0 is refused where a quorum is read; here it must not pass for want of that check.
  if (quorum.threshold < 1 || (await count(name, value, quorum.keys, origins)) < quorum.threshold) {
    throw new Refused(code, "too few good signatures");
  }
  return believe(name, opened(name, value).payload);
}
