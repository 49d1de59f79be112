import { describe, expect, it } from "vitest";

import { decode, encode, PAYLOAD_LIMIT } from "../../src/protocol/encoding";
import { Refused } from "../../src/protocol/error";
import { parseForeign } from "../../src/protocol/json";
import type { Json } from "../../src/protocol/json";
import { b64, fromUtf8, unb64, utf8, visible, visibleText } from "../../src/protocol/text";

function code(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof Refused) return error.code;
    throw error;
  }
  return "";
}

/** Numbers that look random and are the same in every run. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const TEXTS = ["", "a", '"', "\\", "/", "é", "漢字", "😀", "a\\u{202e}", "key/**", "\u{10ffff}"];
const NAMES = ["a", "b_1", "constructor", "zz", "z0"];

function value(roll: (below: number) => number, depth: number): Json {
  const kind = roll(depth > 4 ? 3 : 5);
  if (kind === 0) return roll(2) === 0;
  if (kind === 1) return [0, 1, roll(1e9), Number.MAX_SAFE_INTEGER][roll(4)]!;
  if (kind === 2) return TEXTS[roll(TEXTS.length)]!;
  if (kind === 3) return Array.from({ length: roll(4) }, () => value(roll, depth + 1));
  return Object.fromEntries(NAMES.filter(() => roll(2) === 0).map((name) => [name, value(roll, depth + 1)]));
}

describe("canonical JSON", () => {
  it("comes back as it went in, in one form", () => {
    const roll = dice(7);
    for (let round = 0; round < 500; round++) {
      const whole = { v: value(roll, 1) };
      const bytes = encode(whole);
      expect(decode(bytes)).toEqual(whole);
      expect(encode(JSON.parse(fromUtf8(bytes)))).toEqual(bytes);
    }
  });

  it.each([
    ["a name that is the prototype's", '{"__proto__":1}', "field"],
    ["a name twice", '{"a":1,"a":1}', "canonical"],
    ["names out of order", '{"b":1,"a":1}', "canonical"],
    ["white space", '{"a": 1}', "canonical"],
    ["an escape that need not be", '{"a":"\\u0041"}', "canonical"],
    ["a slash escaped", '{"a":"\\/"}', "canonical"],
    ["an integer that no double holds", '{"a":9007199254740993}', "number"],
    ["an integer written as a float", '{"a":1.0}', "number"],
    ["an exponent", '{"a":1e3}', "number"],
    ["minus zero", '{"a":-0}', "canonical"],
    ["a null", '{"a":null}', "null"],
    ["a lone surrogate", '{"a":"\\ud800"}', "char"],
    ["a bidirectional override", '{"a":"\u202e"}', "char"],
    ["a hidden character behind an escape", '{"a":"\\u200b"}', "char"],
    ["a byte order mark", '\ufeff{"a":1}', "json"],
    ["something after the end", '{"a":1}x', "json"],
    ["an array outside", "[1]", "field"],
    ["17 levels", `{"a":${"[".repeat(16)}${"]".repeat(16)}}`, "depth"],
    ["a hundred thousand levels", `{"a":${"[".repeat(60000)}`, "depth"],
  ])("refuses %s", (_, text, refused) => {
    expect(code(() => decode(utf8(text)))).toBe(refused);
  });

  it("refuses bytes that are not UTF-8, and too many", () => {
    expect(code(() => decode(Uint8Array.of(0x7b, 0xff, 0x7d)))).toBe("json");
    expect(code(() => decode(new Uint8Array(PAYLOAD_LIMIT + 1)))).toBe("size");
  });

  it.each([
    ["undefined", { a: undefined }, "null"],
    ["a fraction", { a: 0.5 }, "number"],
    ["less than nothing", { a: -1 }, "number"],
    ["a name with a capital", { A: 1 }, "field"],
    ["bytes", { a: new Uint8Array(2) }, "json"],
    ["a date", { a: new Date(0) }, "json"],
    ["a lone surrogate", { a: "\ud800" }, "char"],
  ])("writes no %s", (_, given, refused) => {
    expect(code(() => encode(given))).toBe(refused);
  });

  it("gives objects whose names mean nothing else", () => {
    expect("constructor" in decode(utf8('{"a":1}'))).toBe(false);
  });
});

describe("JSON of others", () => {
  it("keeps what is its own and refuses a name that stands twice", () => {
    expect(parseForeign(utf8('{ "A b": [null, -1.5e3], "__proto__": "x" }'))).toHaveProperty(["A b"]);
    expect(code(() => parseForeign(utf8('{"__proto__":1,"__proto__":1}')))).toBe("json");
    expect(code(() => parseForeign(utf8('{"a":1,"\\u0061":1}')))).toBe("json");
  });
});

describe("base64url", () => {
  it("has one text for each byte string", () => {
    const roll = dice(3);
    for (let length = 0; length < 80; length++) {
      const bytes = Uint8Array.from({ length }, () => roll(256));
      expect(unb64(b64(bytes))).toEqual(bytes);
      expect(b64(bytes)).toBe(Buffer.from(bytes).toString("base64url"));
    }
  });

  it.each(["A", "AB", "AA=", "AA==", "A+==", "AA\n", " AA", "AAB", "A/AA", "AAAAA", "é", "AAé"])("refuses %j", (text) => {
    expect(code(() => unb64(text))).toBe("base64");
  });
});

describe("what is shown", () => {
  it.each([
    ["a newline", utf8("a\nb"), "a\\u{a}b"],
    ["an override and a backslash", utf8("\u202e\\"), "\\u{202e}\\u{5c}"],
    ["broken UTF-8", Uint8Array.of(0xff, 0xe2, 0x80, 0x41, 0xed, 0xa0, 0x80), "\\x{ff}\\x{e2}\\x{80}A\\x{ed}\\x{a0}\\x{80}"],
    ["a tag character and the replacement character", utf8("\ufffd\u{e0000}"), "\ufffd\\u{e0000}"],
    ["a byte order mark", utf8("\ufeffa"), "\\u{feff}a"],
  ])("hides no %s", (_, bytes, text) => {
    expect(visible(bytes)).toBe(text);
    expect(encode([text])).toEqual(utf8(JSON.stringify([text])));
  });

  it("escapes what was typed so that it may stand in an object", () => {
    expect(code(() => encode([visibleText("a\u200bb\ud800")]))).toBe("");
  });
});
