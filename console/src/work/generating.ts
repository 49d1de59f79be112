// Values made here: every character drawn alike from one alphabet, straight into bytes that the caller wipes.
export const ALPHABETS = {
  letters: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
  url: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
  symbols: "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#%&()*+,-./:;<=>?@[]^_{|}~",
  plain: "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", // nothing that is read for something else
  hex: "0123456789abcdef",
} as const;
export type Alphabet = keyof typeof ALPHABETS;

export const SHORTEST = 8;
export const LONGEST = 4096;

/** `length` characters. A byte beyond the last whole run of the alphabet is drawn again, so that none is likelier. */
export function generate(length: number, alphabet: Alphabet, random: (n: number) => Uint8Array): Uint8Array<ArrayBuffer> {
  const letters = new TextEncoder().encode(ALPHABETS[alphabet]);
  const whole = 256 - (256 % letters.length);
  const value = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const drawn = random(length);
    for (const byte of drawn) {
      if (byte >= whole || at === length) continue;
      value[at] = letters[byte % letters.length] as number;
      at += 1;
    }
    drawn.fill(0);
  }
  return value;
}

/** Bits of what an attacker must guess. */
export function strength(length: number, alphabet: Alphabet): number {
  return Math.floor(length * Math.log2(ALPHABETS[alphabet].length));
}
