// Custody of the synced tier (protocol 11): a key as PKCS#8 under AES-256-GCM, whose key is HKDF of the passkey's PRF output.
// The additional data names organisation, person, passkey and public key, so that a relay cannot hand out one blob as another.
// What comes out is a non-extractable CryptoKey: its bytes never enter the page (the one exception is the transfer to a further
// passkey).
import { b64, domain, encode, unb64, type Bytes } from "../protocol/encoding";
import { opener, pairOfScalar, type Opener } from "../protocol/hpke";
import { softSigner, type Signer } from "../protocol/keys";
import { concat } from "../protocol/text";
import { device as texts } from "../texts/device";
import { DeviceFault } from "./fault";
import type { Wrapped } from "./memory";

const NONCE = 12; // bytes
const ECDH = { name: "ECDH", namedCurve: "P-256" };
const ECDSA = { name: "ECDSA", namedCurve: "P-256" };

export type Lock = CryptoKey;

/** Who a wrapped key belongs to: the additional data. */
export interface Owner {
  org: string;
  person: string;
  credential: string;
}

/** The wrapping key of one ceremony. The PRF output is wiped: from here on only WebCrypto holds it. */
export async function lockOf(prf: Bytes, org: string): Promise<Lock> {
  const secret = await crypto.subtle.importKey("raw", prf, "HKDF", false, ["deriveKey"]);
  prf.fill(0);
  const derive = { name: "HKDF", hash: "SHA-256", salt: unb64(org), info: domain("prf-wrap") };
  return crypto.subtle.deriveKey(derive, secret, { name: "AES-GCM", length: 256 }, false, ["wrapKey", "unwrapKey", "decrypt"]);
}

/** Wraps an extractable private key. */
export async function wrap(
  lock: Lock, owner: Owner, kind: Wrapped["kind"], privateKey: CryptoKey, publicBytes: Uint8Array,
): Promise<Wrapped> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE));
  const name = b64(publicBytes);
  const params = { name: "AES-GCM", iv, additionalData: bound(owner, name) };
  const sealed = await crypto.subtle.wrapKey("pkcs8", privateKey, lock, params);
  return { credential: owner.credential, kind, public: name, blob: b64(concat(iv, new Uint8Array(sealed))) };
}

/** The KEM key, for one ceremony. Refuses with `custody` what was changed or belongs elsewhere. */
export async function unwrapKem(lock: Lock, owner: Owner, wrapped: Wrapped): Promise<Opener> {
  const publicBytes = unb64(wrapped.public);
  const privateKey = await unwrapKey(lock, owner, wrapped, ECDH, ["deriveBits"]);
  const publicKey = await crypto.subtle.importKey("raw", publicBytes, ECDH, true, []);
  return opener({ privateKey, publicKey }, publicBytes);
}

/** The key of the person's client certificate, for re-sealing. */
export async function unwrapClient(lock: Lock, owner: Owner, wrapped: Wrapped): Promise<Signer> {
  const publicBytes = unb64(wrapped.public);
  const privateKey = await unwrapKey(lock, owner, wrapped, ECDSA, ["sign"]);
  const publicKey = await crypto.subtle.importKey("raw", publicBytes, ECDSA, true, ["verify"]);
  return softSigner("es256", { privateKey, publicKey }, publicBytes);
}

/** The 32-byte scalar of the KEM key, to seal it to a further passkey of the same person and for nothing else. The caller wipes
 * it. */
export async function unwrapScalar(lock: Lock, owner: Owner, wrapped: Wrapped): Promise<Bytes> {
  const pkcs8 = await opening(() => {
    const { iv, sealed } = parts(wrapped);
    return crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: bound(owner, wrapped.public) }, lock, sealed);
  });
  const bytes = new Uint8Array(pkcs8);
  const scalar = scalarOf(bytes);
  const found = await opening(() => pairOfScalar(scalar));
  if (b64(found.public) !== wrapped.public) {
    scalar.fill(0);
    throw notOpened();
  }
  return scalar;
}

/** The scalar of a P-256 PKCS#8, and the rest wiped. Engines write the public half or leave it out: the outer length is of two
 * bytes or of one. Whoever calls compares the public key. */
export function scalarOf(pkcs8: Bytes): Bytes {
  const at = pkcs8[1] === 0x81 ? 36 : 35;
  const scalar = pkcs8.slice(at, at + 32);
  pkcs8.fill(0);
  return scalar;
}

function unwrapKey(
  lock: Lock, owner: Owner, wrapped: Wrapped, algorithm: EcKeyImportParams, uses: KeyUsage[],
): Promise<CryptoKey> {
  return opening(() => {
    const { iv, sealed } = parts(wrapped);
    const params = { name: "AES-GCM", iv, additionalData: bound(owner, wrapped.public) };
    return crypto.subtle.unwrapKey("pkcs8", sealed, lock, params, algorithm, false, uses);
  });
}

function parts(wrapped: Wrapped): { iv: Bytes; sealed: Bytes } {
  const blob = unb64(wrapped.blob);
  return { iv: blob.slice(0, NONCE), sealed: blob.slice(NONCE) };
}

function bound(owner: Owner, publicKey: string): Bytes {
  return encode([owner.org, owner.person, owner.credential, publicKey]);
}

async function opening<T>(step: () => Promise<T>): Promise<T> {
  try {
    return await step();
  } catch {
    throw notOpened();
  }
}

const notOpened = () => new DeviceFault("custody", texts.opened, texts.openedRemedy);
