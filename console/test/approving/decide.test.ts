// The order of a decision: durable memory, then the ceremony, then the relay. Signing and releasing are stand-ins here; the real
// ones are held against the vectors, and the whole against a relay in a browser.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "../../src/api";
import type { Account } from "../../src/device/account";
import { approve, refuse, requireCode, takeBack } from "../../src/work/approving/decide";
import { isMuted, type State } from "../../src/work/approving/memory";
import { stateOf } from "../../src/work/approving/prompts";
import { card, fact } from "./made";

const given = vi.hoisted(() => ({ highest: (_path: string): unknown => undefined }));
vi.mock("../../src/protocol/release", () => ({
  release: async (...all: unknown[]) => {
    given.highest = all[5] as typeof given.highest;
    return { sealed: "release" };
  },
}));
vi.mock("../../src/protocol/keys", async (load) => ({
  ...(await load<object>()),
  sign: async (_name: string, value: object) => ({ type: "t", payload: btoa(JSON.stringify(value)), signatures: [] }),
}));
vi.mock("../../src/protocol/signed", async (load) => ({ ...(await load<object>()), oidOf: async () => new Uint8Array(32) }));
vi.mock("../../src/work/heads", () => ({ agreedHead: async () => [7, "A".repeat(43)] }));

let steps: string[];
let records: Map<string, unknown>;
let answers: (() => unknown)[];
let ceremony: () => Promise<unknown>;

const signed = async () => ({ signature: { alg: "webauthn-es256", key: "AA", sig: "AA" }, kem: async () => ({}) });

function browser(): Account {
  const memory = {
    read: async (key: string) => records.get(key),
    change: async (key: string, change: (old: unknown) => unknown) => {
      const next = change(records.get(key));
      records.set(key, next);
      steps.push("memory");
      return next;
    },
    highest: async () => undefined,
    sawHighest: async (path: string, pair: [number, number]) => void steps.push(`saw ${path} ${pair}`),
    logHead: async () => undefined,
  };
  return {
    org: "A".repeat(43), person: "bob", device: "phone", own: ["bob", "phone"], memory,
    now: () => 1010, trust: async () => ({ pair: [1, 1], root: { log: { origin: "vault.example.org/log" } } }),
    denySigner: async () => (steps.push("deny key"), {}),
    ceremony: async () => (steps.push("ceremony"), ceremony()),
    api: {
      post: async (_path: string, body: object) => {
        steps.push(`post ${Object.keys(body)}`);
        return (answers.shift() ?? (() => ({ states: ["approved"] })))();
      },
    },
  } as unknown as Account;
}

beforeEach(() => {
  steps = [];
  records = new Map();
  answers = [];
  ceremony = signed;
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 500 });
});

const now = () => stateOf(browser()) as Promise<State>;

