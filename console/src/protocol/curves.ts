// The curves of protocol 2: public keys and raw signatures, as bytes. What is public may take its own time here.
import { Refused } from "./error";
import { concat, hex } from "./text";
import type { Bytes } from "./text";

const ALGORITHMS = ["ed25519", "es256", "webauthn-es256"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export type PlainAlgorithm = Exclude<Algorithm, "webauthn-es256">;

export const ECDSA = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const P = 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn; // the field of P-256
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n; // of P-256
const P256_POINT = 65; // bytes
const ED25519_PUBLIC = 32; // bytes
const HALF = 32; // bytes of r, of s, of R

export function isAlgorithm(alg: unknown): alg is Algorithm {
  return (ALGORITHMS as readonly unknown[]).includes(alg);
}

function integer(bytes: Uint8Array): bigint {
  return BigInt(`0x0${hex(bytes)}`);
}

/** An uncompressed point of P-256. A point beside the curve would leak the key of the other side. */
export function isPoint(bytes: Uint8Array): boolean {
  if (bytes.length !== P256_POINT || bytes[0] !== 4) return false;
  const x = integer(bytes.subarray(1, 33));
  const y = integer(bytes.subarray(33));
  return x < P && y < P && (y * y - (x * x * x - 3n * x + B)) % P === 0n;
}

/** 32 bytes for Ed25519, a point of the curve for the rest. */
export function checkPublic(alg: Algorithm, bytes: Uint8Array): void {
  if (alg === "ed25519" ? bytes.length !== ED25519_PUBLIC : !isPoint(bytes)) {
    throw new Refused("field", "32 bytes (ed25519) or an uncompressed point of P-256, 65 bytes");
  }
}

/** The y of the points of small order, little-endian: 0, 1, -1, and the two of order 8. Under such a key one signature is good
 * for many messages, and anyone can make it. */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  "00".repeat(32),
  "01" + "00".repeat(31),
  "ec" + "ff".repeat(30) + "7f",
  "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
  "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
]);

/** Whether the bytes name a point of small order, or any point by a y that is not reduced (there are 19 such y). */
function isWeak(point: Uint8Array): boolean {
  const y = point.slice();
  y[31]! &= 0x7f; // the sign of x
  const unreduced = y[31] === 0x7f && y.subarray(1, 31).every((byte) => byte === 0xff) && y[0]! >= 0xed;
  return unreduced || SMALL_ORDER.has(hex(y));
}

/** 64 bytes, s reduced (WebCrypto looks at that), neither the key nor R of small order. */
export async function verifyEd25519(publicBytes: Bytes, message: Bytes, sig: Bytes): Promise<boolean> {
  if (publicBytes.length !== ED25519_PUBLIC || sig.length !== 2 * HALF) return false;
  if (isWeak(publicBytes) || isWeak(sig.subarray(0, HALF))) return false;
  return check(publicBytes, { name: "Ed25519" }, message, sig);
}

/** `r || s`, both in range. High s is taken. */
export async function verifyEs256(publicBytes: Bytes, message: Bytes, sig: Bytes): Promise<boolean> {
  if (!isPoint(publicBytes) || sig.length !== 2 * HALF) return false;
  const inRange = [sig.subarray(0, HALF), sig.subarray(HALF)].map(integer).every((n) => n > 0n && n < ORDER);
  return inRange && check(publicBytes, ECDSA, message, sig);
}

async function check(
  publicBytes: Bytes, algorithm: EcdsaParams | { name: string }, message: Bytes, sig: Bytes,
): Promise<boolean> {
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("raw", publicBytes, algorithm as EcKeyImportParams, true, ["verify"]);
  } catch (error) {
    if ((error as DOMException).name === "NotSupportedError") throw error; // an old browser, and no fault of the signature
    return false; // 32 bytes that are no point of Ed25519
  }
  return crypto.subtle.verify(algorithm, key, sig, message);
}

/** `r || s` of an ECDSA signature in strict DER, or nothing. */
export function fromDer(der: Uint8Array): Bytes | undefined {
  const length = der[1] ?? 0;
  if (der[0] !== 0x30 || length >= 0x80 || der.length !== 2 + length) return undefined;
  const first = derInteger(der, 2);
  const second = first && derInteger(der, first.end);
  return first && second && second.end === der.length ? concat(first.value, second.value) : undefined;
}

/** A positive integer of at most 32 bytes, in the fewest bytes that hold it. */
function derInteger(der: Uint8Array, at: number): { value: Bytes; end: number } | undefined {
  const length = der[at + 1] ?? 0;
  const end = at + 2 + length;
  const bytes = der.subarray(at + 2, end);
  if (der[at] !== 0x02 || length < 1 || length > HALF + 1 || bytes.length !== length) return undefined;
  const padded = bytes[0] === 0;
  if (bytes[0]! >= 0x80 || (padded && (length === 1 || bytes[1]! < 0x80))) return undefined;
  const value = new Uint8Array(HALF);
  const digits = padded ? bytes.subarray(1) : bytes;
  if (digits.length > HALF) return undefined;
  value.set(digits, HALF - digits.length);
  return { value, end };
}
