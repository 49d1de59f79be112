// The parts of a seal by themselves: HPKE with keys that cannot be read, shares, padding, the payload.
import { describe, expect, test } from "vitest";
import { CT_LENGTH, generatePair, kemSeal, opener, pairOfScalar } from "../../src/protocol/hpke";
import { leaseTerms } from "../../src/protocol/lease";
import { pad, unpad } from "../../src/protocol/payload";
import { checkShare, commitment, join, split } from "../../src/protocol/shares";
import type { Share } from "../../src/protocol/shares";
import { unb64, utf8 } from "../../src/protocol/text";
import { random } from "./world";

const refusal = (code: string) => expect.objectContaining({ name: "Refused", code }) as Error;
const INFO = utf8('["stillvault/v1/stanza"]');

describe("HPKE", () => {
  test("opens with a private key that deriveBits alone may use", async () => {
    const { pair, public: to } = await generatePair();
    expect(pair.privateKey).toMatchObject({ extractable: false, usages: ["deriveBits"] });
    const value = random(32);
    const { enc, ct } = await kemSeal(to, INFO, value);
    expect(ct).toHaveLength(CT_LENGTH);
    expect(await opener(pair, to).open(INFO, enc, ct)).toEqual(value);
    await expect(opener(pair, to).open(utf8("[]"), enc, ct)).rejects.toEqual(refusal("open"));
    ct[0]! ^= 1;
    await expect(opener(pair, to).open(INFO, enc, ct)).rejects.toEqual(refusal("open"));
  });

  test("looks at lengths and curve before it touches a key", async () => {
    const { public: to } = await generatePair();
    const { enc, ct } = await kemSeal(to, INFO, random(32));
    // A pair without keys: whoever reaches for one fails with another error.
    const blind = opener({} as CryptoKeyPair, to);
    const off = Uint8Array.from(enc, (byte, at) => (at === 64 ? byte ^ 1 : byte));
    const cases: [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>, string][] = [
      [off, ct, "on the curve"],
      [new Uint8Array(65), ct, "on the curve"],
      [enc.slice(1), ct, "enc is 65"],
      [enc, ct.slice(1), "enc is 65"],
    ];
    for (const [point, sealed, why] of cases) {
      await expect(blind.open(INFO, point, sealed)).rejects.toMatchObject({ code: "open", detail: expect.stringContaining(why) });
    }
    await expect(kemSeal(off, INFO, random(32))).rejects.toEqual(refusal("open"));
    await expect(kemSeal(to, INFO, random(31))).rejects.toEqual(refusal("open"));
  });

  test("takes a scalar in range alone, and keeps it unreadable", async () => {
    const order = unb64("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    const last = order.slice();
    last[31]! -= 1;
    const { pair, public: to } = await pairOfScalar(last);
    expect(pair.privateKey.extractable).toBe(false);
    const { enc, ct } = await kemSeal(to, INFO, last);
    expect(await opener(pair, to).open(INFO, enc, ct)).toEqual(last);
    for (const scalar of [order, new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(31).fill(1)]) {
      await expect(pairOfScalar(scalar)).rejects.toEqual(refusal("open"));
    }
  });
});

describe("shares", () => {
  const secret = new Uint8Array(32).fill(0xa5);

  test("any three of five join, fewer do not, and a commitment tells a false one", async () => {
    const shares = split(secret, 3, [1, 2, 5, 129, 255], random);
    const pick = (...at: number[]): Share[] => at.map((one) => shares[one]!);
    for (const three of [pick(0, 1, 2), pick(4, 2, 0), pick(1, 3, 4), shares]) expect(join(three)).toEqual(secret);
    expect(join(pick(0, 1))).not.toEqual(secret);
    const salt = random(32);
    const committed = await commitment(salt, shares[0]!);
    await checkShare(salt, shares[0]!, committed);
    await expect(checkShare(salt, shares[1]!, committed)).rejects.toEqual(refusal("share"));
  });

  // Over all coefficients a share takes every value once, whatever the secret: zero is among them for this very reason.
  test.each([[0, 1], [0x57, 3], [0xff, 128], [1, 255]])("one of two says nothing of %i at index %i", (byte, index) => {
    const seen = new Set<number>();
    for (let coefficient = 0; coefficient < 256; coefficient++) {
      const shares = split(new Uint8Array(32).fill(byte), 2, [index, index ^ 7], (n) => new Uint8Array(n).fill(coefficient));
      seen.add(shares[0]!.value[0]!);
    }
    expect(seen.size).toBe(256);
  });

  test("what is no split and no join is refused", () => {
    const make = (threshold: number, indices: number[]) => () => split(secret, threshold, indices, random);
    expect(make(1, [0])).toThrow(refusal("index"));
    expect(make(2, [3, 3])).toThrow(refusal("index"));
    expect(make(1, [256])).toThrow(refusal("index"));
    expect(make(0, [1])).toThrow(refusal("threshold"));
    expect(make(3, [1, 2])).toThrow(refusal("threshold"));
    expect(() => join([])).toThrow(refusal("quorum"));
  });
});

describe("padding", () => {
  const sizes = [[0, 64], [60, 64], [61, 128], [124, 128], [125, 256], [61_440, 65_536]] as const;

  test.each(sizes)("of %i bytes has %i and one form", (length, total) => {
    const data = new Uint8Array(length).fill(7);
    const padded = pad(data);
    expect(padded).toHaveLength(total);
    expect(unpad(padded)).toEqual(data);
    if (length + 4 < total) {
      padded[total - 1] = 1;
      expect(() => unpad(padded)).toThrow(refusal("padding"));
    }
  });

  test("that `pad` would not make is refused", () => {
    const twice = new Uint8Array(128);
    twice[3] = 60;
    const beyond = new Uint8Array(64);
    beyond[3] = 61;
    for (const padded of [twice, beyond, new Uint8Array(0), new Uint8Array(32), new Uint8Array(64).fill(255)]) {
      expect(() => unpad(padded)).toThrow(refusal("padding"));
    }
    expect(() => pad(new Uint8Array(61_441))).toThrow(refusal("size"));
  });
});

test("lease terms are the least of all, and none for a reseal", () => {
  const terms = (window: number, uses: number) => ({ window, uses });
  const policy = { ...terms(90_000, 0), scope: "unit" as const };
  expect(leaseTerms(policy, terms(90_000, 0), [], terms(90_000, 0))).toEqual({ window: 28_800, uses: 0, scope: "unit" });
  const items = [terms(60, 0), terms(600, 3)];
  expect(leaseTerms(policy, terms(900, 7), items, terms(900, 5))).toEqual({ window: 60, uses: 3, scope: "unit" });
  expect(leaseTerms(policy, terms(900, 0), [terms(0, 0)], terms(900, 0))).toEqual({ window: 0, uses: 1, scope: "unit" });
  const reseal = { ...terms(9, 0), purpose: "reseal" as const };
  expect(leaseTerms(policy, terms(9, 0), [], reseal)).toEqual({ window: 0, uses: 1, scope: "unit" });
});
