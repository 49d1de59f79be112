import { expect, it } from "vitest";

import type { Account } from "../src/device/account";
import { VALUE_LIMIT, sealValue } from "../src/work/sealing";
import type { Plan } from "../src/work/sealing";

const POLICY = { id: "prod", match: ["prod/**"], people: ["alice"], threshold: 1 };
const roster = { people: [], policies: [POLICY] };
const plan = {
  path: "prod/db", version: [1, 0], roster, terms: JSON.stringify([POLICY, [[1, "alice", "laptop", "key"]]]),
} as unknown as Plan;

/** A roster under which Alice's laptop has this key. */
const trust = (key: string, policy: object = POLICY) => ({
  roster: { people: [], policies: [policy] }, selectPolicy: () => policy, recipients: () => [[1, "alice", "laptop"]],
  device: () => ({ kem: { public: key } }),
});
const sealer = (found: object) => {
  const fresh: boolean[] = [];
  const account = {
    trust: async (now = false) => (fresh.push(now), found), now: () => 0, signer: () => { throw new Error("no ceremony"); },
  };
  return { fresh, account: account as unknown as Account };
};

it("asks for the roster of now, and seals for nobody but whom the page named", async () => {
  const same = sealer(trust("key"));
  await expect(sealValue(same.account, plan, new Uint8Array(1))).rejects.toThrow("no ceremony");
  expect(same.fresh).toEqual([true]);
  for (const found of [trust("another key"), trust("key", { ...POLICY, people: ["alice", "mallory"] })]) {
    await expect(sealValue(sealer(found).account, plan, new Uint8Array(1))).rejects.toMatchObject({ code: "roster" });
  }
});

it.each([
  ["the relay is gone", { trust: () => Promise.reject(new Error("unreachable")) }, 12],
  ["the ceremony is refused", sealer(trust("key")).account, 12],
  ["it is too large", {}, VALUE_LIMIT + 1],
])("the value is wiped when %s", async (_, account, length) => {
  const value = new Uint8Array(length).fill(7);
  await expect(sealValue(account as unknown as Account, plan, value)).rejects.toThrow();
  expect(value.every((one) => one === 0)).toBe(true);
});
