import { beforeEach, expect, it, vi } from "vitest";

import type { Account } from "../src/device/account";
import { parseEnv } from "../src/work/dotenv";
import { planLines, rewritten, sealLines } from "../src/work/env-sealing";
import type { Line } from "../src/work/env-sealing";
import type { Plan } from "../src/work/sealing";

const sealed: { path: string; value: string; bytes: Uint8Array }[] = [];
let refuse = "";
const planned: string[] = [];

vi.mock("../src/work/sealing", () => ({
  plan: async (_: unknown, path: string) => {
    planned.push(path);
    if (path === "no/policy") throw new Error("no-policy");
    return { path };
  },
  sealValue: async (_: unknown, { path }: Plan, bytes: Uint8Array) => {
    if (path === refuse) throw new Error("refused");
    sealed.push({ path, value: new TextDecoder().decode(bytes), bytes });
  },
}));

const account = { trust: async () => ({}) } as unknown as Account;
const file = new TextEncoder().encode('A=1\nB="2\\n"\nC=3\n');
const { assignments } = parseEnv(file);
const never = (): boolean => false;

const lines = (): Promise<Line[]> => planLines(account, new Map(assignments.map((one) => [one, `x/${one.name.toLowerCase()}`])));

beforeEach(() => {
  sealed.length = 0;
  planned.length = 0;
  refuse = "";
});

it("seals each line in order, with its own bytes", async () => {
  const all = await lines();
  const seen: string[] = [];
  await sealLines(account, file, all, never, () => seen.push(all.map((one) => one.state[0]).join("")));
  expect(sealed.map(({ path, value }) => [path, value])).toEqual([["x/a", "1"], ["x/b", "2\n"], ["x/c", "3"]]);
  expect(seen.at(-1)).toBe("sss");
  for (const one of sealed) expect(one.bytes.buffer).not.toBe(file.buffer); // wiping one leaves the file whole
  expect(new TextDecoder().decode(rewritten(file, assignments, all))).toBe("A=sv://x/a\nB=sv://x/b\nC=sv://x/c\n");
});

it("stops where it is told to, and goes on without sealing anything twice", async () => {
  const all = await lines();
  await sealLines(account, file, all, () => sealed.length === 1, () => {});
  expect(all.map((one) => one.state)).toEqual(["sealed", "waiting", "waiting"]);
  expect(new TextDecoder().decode(rewritten(file, assignments, all))).toBe('A=sv://x/a\nB="2\\n"\nC=3\n');
  await sealLines(account, file, all, never, () => {});
  expect(sealed.map(({ path }) => path)).toEqual(["x/a", "x/b", "x/c"]);
});

it("stops behind a line that failed, and looks at it again before the next try", async () => {
  const all = await lines();
  refuse = "x/b";
  await sealLines(account, file, all, never, () => {});
  expect(all.map((one) => one.state)).toEqual(["sealed", "failed", "waiting"]);
  expect(all[1]!.error).toBeInstanceOf(Error);
  refuse = "";
  planned.length = 0;
  await sealLines(account, file, all, never, () => {});
  expect(all.map((one) => one.state)).toEqual(["sealed", "sealed", "sealed"]);
  expect(planned).toEqual(["x/b"]);
});

it("never seals a line of a file that was wiped meanwhile", async () => {
  const own = file.slice();
  const all = await lines();
  await sealLines(account, own, all, never, () => {
    if (sealed.length === 1) own.fill(0);
  });
  expect(sealed.map(({ value }) => value)).toEqual(["1"]);
  expect(all.map((one) => one.state)).toEqual(["sealed", "failed", "waiting"]);
  expect(all[1]!.error).toMatchObject({ code: "wiped" });
});

it("names the line that no policy covers", async () => {
  const [first] = assignments;
  const [line] = await planLines(account, new Map([[first!, "no/policy"]]));
  expect(line).toMatchObject({ plan: undefined, error: expect.any(Error) });
});
