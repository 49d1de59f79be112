// What a data key does: derive the payload key and the commitment, pad, encrypt, and all of it backwards. Protocol 5.2, 5.3.
//
// Each revision of a secret has its own data key and salt, so the payload key encrypts exactly one message: that is why the
// nonce may be zero. The aad names organisation, path, version, revision and salt, so that no ciphertext can be moved.
import { domain, hkdf, sha256 } from "./encoding";
import { Refused } from "./error";
import type { Core } from "./objects";
import { equal, unb64 } from "./text";
import type { Bytes } from "./text";

/** The longest value: 60 KiB. */
export const DATA_LIMIT = 60 * 1024;
const SMALLEST = 64;
const LARGEST = 64 * 1024;
const LENGTH_BYTES = 4;
const TAG_LENGTH = 16;

export async function payloadKey(dek: Bytes, salt: Bytes): Promise<Bytes> {
  return hkdf(dek, salt, domain("payload"));
}

/** Public, in the signed core. */
export async function dekCommitment(dek: Bytes, salt: Bytes): Promise<Bytes> {
  return hkdf(dek, salt, domain("dek-commit"));
}

/** Refuses with `dek` a data key that is not the one committed to. `equal` takes the same time wherever they differ. */
export async function checkDek(dek: Bytes, core: Core): Promise<void> {
  if (dek.length !== 32 || !equal(await dekCommitment(dek, unb64(core.salt)), unb64(core.dek_commitment))) {
    throw new Refused("dek", "the data key is not the one the sealer committed to");
  }
}

/** The least power of two from 64 that holds length and data. */
export function paddedLength(length: number): number {
  if (length > DATA_LIMIT) throw new Refused("size", "a value is at most 60 KiB");
  let total = SMALLEST;
  while (total < LENGTH_BYTES + length) total *= 2;
  return total;
}

/** u32be(len) || data || zeros. The caller wipes it. */
export function pad(data: Bytes): Bytes {
  const padded = new Uint8Array(paddedLength(data.length));
  new DataView(padded.buffer).setUint32(0, data.length);
  padded.set(data, LENGTH_BYTES);
  return padded;
}

/** Strictly the inverse: what `pad` would not have made is refused. The caller wipes both. */
export function unpad(padded: Bytes): Bytes {
  const refused = new Refused("padding", "the padding is not the one form it can have");
  if (padded.length < SMALLEST) throw refused;
  const length = new DataView(padded.buffer, padded.byteOffset).getUint32(0);
  if (length > DATA_LIMIT || paddedLength(length) !== padded.length) throw refused;
  // The bytes are looked at all alike: they are plaintext.
  if (padded.subarray(LENGTH_BYTES + length).reduce((all, byte) => all | byte, 0) !== 0) throw refused;
  return new Uint8Array(padded.subarray(LENGTH_BYTES, LENGTH_BYTES + length));
}

type Named = Pick<Core, "org" | "path" | "version" | "revision" | "salt">;

async function terms(core: Named, dek: Bytes, use: "encrypt" | "decrypt"): Promise<[AesGcmParams, CryptoKey]> {
  const aad = domain("payload", core.org, core.path, core.version, core.revision, core.salt);
  const raw = await payloadKey(dek, unb64(core.salt));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, [use]);
  raw.fill(0);
  return [{ name: "AES-GCM", iv: new Uint8Array(12), additionalData: aad }, key];
}

export async function encryptPayload(core: Named, dek: Bytes, data: Bytes): Promise<Bytes> {
  const padded = pad(data);
  try {
    return new Uint8Array(await crypto.subtle.encrypt(...(await terms(core, dek, "encrypt")), padded));
  } finally {
    padded.fill(0);
  }
}

/** Refuses bytes that are not those the sealer signed for; the cipher would too, but this needs no key. */
export async function checkCiphertext(core: Core, ciphertext: Bytes): Promise<void> {
  if (ciphertext.length !== core.length || !equal(await sha256(ciphertext), unb64(core.ciphertext_hash))) {
    throw new Refused("ciphertext", "length or hash of the ciphertext is not the signed one");
  }
  if (ciphertext.length > LARGEST + TAG_LENGTH) throw new Refused("padding", "a ciphertext is at most 65536 bytes and a tag");
}

/** 8: dek commitment, length, hash, decryption, padding. The caller wipes the value. */
export async function openPayload(core: Core, dek: Bytes, ciphertext: Bytes): Promise<Bytes> {
  await checkDek(dek, core);
  await checkCiphertext(core, ciphertext);
  let padded: Bytes;
  try {
    padded = new Uint8Array(await crypto.subtle.decrypt(...(await terms(core, dek, "decrypt")), ciphertext));
  } catch {
    throw new Refused("decrypt", "the payload does not open under its own path, version and revision");
  }
  try {
    return unpad(padded);
  } finally {
    padded.fill(0);
  }
}
