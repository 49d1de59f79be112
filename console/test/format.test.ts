// Times as people read them: relative under a day, never wrong by a unit.
import { describe, expect, it } from "vitest";
import type { Policy } from "../src/protocol/objects";
import { secretsText } from "../src/texts/secrets";
import { dateOf, duration, exact, relative } from "../src/ui/format";
import { policy } from "./work/people";

describe("format", () => {
  it.each([
    [0, "now"],
    [-9, "now"],
    [-30, "30 seconds ago"],
    [-90, "2 minutes ago"],
    [-3600, "1 hour ago"],
    [28_790, "in 8 hours"],
    [86_399, "in 24 hours"],
  ])("%i seconds from now is %s", (by, text) => {
    expect(relative(1_800_000_000 + by, 1_800_000_000)).toBe(text);
  });

  it("is a date from a day on", () => {
    expect(relative(1_800_000_000 - 86_400, 1_800_000_000)).toMatch(/20\d\d/);
  });

  it.each([
    [-5, "0 sec"],
    [59, "59 sec"],
    [61, "1 min 1 sec"],
    [3600, "1 hr"],
    [90_061, "1 day 1 hr"],
  ])("a duration of %i seconds is %s", (seconds, text) => {
    expect(duration(seconds)).toBe(text);
  });

  it.each([Number.MAX_SAFE_INTEGER, -1e300, Infinity, NaN, undefined as unknown as number, "soon" as unknown as number])(
    "draws %s too", (at) => {
      for (const text of [exact(at), relative(at, 1_800_000_000), dateOf(at).toISOString(), duration(at)]) {
        expect(typeof text).toBe("string");
      }
    },
  );
});

it("what a use needs counts the people that the policy asks for", () => {
  const terms = (more: Partial<Policy>) => secretsText.terms(policy("prod", ["alice", "bob", "carol"], more));
  expect(terms({})).toBe("1 approval for 15 min by the same process");
  expect(terms({ threshold: 2, uses: 3 })).toBe("2 approvals for 15 min by the same process, 3 times at the most");
  expect(terms({ threshold: 3, window: 0 })).toBe("3 approvals for each use");
});