describe("approving", () => {
  test("remembers before the ceremony, and counts after the relay took it", async () => { // A7
    const outcome = await approve(browser(), [card("a", fact())], 300);
    expect(steps).toEqual(["saw prod/db 3,0", "memory", "ceremony", "post release", "memory"]);
    expect(outcome.states).toEqual(["approved"]);
    const state = await now();
    const expected = { client: "client", requestId: "id-prod/db", verdict: "approve", card: "a", item: { window: 300 } };
    expect(state.answers).toMatchObject([expected]);
    expect(state.programs).toMatchObject([{ subject: "host/db-1", exe: "/usr/bin/claude", count: 1 }]);
    expect(state.approvals).toEqual([1010]);
  });
  test("what is released is held against the highest version seen when the ceremony is over", async () => { // A11
    ceremony = async () => {
      records.set("highest", new Map([["prod/db", [4, 0]]])); // another tab sealed meanwhile
      return signed();
    };
    await approve(browser(), [card("a", fact())], 300);
    expect(given.highest("prod/db")).toEqual([4, 0]);
    expect(given.highest("prod/other")).toBeUndefined();
  });
  test("a ceremony that was refused leaves nothing behind: the person may try again", async () => {
    ceremony = async () => { throw new Error("cancelled"); };
    await expect(approve(browser(), [card("a", fact())])).rejects.toThrow("cancelled");
    expect((await now()).answers).toEqual([]);
    expect(steps.some((one) => one.startsWith("post"))).toBe(false);
    ceremony = signed;
    await approve(browser(), [card("a", fact())]);
  });
  test("an answered request is not answered again, whichever card it comes on", async () => { // A7
    await approve(browser(), [card("a", fact())]);
    steps = [];
    await expect(approve(browser(), [card("again", fact())])).rejects.toMatchObject({ code: "already-decided" });
    expect(steps).not.toContain("ceremony");
  });
  test("several cards are one ceremony, of one client only", async () => {
    await approve(browser(), [card("a", fact()), card("b", fact({ path: "prod/x" }))]);
    expect(steps.filter((one) => one === "ceremony")).toHaveLength(1);
    const other = fact({ path: "prod/y", request: { client: "other" } });
    const two = [card("c", fact({ path: "prod/z" })), card("d", other)];
    await expect(approve(browser(), two)).rejects.toMatchObject({ code: "client" });
  });
  test("an expired card asks for no passkey", async () => {
    const over = card("a", fact({ request: { expires: 1010 } }));
    await expect(approve(browser(), [over])).rejects.toMatchObject({ code: "expired" });
    expect(steps).toEqual([]);
  });
  test("the same bytes go again when the line fails, and a word that came too late is said to be", async () => {
    answers = [() => { throw new ApiError(0, "unreachable", ""); }];
    await approve(browser(), [card("a", fact())]);
    expect(steps.filter((one) => one === "post release")).toHaveLength(2);
    answers = [() => ({ states: ["denied"], late: ["r"] })];
    await expect(approve(browser(), [card("b", fact({ path: "prod/x" }))])).rejects.toMatchObject({ code: "already-decided" });
    answers = [() => { throw new ApiError(410, "gone", ""); }];
    await expect(approve(browser(), [card("c", fact({ path: "prod/y" }))])).rejects.toMatchObject({ code: "already-decided" });
  });
});

describe("saying no", () => {
  test("needs no ceremony", async () => {
    await refuse(browser(), [card("a", fact())], "deny");
    expect(steps).toEqual(["saw prod/db 3,0", "memory", "deny key", "post decision"]);
  });
  test("a freeze silences its client here at once, and lasts a day at most", async () => {
    await refuse(browser(), [card("a", fact())], "freeze", { until: 2000 });
    expect(isMuted(await now(), "host/db-1", 1999)).toBe(true);
    const other = [card("b", fact({ path: "prod/x" }))];
    await expect(refuse(browser(), other, "freeze", { until: 1010 + 86_401 })).rejects.toMatchObject({ code: "freeze" });
  });
  test("takes an own approval back, and nothing else", async () => {
    await expect(takeBack(browser(), ["a"])).rejects.toMatchObject({ code: "no-card" });
    await approve(browser(), [card("a", fact())]);
    await takeBack(browser(), ["a"]);
    expect((await now()).answers.map((one) => one.verdict)).toEqual(["deny"]);
  });
});

describe("a typed code", () => { // X12
  test("has one try: a wrong one denies, the third freezes", async () => {
    for (const [id, code] of [["a", "wrong-code"], ["b", "wrong-code"], ["c", "wrong-code"]] as const)
      await expect(requireCode(browser(), card(id, fact({ path: `prod/${id}` })), "000000")).rejects.toMatchObject({ code });
    expect((await now()).answers.map((one) => one.verdict)).toEqual(["deny", "deny", "freeze"]);
    expect(steps).not.toContain("ceremony");
  });
  test("that is right lets the approval go on", async () => {
    await requireCode(browser(), card("a", fact()), "123456");
    expect(steps).toEqual([]);
  });
});
