import { describe, expect, test } from "vitest";
import {
  approved, counted, hasRoom, LIMITS, limitsOf, nthThisHour, wantsCode, withLimits, wrongCode,
} from "../../src/work/approving/budget";
import {
  type Answer, decided, EMPTY, HOUR, isMuted, withAnswers, withMuted, withoutAnswers, withPrograms,
} from "../../src/work/approving/memory";
import { program, state } from "./made";

const answer = (requestId: string, more: Partial<Answer> = {}): Answer => ({
  client: "c", requestId, verdict: "approve", expires: 1300, card: "k",
  item: { request: "r", secret: "s", path: "a", version: 1, revision: 0, index: 1, window: 0, uses: 0 }, ...more,
});

describe("answers", () => {
  test("are found by client and id, and kept until they can no longer be replayed", () => { // A7
    const one = withAnswers(EMPTY, [answer("a")], 1000);
    expect(decided(one, "c", "a")).toBe(true);
    expect(decided(one, "other", "a")).toBe(false);
    expect(decided(withAnswers(one, [answer("b")], 1899), "c", "a")).toBe(true);
    expect(decided(withAnswers(one, [answer("b")], 1900), "c", "a")).toBe(false);
  });
  test("replace one's own earlier word, and can be taken out before a signature exists", () => {
    const denied = withAnswers(withAnswers(EMPTY, [answer("a")], 1000), [answer("a", { verdict: "deny" })], 1001);
    expect(denied.answers.map((one) => one.verdict)).toEqual(["deny"]);
    expect(withoutAnswers(denied, [answer("a")]).answers).toEqual([]);
  });
  test("of hostile names are names", () => { // X10
    const one = withAnswers(EMPTY, [answer("__proto__", { client: "constructor" })], 1000);
    expect(decided(one, "constructor", "__proto__")).toBe(true);
    expect(decided(one, "toString", "valueOf")).toBe(false);
  });
});

describe("the budget", () => {
  test("a hostile relay cannot show more than the hour allows", () => { // C19, B11
    let now = EMPTY;
    let shown = 0;
    for (let minute = 0; minute < 60; minute += 1)
      for (let each = 0; each < 20; each += 1) {
        const id = `${minute}-${each}`;
        if (!hasRoom(id, now, 1000 + minute * 60)) continue;
        now = counted(id, "i", now, 1000 + minute * 60);
        shown += 1;
      }
    expect(shown).toBe(LIMITS.shownPerHour);
  });
  test("an approved card gives its place back, and a shown one stays", () => {
    let now = EMPTY;
    for (let each = 0; each < 100; each += 1) {
      expect(hasRoom(`${each}`, now, 1000 + each)).toBe(true);
      now = approved([`${each}`], counted(`${each}`, "i", now, 1000 + each), 1000 + each);
    }
    for (let each = 0; each < 20; each += 1) now = counted(`held-${each}`, "i", now, 2000);
    expect(hasRoom("new", now, 2000)).toBe(false);
    expect(hasRoom("held-3", now, 2000)).toBe(true);
    expect(hasRoom("new", now, 2000 + HOUR)).toBe(true);
  });
  test("the fourth approval in ten minutes wants the code; a batch counts once", () => {
    let now = EMPTY;
    for (const at of [100, 101, 102]) {
      expect(wantsCode(now, at)).toBe(false);
      now = approved(["a", "b", "c"], now, at);
    }
    expect(wantsCode(now, 103)).toBe(true);
    expect(wantsCode(now, 701)).toBe(false);
  });
  test("a person makes the limits narrower, and nobody makes them wider", () => {
    expect(limitsOf(EMPTY)).toEqual(LIMITS);
    const narrow = withLimits(withLimits(EMPTY, { shownPerHour: 2 }), { approvalsBeforeCode: 0 });
    expect(limitsOf(narrow)).toEqual({ shownAtOnce: 10, shownPerHour: 2, approvalsBeforeCode: 0 });
    expect(wantsCode(narrow, 100)).toBe(true);
    expect(hasRoom("c", counted("b", "i", counted("a", "i", narrow, 100), 100), 100)).toBe(false);
    expect(limitsOf(withLimits(narrow, { shownPerHour: 1000, shownAtOnce: 0, approvalsBeforeCode: 99 })))
      .toEqual({ shownAtOnce: 1, shownPerHour: 20, approvalsBeforeCode: 3 });
    const strange = { shownPerHour: Number.NaN, shownAtOnce: "all" } as unknown as typeof EMPTY.limits;
    expect(limitsOf({ ...EMPTY, limits: strange })).toEqual(LIMITS);
  });
  test("the third wrong code in an hour freezes", () => {
    const first = wrongCode(EMPTY, 100);
    const second = wrongCode(first.state, 200);
    expect([first.freeze, second.freeze]).toEqual([false, false]);
    expect(wrongCode(second.state, 300).freeze).toBe(true);
    expect(wrongCode(second.state, 100 + HOUR).freeze).toBe(false);
  });
  test("counts what one program asked within the hour", () => {
    const now = counted("b", "x", counted("a", "x", EMPTY, 100), 200);
    expect(nthThisHour(now, "x", "c", 300)).toBe(3);
    expect(nthThisHour(now, "x", "b", 300)).toBe(2);
    expect(nthThisHour(now, "y", "c", 300)).toBe(1);
    expect(nthThisHour(now, "x", "c", 100 + HOUR)).toBe(2);
  });
});

test("a frozen client is silent here until its hold ends", () => {
  const now = withMuted(EMPTY, "host/db-1", 500, 100);
  expect(isMuted(now, "host/db-1", 499)).toBe(true);
  expect(isMuted(now, "host/db-1", 500)).toBe(false);
  expect(isMuted(now, "host/db-2", 100)).toBe(false);
});

test("programs are counted, each once", () => {
  const { count: _, last: __, ...plain } = program();
  const now = withPrograms(withPrograms(state(), [plain], 100), [{ ...plain, digest: "new" }], 200);
  expect(now.programs).toEqual([{ ...plain, digest: "new", count: 2, last: 200 }]);
});
