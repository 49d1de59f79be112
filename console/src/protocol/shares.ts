// Shamir's scheme over GF(2^8) (0x11b), byte by byte, and the commitments that tell a false share. Protocol section 5.4.
//
// The index is the x coordinate; 0 is where the secret lies and never a share. Coefficients are uniform with zero allowed.
// Multiplication has neither tables nor branches that depend on a secret, as far as an engine keeps to what is written.
import { sha256 } from "./encoding";
import { Refused } from "./error";
import { concat, equal, utf8 } from "./text";
import type { Bytes } from "./text";

/** Bytes of a share, and of every value that is sealed. */
export const LENGTH = 32;
/** x^8 + x^4 + x^3 + x + 1 without its highest bit. */
const REDUCTION = 0x1b;
const COMMITMENT_LABEL = utf8("stillvault/v1/share\0");

export type Random = (n: number) => Bytes;
export interface Share {
  index: number;
  value: Bytes;
}

/** The product in GF(2^8): eight steps whatever the operands, masks instead of branches. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let step = 0; step < 8; step++) {
    product ^= a & -(b & 1);
    a = ((a << 1) ^ (REDUCTION & -(a >> 7))) & 0xff;
    b >>= 1;
  }
  return product;
}

/** a^254, the inverse of every a but 0. */
function invert(a: number): number {
  let power = a;
  let result = 1;
  for (let bit = 1; bit < 8; bit++) {
    power = multiply(power, power);
    result = multiply(result, power);
  }
  return result;
}

function checkDistinct(indices: number[]): void {
  const sound = indices.every((index) => Number.isInteger(index) && index > 0 && index < 256);
  if (!sound || new Set(indices).size !== indices.length) throw new Refused("index", "an index is 1 to 255 and stands once");
}

/** Shares for `indices`, any `threshold` of which give the secret back. The caller wipes them. */
export function split(secret: Bytes, threshold: number, indices: number[], random: Random): Share[] {
  checkDistinct(indices);
  if (threshold < 1 || threshold > indices.length) {
    throw new Refused("threshold", "a threshold lies between 1 and the number of shares");
  }
  const rows = [secret];
  for (let degree = 1; degree < threshold; degree++) rows.push(random(LENGTH));
  const shares = indices.map((index) => ({ index, value: evaluate(rows, index) }));
  for (const row of rows.slice(1)) row.fill(0);
  return shares;
}

/** Horner's rule in each of the 32 bytes; row 0 is the secret. */
function evaluate(rows: Bytes[], x: number): Bytes {
  const value = new Uint8Array(LENGTH);
  for (const row of rows.toReversed()) {
    for (let at = 0; at < LENGTH; at++) value[at] = multiply(value[at]!, x) ^ row[at]!;
  }
  return value;
}

/** Lagrange interpolation at 0 through all the shares. It cannot see a false one: `checkShare` comes first. */
export function join(shares: Share[]): Bytes {
  if (shares.length === 0) throw new Refused("quorum", "no share to join");
  checkDistinct(shares.map((share) => share.index));
  const secret = new Uint8Array(LENGTH);
  for (const share of shares) {
    if (share.value.length !== LENGTH) throw new Refused("share", "a share has 32 bytes");
    const others = shares.filter((other) => other !== share);
    const weight = others.reduce((all, other) => multiply(all, multiply(other.index, invert(other.index ^ share.index))), 1);
    for (let at = 0; at < LENGTH; at++) secret[at] = secret[at]! ^ multiply(weight, share.value[at]!);
  }
  return secret;
}

/** SHA-256("stillvault/v1/share" || 0x00 || salt || u8 index || share). */
export async function commitment(salt: Bytes, share: Share): Promise<Bytes> {
  const input = concat(COMMITMENT_LABEL, salt, Uint8Array.of(share.index), share.value);
  const hash = await sha256(input);
  input.fill(0);
  return hash;
}

/** Refuses with `share` what is not the share committed to: this names a false approver instead of failing at the end. */
export async function checkShare(salt: Bytes, share: Share, committed: Bytes): Promise<void> {
  const sound = share.index > 0 && share.index < 256 && share.value.length === LENGTH;
  if (!sound || !equal(await commitment(salt, share), committed)) {
    throw new Refused("share", `the share of index ${share.index} is not the one the sealer committed to`);
  }
}
