import { describe, expect, test } from "vitest";
import { alike, difference, marksOf } from "../../src/work/approving/marks";
import { counted } from "../../src/work/approving/budget";
import { identityOf } from "../../src/work/approving/card";
import { card, fact, program, state } from "./made";

const kinds = (...given: Parameters<typeof marksOf>) => marksOf(...given).map((one) => one.kind);
const known = state({ programs: [program({ count: 5 })] });

describe("what is looked at twice", () => {
  test("nothing, where all is known", () => {
    expect(kinds(card("a", fact()), known, 1000)).toEqual([]);
  });
  test("the first time on a host, of a program, of a secret", () => {
    expect(kinds(card("a", fact()), state(), 1000)).toEqual(["first-host", "first-secret"]);
    expect(kinds(card("a", fact({ observed: { exe: "/usr/bin/other" } })), known, 1000)).toEqual(["first-program"]);
    expect(kinds(card("a", fact({ path: "stage/cache" })), known, 1000)).toEqual(["first-secret"]);
  });
  test("a program that changed since, also when another path was approved", () => {
    expect(marksOf(card("a", fact({ observed: { exe_sha256: "new" } })), known, 1000)).toEqual([{ kind: "changed", last: 500 }]);
  });
  test("the third card of a program within an hour", () => {
    const one = card("c", fact());
    const now = counted("b", identityOf(one), counted("a", identityOf(one), known, 900), 950);
    expect(marksOf(one, now, 1000)).toEqual([{ kind: "often", count: 3 }]);
  });
  test("a clock that is off by more than 120 s", () => { // A25
    expect(kinds(card("a", fact()), known, 880)).toEqual([]);
    expect(marksOf(card("a", fact()), known, 879)).toEqual([{ kind: "ahead", seconds: 121 }]);
    expect(marksOf(card("a", fact()), known, 1121, 1121)).toEqual([{ kind: "behind", seconds: 121 }]);
    expect(kinds(card("a", fact()), known, 1121)).toEqual([]);
  });
  test("recipients outside the policy, a reseal, grade user, letters that are not ASCII", () => {
    const given = fact({
      prompt: { outside: [[3, "mallory", "laptop"]] }, request: { purpose: "reseal" },
      observed: { grade: "user", user: "аgent" },
    });
    expect(kinds(card("a", given), known, 1000)).toEqual(["reseal", "grade", "letters", "outside"]);
  });
});

describe("look-alikes", () => { // X6
  test.each([
    ["prod/db", "prod/db-primary", true],
    ["prod/db", "prod/bd", true],
    ["prod/db1", "prod/dbl", true],
    ["prod/db", "prod/db/password", false],
    ["prod/db", "stage/cache", false],
  ])("%s and %s: %s", (one, other, expected) => {
    expect(alike(one, other)).toBe(expected);
    expect(alike(other, one)).toBe(expected);
  });
  test("the part that differs is marked", () => {
    expect(difference("prod/db-primary", "prod/db")).toEqual({ before: "prod/db", own: "-primary", after: "" });
    expect(difference("prod/dbl-main", "prod/db1-main")).toEqual({ before: "prod/db", own: "l", after: "-main" });
    expect(difference("prod/db", "prod/db-primary")).toEqual({ before: "prod/d", own: "b", after: "" });
  });
  test("a rare name beside a familiar one is marked, a familiar one is not", () => {
    const marks = marksOf(card("a", fact({ path: "prod/db-primary" })), known, 1000);
    expect(marks.find((one) => one.kind === "alike")).toMatchObject({ other: "prod/db", difference: { own: "-primary" } });
    const both = state({ programs: [program({ count: 5 }), program({ path: "prod/db-primary", count: 3 })] });
    expect(kinds(card("a", fact({ path: "prod/db-primary" })), both, 1000)).toEqual([]);
  });
});
