// Strings and byte strings (protocol 2): the fixed set of hidden characters, the visible form, strict base64url.
import { Refused } from "./error";

/** Bytes as WebCrypto takes them: never a view of shared memory. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A table and not a Unicode property, so that no two versions disagree. With `u`, D800-DFFF matches lone surrogates alone. */
const RANGES =
  "\\u{0}-\\u{1f}\\u{7f}-\\u{9f}\\u{ad}\\u{34f}\\u{61c}\\u{115f}-\\u{1160}\\u{17b4}-\\u{17b5}\\u{180b}-\\u{180f}" +
  "\\u{200b}-\\u{200f}\\u{2028}-\\u{202e}\\u{2060}-\\u{206f}\\u{3164}\\u{d800}-\\u{dfff}\\u{fe00}-\\u{fe0f}\\u{feff}\\u{ffa0}" +
  "\\u{fff0}-\\u{fffb}\\u{1bca0}-\\u{1bca3}\\u{1d173}-\\u{1d17a}\\u{e0000}-\\u{e0fff}";
const HIDDEN = new RegExp(`[${RANGES}]`, "u");
const HIDDEN_ALL = new RegExp(HIDDEN, "gu");
const ESCAPED = new RegExp(`[\\\\${RANGES}]`, "gu");
const FIELD_NAME = /^[a-z][a-z0-9_]*$/;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const SIX_BITS = new Map([...ALPHABET].map((letter, at) => [letter.charCodeAt(0), at]));
const encoder = new TextEncoder();

/** The UTF-8 bytes of a text without lone surrogates (`checkVisible` refuses those). */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** The text of UTF-8 bytes. A byte order mark stays a character, and is then refused as one. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused("json", "not UTF-8");
  }
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const out = new Uint8Array(parts.reduce((total, part) => total + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Whether two byte strings are equal, in a time that depends on their lengths alone. */
export function equal(one: Uint8Array, other: Uint8Array): boolean {
  if (one.length !== other.length) return false;
  let difference = 0;
  for (let at = 0; at < one.length; at++) difference |= one[at]! ^ other[at]!;
  return difference === 0;
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Base64url without padding. */
export function b64(bytes: Uint8Array): string {
  let out = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = Math.min(3, bytes.length - at);
    const bits = (bytes[at]! << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0);
    for (let six = 0; six <= left; six++) out += ALPHABET[(bits >> (18 - 6 * six)) & 63];
  }
  return out;
}

/** Strict: no padding, no other alphabet, no white space, spare bits zero, so one text for each byte string. */
export function unb64(text: unknown): Bytes {
  if (typeof text !== "string" || text.length % 4 === 1) throw new Refused("base64", "not base64url without padding");
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let held = 0;
  let at = 0;
  for (let place = 0; place < text.length; place++) {
    const six = SIX_BITS.get(text.charCodeAt(place));
    if (six === undefined) throw new Refused("base64", "not the base64url alphabet");
    bits = ((bits << 6) | six) & 0xfff;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out[at++] = (bits >> held) & 0xff;
    }
  }
  if (bits & ((1 << held) - 1)) throw new Refused("base64", "spare bits are not zero");
  return out;
}

/** Refuses a string with a hidden character. */
export function checkVisible(text: string): void {
  if (HIDDEN.test(text)) throw new Refused("char", "a raw control, bidi, invisible or surrogate character");
}

export function checkFieldName(name: string): void {
  if (!FIELD_NAME.test(name)) throw new Refused("field", "a field name outside [a-z][a-z0-9_]*");
}

/** Length of the UTF-8 sequence that begins here, or 0 where there is none (RFC 3629: no surrogates, nothing over-long). */
export function sequence(raw: Uint8Array, at: number): number {
  const lead = raw[at]!;
  if (lead < 0x80) return 1;
  const length = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) === 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
  for (let next = 1; next < length; next++) {
    if (((raw[at + next] ?? 0) & 0xc0) !== 0x80) return 0;
  }
  const second = raw[at + 1] ?? 0;
  const outside =
    (lead === 0xe0 && second < 0xa0) ||
    (lead === 0xed && second > 0x9f) ||
    (lead === 0xf0 && second < 0x90) ||
    (lead === 0xf4 && second > 0x8f);
  return outside ? 0 : length;
}

function show(text: string): string {
  return text.replace(ESCAPED, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}

/** Bytes from outside as a string that hides nothing. The backslash is escaped too, so an escape cannot be forged. */
export function visible(raw: Uint8Array): string {
  let out = "";
  let start = 0;
  let at = 0;
  const flush = () => {
    out += show(fromUtf8(raw.subarray(start, at)));
  };
  while (at < raw.length) {
    const length = sequence(raw, at);
    if (length > 0) {
      at += length;
      continue;
    }
    flush();
    out += `\\x{${raw[at]!.toString(16)}}`;
    start = ++at;
  }
  flush();
  return out;
}

/** What a person typed, as it may stand in an object. */
export function visibleText(text: string): string {
  return show(text.toWellFormed());
}

/** Text that nobody signed, for display alone: hidden characters written out, backslashes left. */
export function plain(text: string): string {
  return text.replace(HIDDEN_ALL, (char) => `\\u{${char.codePointAt(0)!.toString(16)}}`);
}
