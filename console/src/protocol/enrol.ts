// Joining an organisation (protocol 11): what an invite is worth, what both screens show, what a joiner signs. The nonce never
// reaches the relay, which knows its hash and a bearer derived from it. The five words follow from the nonce AND the enrolment,
// so a relay that swaps the joiner's keys changes the words.
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { decode, domain, encode, hkdf, sha256 } from "./encoding";
import { Refused } from "./error";
import { checkClientKey, hash } from "./objects";
import type { Enrol } from "./objects";
import { fields, text } from "./shapes";
import { peek, verify } from "./signed";
import type { Verified } from "./signed";
import { b64, equal, unb64 } from "./text";
import type { Bytes } from "./text";

const NONCE = 32; // bytes
const WORDS = 5;
/** For the machine that hands a key over: whoever made the link knows the nonce, and must not find other keys with these words. */
export const HAND_OVER_WORDS = 12;
const BITS = 11; // of a BIP-39 word

/** What the fragment of a join URL carries. */
export type Invitation = { org: string; relay: string; ca: string; nonce: string };

function checkNonce(nonce: Uint8Array): void {
  if (nonce.length !== NONCE) throw new Refused("field", "the nonce has 32 bytes");
}

/** By what name the relay files an invite, and what the joiner shows it, once. */
export async function inviteTerms(pin: Bytes, nonce: Bytes): Promise<{ invite: Bytes; bearer: string }> {
  checkNonce(nonce);
  const invite = await sha256(domain("enrol", "id", b64(nonce)));
  return { invite, bearer: b64(await hkdf(nonce, pin, domain("enrol", "bearer"))) };
}

/** The indices of the five words: the first 55 bits of the hash. Of twelve: its first 132 bits, so the first five are the same. */
export async function enrolWordIndices(oid: Uint8Array, nonce: Uint8Array, count = WORDS): Promise<number[]> {
  checkNonce(nonce);
  const digest = await sha256(domain("enrol", "words", b64(oid), b64(nonce)));
  const bits = digest.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n) >> BigInt(8 * digest.length - count * BITS);
  return Array.from({ length: count }, (_, at) => Number((bits >> BigInt(BITS * (count - 1 - at))) & 0x7ffn));
}

/** The words as people read them. */
export async function enrolWords(oid: Uint8Array, nonce: Uint8Array, count = WORDS): Promise<string[]> {
  return (await enrolWordIndices(oid, nonce, count)).map((index) => wordlist[index]!);
}

/** The HPKE info of the challenge that an admin seals to a joiner's KEM key. */
export function proofInfo(): Bytes {
  return domain("enrol", "proof");
}

/** 11: form, algorithms, signature by its own `auth`, organisation, invite. No dates: the invite's time limit is the relay's. */
export async function verifyEnrol(
  pin: Uint8Array, origins: readonly string[], signed: unknown, invite: Uint8Array,
): Promise<Verified<Enrol>> {
  const enrol = await verify("enrol", signed, [peek("enrol", signed).auth], origins);
  const { payload } = enrol;
  if (payload.org !== b64(pin)) throw new Refused("org", "of another organisation");
  if (!equal(unb64(payload.invite), invite)) throw new Refused("invite", "made for another invite");
  if (!payload.kem) checkClientKey(payload.auth); // without a KEM key a client joins, and `auth` becomes its key
  return enrol;
}

const INVITATION = fields({ org: hash, relay: text, ca: text, nonce: hash });

/** What stands behind the `#` of a join URL; refuses anything but what an administrator's invite prints. */
export function parseInvite(fragment: string): Invitation {
  const value = decode(unb64(fragment.replace(/^#/, "")));
  INVITATION(value);
  return value as Invitation;
}

/** The fragment of a join URL, without the `#`. */
export function inviteFragment(invitation: Invitation): string {
  INVITATION(invitation);
  return b64(encode(invitation));
}
