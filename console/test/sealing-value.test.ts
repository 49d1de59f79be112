import { expect, it } from "vitest";

import type { Account } from "../src/device/account";
import { VALUE_LIMIT, sealValue } from "../src/work/sealing";
import type { Plan } from "../src/work/sealing";

const plan = { path: "prod/db", version: [1, 0] } as unknown as Plan;

it.each([
  ["the relay is gone", { trust: () => Promise.reject(new Error("unreachable")) }, 12],
  ["the ceremony is refused", { trust: async () => ({}), signer: () => { throw new Error("no"); } }, 12],
  ["it is too large", {}, VALUE_LIMIT + 1],
])("the value is wiped when %s", async (_, account, length) => {
  const value = new Uint8Array(length).fill(7);
  await expect(sealValue(account as unknown as Account, plan, value)).rejects.toThrow();
  expect(value.every((one) => one === 0)).toBe(true);
});
