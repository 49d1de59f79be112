// HPKE (RFC 9180), base mode, single shot, one suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Protocol section 3.
//
// 32-byte values alone are sealed, with an empty aad: all binding goes into `info`. The private key may be a non-extractable
// WebCrypto key whose only use is deriveBits; the library then needs the key pair, since it cannot derive the public half.
import { Aes256Gcm, CipherSuite, DhkemP256HkdfSha256, HkdfSha256 } from "@hpke/core";
import { Refused } from "./error";
import { isPoint } from "./keys";
import { concat, unb64 } from "./text";
import type { Bytes } from "./text";

export const ENC_LENGTH = 65;
export const CT_LENGTH = 48;
export const VALUE_LENGTH = 32;
/** The one suite that is spoken. */
export const SUITE = "p256";

const ECDH = { name: "ECDH", namedCurve: "P-256" };
/** PKCS#8 around a P-256 scalar without its public key (RFC 5915). */
const PKCS8_HEAD = unb64("MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCA");
/** The order of P-256. */
const ORDER = unb64("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");

const suite = new CipherSuite({ kem: new DhkemP256HkdfSha256(), kdf: new HkdfSha256(), aead: new Aes256Gcm() });

/** What opening needs of a private key, and nothing more. */
export interface Opener {
  readonly public: Bytes;
  /** The 32 bytes, or a refusal with `open`. The caller wipes them. */
  open(info: Bytes, enc: Bytes, ct: Bytes): Promise<Bytes>;
}

/** A public key that stands on the curve: 65 bytes, uncompressed. A point beside the curve would leak the other side's key. */
function checkPoint(bytes: Bytes): void {
  if (!isPoint(bytes)) throw new Refused("open", "a p256 public key is 65 bytes, uncompressed, on the curve");
}

async function importPublic(bytes: Bytes): Promise<CryptoKey> {
  return crypto.subtle.importKey("raw", bytes, ECDH, true, []);
}

/** Seals 32 bytes to a public key, bound to `info`. The ephemeral key is WebCrypto's own. */
export async function kemSeal(to: Bytes, info: Bytes, value: Bytes): Promise<{ enc: Bytes; ct: Bytes }> {
  checkPoint(to);
  if (value.length !== VALUE_LENGTH) throw new Refused("open", "32 bytes are sealed and nothing else");
  const recipientPublicKey = await importPublic(to);
  const sealed = await suite.seal({ recipientPublicKey, info }, value);
  return { enc: new Uint8Array(sealed.enc), ct: new Uint8Array(sealed.ct) };
}

/** The opener over a pair; `publicBytes` is the half that the roster lists. */
export function opener(pair: CryptoKeyPair, publicBytes: Bytes): Opener {
  return {
    public: publicBytes,
    async open(info, enc, ct) {
      // 1. Lengths, and a point of the curve, before any key is touched.
      if (enc.length !== ENC_LENGTH || ct.length !== CT_LENGTH) throw new Refused("open", "enc is 65 bytes and ct is 48");
      checkPoint(enc);
      // 2. The one way to open; why it fails is nobody's business.
      try {
        const terms = { recipientKey: pair, enc, info };
        return new Uint8Array(await suite.open(terms, ct));
      } catch {
        throw new Refused("open", "the sealed value does not open with this key and this binding");
      }
    },
  };
}

/** A fresh pair for one request, or for a device; the private half is extractable only where it is to be wrapped. */
export async function generatePair(extractable = false): Promise<{ pair: CryptoKeyPair; public: Bytes }> {
  const pair = await crypto.subtle.generateKey(ECDH, extractable, ["deriveBits"]);
  return { pair, public: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
}

/** Whether 32 bytes are a scalar above 0 and below the group order; without a branch on its bytes. */
function isScalar(scalar: Bytes): boolean {
  if (scalar.length !== VALUE_LENGTH) return false;
  let borrow = 0;
  let any = 0;
  for (let at = VALUE_LENGTH - 1; at >= 0; at--) {
    borrow = ((scalar[at]! - ORDER[at]! - borrow) >> 8) & 1;
    any |= scalar[at]!;
  }
  return borrow === 1 && any !== 0;
}

/** The pair of a secret scalar, extractable only where it is to be wrapped. The caller wipes the scalar; refused with `open` where
 * it is not one. */
export async function pairOfScalar(scalar: Bytes, extractable = false): Promise<{ pair: CryptoKeyPair; public: Bytes }> {
  if (!isScalar(scalar)) throw new Refused("open", "a p256 secret key is 32 bytes, above 0 and below the group order");
  const pkcs8 = concat(PKCS8_HEAD, scalar);
  try {
    // Only an extractable key says what its public half is; what is kept is the second import.
    const readable = await crypto.subtle.importKey("pkcs8", pkcs8, ECDH, true, ["deriveBits"]);
    const { x, y } = await crypto.subtle.exportKey("jwk", readable);
    const publicBytes = concat(Uint8Array.of(4), unb64(x!), unb64(y!));
    const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, ECDH, extractable, ["deriveBits"]);
    return { pair: { privateKey, publicKey: await importPublic(publicBytes) }, public: publicBytes };
  } finally {
    pkcs8.fill(0);
  }
}
