// Protocol 2: the three signature algorithms, and their keys. The algorithm that counts is that of the listed key, never the
// message's.
import { ECDSA, verifyEd25519, verifyEs256 } from "./curves";
import type { PlainAlgorithm } from "./curves";
import { encode, oid, pae, sha256, typeOf } from "./encoding";
import { Refused } from "./error";
import { parseObject } from "./objects";
import type { Key, Signature, Signed } from "./objects";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import { verifyAssertion } from "./webauthn";

export { isPoint, verifyEd25519 } from "./curves";
export type { Algorithm, PlainAlgorithm } from "./curves";

/** A key that signs: in this browser's memory, in hardware behind a passkey, or in a test. */
export interface Signer {
  readonly key: Key;
  /** Checks form and schema of the payload before anything is signed. */
  sign(name: string, payload: Bytes): Promise<Signed>;
}

/** By what a signature names its key. */
export async function keyHint(publicBytes: Bytes): Promise<string> {
  return b64(await sha256(publicBytes));
}

/** One signature under one listed key. */
export async function verifySignature(
  key: Key, name: string, payload: Bytes, signature: Signature, origins: readonly string[],
): Promise<void> {
  if (signature.alg !== key.alg) throw new Refused("alg", "not the algorithm of the listed key");
  const publicBytes = unb64(key.public);
  if (signature.key !== (await keyHint(publicBytes))) throw new Refused("signature", "made for another key");
  const { auth_data, client_data } = signature;
  if (key.alg === "webauthn-es256") {
    if (auth_data === undefined || client_data === undefined) throw new Refused("field", "an assertion carries both");
    const assertion = { authData: unb64(auth_data), clientData: unb64(client_data), sig: unb64(signature.sig) };
    return verifyAssertion(key, await oid(name, payload), assertion, origins);
  }
  if (auth_data !== undefined || client_data !== undefined) {
    throw new Refused("field", "assertion data beside a plain signature");
  }
  const verify = key.alg === "ed25519" ? verifyEd25519 : verifyEs256;
  if (!(await verify(publicBytes, pae(name, payload), unb64(signature.sig)))) throw new Refused("signature");
}

/** A signature of a key held as a WebCrypto pair; the private half need not be extractable. */
export function softSigner(alg: PlainAlgorithm, pair: CryptoKeyPair, publicBytes: Bytes): Signer {
  const key: Key = { alg, public: b64(publicBytes) };
  return {
    key,
    async sign(name, payload) {
      parseObject(name as never, payload);
      const algorithm = alg === "es256" ? ECDSA : { name: "Ed25519" };
      const sig = new Uint8Array(await crypto.subtle.sign(algorithm, pair.privateKey, pae(name, payload)));
      const signature = { alg, key: await keyHint(publicBytes), sig: b64(sig) };
      return { type: typeOf(name), payload: b64(payload), signatures: [signature] };
    },
  };
}

/** A fresh pair; the private half stays inside the browser unless it is to be wrapped. */
export async function generateKey(alg: PlainAlgorithm, extractable = false): Promise<{ pair: CryptoKeyPair; public: Bytes }> {
  const algorithm = alg === "es256" ? ECDSA : { name: "Ed25519" };
  const pair = (await crypto.subtle.generateKey(algorithm, extractable, ["sign", "verify"])) as CryptoKeyPair;
  return { pair, public: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/** Encodes, checks, signs. */
export function sign(name: string, value: object, signer: Signer): Promise<Signed> {
  return signer.sign(name, encode(value));
}
