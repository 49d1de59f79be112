// Trust as a person at work has it: what was asked for before a change is not kept, and two tabs do not accuse the relay.
import { beforeEach, expect, it, vi } from "vitest";
import type { Api } from "../src/api";
import { Account } from "../src/device/account";
import { raised, withGiven, type Wrapped } from "../src/device/memory";
import { Refused } from "../src/protocol/error";
import { Trust } from "../src/protocol/trust";

const records = new Map<string, unknown>();
vi.mock("../src/device/memory", async (load) => ({
  ...(await load<object>()),
  Memory: class {
    read = async (key: string) => records.get(key);
    change = async (key: string, step: (old: unknown) => unknown) => {
      records.set(key, step(records.get(key)));
      return records.get(key);
    };
  },
}));

const ORG = "A".repeat(43);
let served: number;
let wait: (() => Promise<void>) | undefined;
let asked: number;

/** A relay whose answer is of the moment in which it was asked. */
const api = {
  get: async () => {
    asked += 1;
    const roster = served;
    await wait?.();
    return { roots: [], roster };
  },
} as unknown as Api;

const account = () => new Account(api, { org: ORG, person: "bob", device: "phone", credential: "c", public: "p" });

beforeEach(() => {
  records.clear();
  [served, asked, wait] = [5, 0, undefined];
  vi.spyOn(Trust, "verify").mockImplementation(async (_pin, _roots, roster, _now, seen) => {
    const version = roster as number;
    if (seen && version < seen.roster[1]) throw new Refused("rollback");
    return { pair: [1, version], oid: new Uint8Array(32).fill(version), expires: Infinity } as unknown as Trust;
  });
});

it("does not keep a roster that was on its way when the next one was announced", async () => {
  const mine = account();
  let go = () => {};
  wait = () => new Promise((done) => (go = done));
  const first = mine.trust();
  served = 6;
  mine.forget();
  wait = undefined;
  go();
  expect((await first).pair).toEqual([1, 6]);
  expect((await mine.trust()).pair).toEqual([1, 6]);
  expect(asked).toBe(2);
});

it("asks once more where another tab was ahead, and refuses a relay that stays behind", async () => {
  const mine = account();
  let go = () => {};
  wait = () => new Promise((done) => (go = done));
  const slow = mine.trust();
  served = 6;
  wait = undefined;
  await account().trust(); // another tab
  go();
  expect((await slow).pair).toEqual([1, 6]);
  served = 4;
  await expect(mine.trust(true)).rejects.toMatchObject({ code: "rollback" });
});

it("keeps its own wrapped keys, whatever copies the relay gives", () => {
  const key = (blob: string, more: Partial<Wrapped> = {}): Wrapped => ({ credential: "c", kind: "kem", public: "p", blob, ...more });
  const kept = [key("mine"), key("mine", { kind: "client", public: "q" })];
  expect(withGiven(kept, [key("theirs"), key("theirs", { public: "r" }), key("theirs", { kind: "client", public: "q" })]))
    .toEqual([...kept, key("theirs", { public: "r" })]);
  expect(withGiven([], [key("a"), key("b")])).toEqual([key("a")]);
});

it("remembers the highest version of each path, and writes nothing where nothing is new", () => {
  const known = new Map<string, [number, number]>([["a", [2, 1]]]);
  expect(raised(known, [["a", [2, 1]], ["a", [1, 9]]])).toBe(known);
  const next = raised(known, [["a", [2, 2]], ["__proto__", [1, 0]], ["a", [2, 0]]]);
  expect([...next]).toEqual([["a", [2, 2]], ["__proto__", [1, 0]]]);
  expect(known.get("a")).toEqual([2, 1]);
});
