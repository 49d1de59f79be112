import { expect, it } from "vitest";

import { ALPHABETS, generate, strength } from "../src/work/generating";
import type { Alphabet } from "../src/work/generating";

const random = (n: number): Uint8Array => crypto.getRandomValues(new Uint8Array(n));

it.each(Object.keys(ALPHABETS) as Alphabet[])("%s: the length asked for, from the alphabet alone", (alphabet) => {
  for (const length of [8, 33, 4096]) {
    const text = new TextDecoder().decode(generate(length, alphabet, random));
    expect(text).toHaveLength(length);
    expect([...text].every((one) => ALPHABETS[alphabet].includes(one))).toBe(true);
  }
});

it("draws again what would make a character likelier", () => {
  // 56 letters: 256 = 4 * 56 + 32, so 224 and more are drawn again.
  let drawn = 0;
  const value = generate(4, "plain", (n) => {
    drawn += 1;
    return new Uint8Array(n).fill(drawn === 1 ? 224 : 0);
  });
  expect(drawn).toBe(2);
  expect(new TextDecoder().decode(value)).toBe("AAAA");
});

it("no alphabet holds a character twice, nor what a shell line or .env would need to escape", () => {
  for (const letters of Object.values(ALPHABETS)) {
    expect(new Set(letters).size).toBe(letters.length);
    expect(letters).not.toMatch(/["'`\\$\s]/);
  }
});

it("counts what must be guessed", () => expect([strength(32, "hex"), strength(32, "url"), strength(24, "letters")]).toEqual([128, 192, 142]));
