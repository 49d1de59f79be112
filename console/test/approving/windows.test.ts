import { describe, expect, test } from "vitest";
import { offered, proposedWindow } from "../../src/work/approving/windows";
import { card, fact } from "./made";

const HOURS = 8 * 3600;
const asked = (window: number, may = HOURS) =>
  card("a", fact({ policy: { window: may }, request: { window }, prompt: { window: Math.min(window, may) } }));

describe("the window that is chosen at first", () => {
  test("is five minutes where the program asked for nothing shorter than it may have", () => {
    expect(proposedWindow([asked(HOURS)])).toBe(300);
    expect(proposedWindow([asked(HOURS, 900)])).toBe(300);
  });
  test("is never the longest by itself", () => {
    expect(proposedWindow([asked(HOURS, 300)])).toBe(0);
    expect(proposedWindow([asked(HOURS, 60)])).toBe(0);
    expect(proposedWindow([asked(HOURS, 0)])).toBe(0);
  });
  test("is what the program asked for, up to fifteen minutes", () => {
    expect(proposedWindow([asked(120)])).toBe(120);
    expect(proposedWindow([asked(0)])).toBe(0);
    expect(proposedWindow([asked(HOURS - 1)])).toBe(900);
  });
  test("is the least of all secrets that can have a lease", () => {
    const none = fact({ path: "prod/once", policy: { window: 0 }, prompt: { window: 0 } });
    expect(proposedWindow([card("a", ...asked(HOURS).facts, none)])).toBe(300);
    expect(proposedWindow([asked(HOURS), asked(60)])).toBe(60);
  });
  test("is none for a re-seal", () => {
    expect(proposedWindow([card("a", fact({ request: { purpose: "reseal" } }))])).toBe(0);
  });
});

test("what can be chosen goes from this once to the longest, the proposal included", () => {
  expect(offered(900, 300)).toEqual([0, 300, 900]);
  expect(offered(1800, 120)).toEqual([0, 120, 300, 900, 1800]);
  expect(offered(60, 0)).toEqual([0, 60]);
});
