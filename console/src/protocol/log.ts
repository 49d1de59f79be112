// The transparency log as a reader sees it (protocol section 12): RFC 6962 hashing, C2SP checkpoints, consistency of heads.
//
// A relay that shows two parties two histories can satisfy only one of them: whoever reads a head compares it with the one it
// saw last (`continues`) and with those that others carried inside signed objects (`agree`).
//
// Left to the caller: fetching, and remembering the head before using what it covers.
import { sha256 } from "./encoding";
import { Refused } from "./error";
import { verifyEd25519 } from "./keys";
import { concat, equal, utf8 } from "./text";
import type { Bytes } from "./text";

const ED25519_NOTE = 1; // the algorithm byte of a C2SP signed note
const KEY_ID_LENGTH = 4;
const HASH_LENGTH = 32;

export interface Head {
  size: number;
  root: Bytes;
}

export async function leafHash(leaf: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(0), leaf));
}

export async function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return sha256(concat(Uint8Array.of(1), left, right));
}

/** MTH of RFC 6962 over the hashes of the leaves: pairs, level by level; a node without a neighbour goes up as it is. */
export async function rootOf(hashes: readonly Bytes[]): Promise<Bytes> {
  let level = hashes;
  while (level.length > 1) {
    const pairs = Array.from({ length: level.length >> 1 }, (_, at) => nodeHash(level[2 * at]!, level[2 * at + 1]!));
    level = [...(await Promise.all(pairs)), ...level.slice(2 * pairs.length)];
  }
  return level[0] ?? sha256(new Uint8Array());
}

/** Strict base64 of the standard alphabet, as signed notes use it. */
function base64(text: string): Bytes | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) return undefined;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

/** Size and root hash of a C2SP checkpoint whose signature by the log key verifies; else `log-signature`. */
export async function verifyCheckpoint(note: string, origin: string, publicKey: Bytes): Promise<Head> {
  const refused = new Refused("log-signature", "the checkpoint is not signed by the log key of the organisation's root");
  const end = note.indexOf("\n\n");
  if (end < 0) throw refused;
  const text = note.slice(0, end + 1);
  // 1. The note is about this log, in the form `origin, size, root hash`.
  const [name, size, hash] = text.split("\n");
  const root = base64(hash ?? "");
  if (name !== origin || !/^(?:0|[1-9][0-9]{0,15})$/.test(size ?? "") || !Number.isSafeInteger(Number(size))) throw refused;
  if (root?.length !== HASH_LENGTH) throw refused;
  // 2. One of its signature lines is by the log key: key name, then base64 of a 4-byte key id and the signature.
  const id = (await sha256(concat(utf8(`${origin}\n`), Uint8Array.of(ED25519_NOTE), publicKey))).subarray(0, KEY_ID_LENGTH);
  for (const line of note.slice(end + 2).split("\n")) {
    const [dash, by, encoded, ...more] = line.split(" ");
    if (dash !== "—" || by !== origin || encoded === undefined || more.length > 0) continue;
    const raw = base64(encoded);
    if (raw?.length !== KEY_ID_LENGTH + 64 || !equal(raw.subarray(0, KEY_ID_LENGTH), id)) continue;
    if (await verifyEd25519(publicKey, utf8(text), raw.subarray(KEY_ID_LENGTH))) return { size: Number(size), root };
  }
  throw refused;
}

/** RFC 9162, 2.1.4.2: the tree of `after` begins with the tree of `before`. Refuses with `log-rollback` or `log-fork`. */
export async function verifyConsistency(before: Head, after: Head, proof: Bytes[]): Promise<void> {
  if (after.size < before.size) throw new Refused("log-rollback", `the log went back from ${before.size} to ${after.size} rows`);
  const fork = new Refused("log-fork", "the log that the relay shows does not continue the log seen before");
  if (before.size === after.size || before.size === 0) {
    if (proof.length > 0 || (before.size === after.size && !equal(before.root, after.root))) throw fork;
    return;
  }
  // Sizes go up to 2^53: beyond the bit operations of numbers.
  let [first, last] = [BigInt(before.size) - 1n, BigInt(after.size) - 1n];
  // A whole subtree is itself where the path begins.
  const path = (first & (first + 1n)) === 0n ? [before.root, ...proof] : proof;
  const start = path[0];
  if (!start || path.some((step) => step.length !== HASH_LENGTH)) throw fork;
  const up = () => {
    first >>= 1n;
    last >>= 1n;
  };
  while (first & 1n) up();
  let [left, right] = [start, start];
  for (const step of path.slice(1)) {
    if (last === 0n) throw fork;
    if (first & 1n || first === last) {
      [left, right] = [await nodeHash(step, left), await nodeHash(step, right)];
      while (first !== 0n && !(first & 1n)) up();
    } else {
      right = await nodeHash(right, step);
    }
    up();
  }
  if (last !== 0n || !equal(left, before.root) || !equal(right, after.root)) throw fork;
}

/** The relay's proof that one head continues another. */
export type Proof = (before: number, after: number) => Promise<Bytes[]>;

/** A new head continues the one that was seen, if any. The proof is asked for only where one is needed. */
export async function continues(seen: Head | undefined, head: Head, proof: Proof): Promise<void> {
  if (!seen) return;
  const needed = seen.size > 0 && seen.size < head.size;
  await verifyConsistency(seen, head, needed ? await proof(seen.size, head.size) : []);
}

/** The heads that others carried inside signed objects all begin one's own, fetched just now. */
export async function agree(own: Head, heads: Head[], proof: Proof): Promise<void> {
  for (const head of heads) {
    if (head.size > own.size) {
      throw new Refused("log-rollback", `somebody saw ${head.size} rows of the log, the relay shows us ${own.size}`);
    }
    await continues(head, own, proof);
  }
}
