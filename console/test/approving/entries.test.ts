import { describe, expect, test } from "vitest";
import { endedAs, LINGER, merge, named, swept, withExpired } from "../../src/work/approving/entries";
import { armedFrom, ARM_DELAY } from "../../src/views/pending/arming";
import { capped, fold, folds } from "../../src/views/pending/folding";
import { card, fact, state } from "./made";

const at = (now: number, live = true) => ({ state: state(), now, at: now * 1000, live, busy: [] });
const [a, b, c] = [card("a", fact()), card("b", fact({ path: "prod/x" })), card("c", fact({ path: "prod/y" }))];
const ids = (list: readonly { card: { id: string } }[]) => list.map((one) => one.card.id);

describe("the list", () => {
  test("keeps its order: new cards go to the end, gone ones stay and say so", () => { // X11
    const first = merge([], [b, a], at(1000));
    const then = merge(first, [c, a], at(1010));
    expect(ids(then)).toEqual(["b", "a", "c"]);
    expect(then.map((one) => one.ended?.how)).toEqual(["gone", undefined, undefined]);
    expect(ids(swept(then, 1010_000 + LINGER - 1, []))).toEqual(["b", "a", "c"]);
    expect(ids(swept(then, 1010_000 + LINGER, []))).toEqual(["a", "c"]);
    expect(ids(swept(then, 1010_000 + LINGER, ["b"]))).toEqual(["b", "a", "c"]);
  });
  test("knows a change that a person sees from one that nobody does", () => {
    const first = merge([], [a], at(1000));
    expect(merge(first, [card("a", fact())], at(1005))[0]?.changed).toBe(1000_000);
    expect(merge(first, [card("a", fact({ approvedBy: ["alice"] }))], at(1005))[0]?.changed).toBe(1005_000);
    expect(merge(first, [], at(1005))[0]?.changed).toBe(1005_000);
  });
  test("a card that is being decided here is not over", () => {
    const first = merge([], [a], at(1000));
    expect(merge(first, [], { ...at(1005), busy: ["a"] })[0]?.ended).toBeUndefined();
  });
  test("ends cards by this device's own clock", () => {
    const first = merge([], [a], at(1000));
    expect(withExpired(first, 1299, 1)[0]?.ended).toBeUndefined();
    expect(withExpired(first, 1300, 1)[0]?.ended?.how).toBe("expired");
  });
  test("a path names what stands there and nothing else", () => {
    const list = merge([], [a, b], at(1000));
    const oids = (one: { id: string }) => [`oid-of-${one.id}`];
    expect(ids(named(list, "b+a", oids))).toEqual(["b", "a"]);
    expect(ids(named(list, "oid-of-a", oids))).toEqual(["a"]);
    expect(named(list, "*", oids)).toEqual([]);
    expect(named(list, "", oids)).toEqual([]);
    expect(ids(named(list, "a+a", oids))).toEqual(["a"]);
  });
});

test("the relay's word of an end is one of ours, and no expiry", () => { // X10
  const known = { denied: "", expired: "", gone: "" };
  expect(endedAs("denied", known)).toBe("denied");
  for (const said of ["expired", "constructor", "__proto__", "toString", "", 7, null, { denied: 1 }, ["denied"]])
    expect(endedAs(said, known)).toBe("gone");
});

test("approving arms after the last of all changes", () => { // X11
  expect(armedFrom([100, 5000], 3000)).toBe(5000 + ARM_DELAY);
  expect(armedFrom([100], 3000)).toBe(3000 + ARM_DELAY);
});

describe("long values", () => { // X4
  test("show both ends, and nothing is lost", () => {
    const long = `/${"x".repeat(4090)}/evil`;
    const folded = fold("exe", long);
    expect(folded?.tail.endsWith("/evil")).toBe(true);
    expect((folded?.head.length ?? 0) + (folded?.hidden ?? 0) + (folded?.tail.length ?? 0)).toBe(long.length);
    expect(fold("exe", "/usr/bin/claude")).toBeUndefined();
  });
  test("are to be opened before approving, as are secrets beyond the third", () => {
    expect(folds(card("a", fact()))).toEqual([]);
    expect(folds(card("a", fact({ observed: { exe: "/x".repeat(500) } })))).toEqual(["a/exe"]);
    expect(folds(card("a", ...[1, 2, 3, 4].map((n) => fact({ path: `prod/${n}` }))))).toEqual(["a/secrets"]);
  });
  test("claims are cut by whole letters", () => {
    expect(capped("short")).toBeUndefined();
    expect(capped("😀".repeat(300), 2)).toBe("😀😀");
  });
});
