import { describe, expect, test } from "vitest";
import { meterOf, paced } from "../../src/work/approving/fatigue";
import { state } from "./made";

const after = (count: number, took: number, denied = 0) => {
  let now = state();
  for (let at = 0; at < count; at += 1) now = paced(now, { approved: at >= denied, took });
  return meterOf(now);
};

describe("the fatigue meter", () => {
  test("says nothing before the first decision", () => expect(meterOf(state())).toBeUndefined());
  test("warns when nearly all of twenty were approved within two seconds", () => {
    expect(after(20, 1999)).toEqual({ of: 20, approved: 20, median: 1999, tired: true });
    expect(after(20, 1999, 1)?.tired).toBe(true);
    expect(after(20, 1999, 2)?.tired).toBe(false);
    expect(after(20, 2000)?.tired).toBe(false);
    expect(after(19, 100)?.tired).toBe(false);
  });
  test("looks at the last twenty alone, and at half of them", () => {
    let now = state();
    for (let at = 0; at < 50; at += 1) now = paced(now, { approved: true, took: at < 30 ? 60_000 : 500 });
    expect(meterOf(now)).toEqual({ of: 20, approved: 20, median: 500, tired: true });
    for (let at = 0; at < 11; at += 1) now = paced(now, { approved: true, took: 60_000 });
    expect(meterOf(now)?.tired).toBe(false);
  });
});
