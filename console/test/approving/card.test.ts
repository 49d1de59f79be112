import { describe, expect, test } from "vitest";
import { checkCode, decisionOf, isCode, itemsOf, makeCards, progress, usesOf, windowOf } from "../../src/work/approving/card";
import { card, fact } from "./made";

describe("cards", () => {
  test("are all requests of one command, in order of path", async () => {
    const other = fact({ path: "prod/x", request: { issued: 1001 } });
    const made = await makeCards([fact({ path: "prod/db" }), other, fact({ path: "prod/api" })]);
    expect(made.map((one) => one.facts.map((each) => each.request.path))).toEqual([["prod/api", "prod/db"], ["prod/x"]]);
    expect(made[0]?.id).toMatch(/^[0-9a-f]{12}$/);
  });
  test("have the progress of the request that lacks most", () => {
    const two = { sealed: { threshold: 2 } };
    const both = card("a", fact({ ...two, approvedBy: ["alice"] }), fact({ path: "prod/x", ...two }));
    expect(progress(both)).toEqual({ needed: 2, by: [] });
    expect(progress(card("a", fact({ ...two, approvedBy: ["alice"] })))).toEqual({ needed: 2, by: ["alice"] });
  });
});

describe("items", () => {
  test("the window may only shrink, and a no has none", () => {
    const one = card("a", fact({ prompt: { window: 900 } }));
    expect(itemsOf([one], "approve", undefined)[0]?.window).toBe(900);
    expect(itemsOf([one], "approve", 300)[0]?.window).toBe(300);
    expect(itemsOf([one], "approve", 90_000)[0]?.window).toBe(900);
    expect(itemsOf([one], "deny", 300)[0]).toMatchObject({ window: 0, uses: 0 });
  });
  test("the least of the limits on uses counts; 0 is none", () => {
    expect(usesOf(fact())).toBe(0);
    expect(usesOf(fact({ policy: { uses: 5 }, sealed: { uses: 3 }, request: { uses: 4 } }))).toBe(3);
  });
  test("a card lasts as long as its longest window", () => {
    expect(windowOf(card("a", fact({ prompt: { window: 0 } }), fact({ path: "prod/x", prompt: { window: 60 } })))).toBe(60);
  });
  test("an absent head or note is left out of what is signed", () => {
    const terms = { org: "o", verdict: "deny", own: ["bob", "d"], items: [], issued: 1, expires: 2, roster: [1, 1] } as const;
    const bare = decisionOf({ ...terms, items: [], roster: [1, 1], logHead: undefined });
    expect(Object.keys(bare).sort()).toEqual(["device", "expires", "issued", "items", "org", "person", "roster", "verdict"]);
  });
});

describe("codes", () => { // X12
  const none = ["12 3", "12345", "1234567", "123456 ", " 123456", "１２３４５６", "12345a", "", "123456\n", "١٢٣٤٥٦"];
  test.each(none)("%j is none", async (typed) => {
    expect(isCode(typed)).toBe(false);
    expect(await checkCode(card("a", fact()), typed)).toBe(false);
  });
  test("only the card's own counts", async () => {
    expect(await checkCode(card("a", fact()), "123456")).toBe(true);
    expect(await checkCode(card("a", fact()), "123457")).toBe(false);
  });
});
