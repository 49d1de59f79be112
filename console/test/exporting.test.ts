import { describe, expect, it } from "vitest";

import { cell, csv, jsonLine } from "../src/work/exporting";

describe("a cell of CSV", () => {
  // X7
  it.each(["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "a;=1", "a,=1", 'a"=1', "a| @x"])("never begins a formula: %j", (text) => {
    const made = cell(text);
    expect(made.startsWith('"') && made.endsWith('"')).toBe(true);
    for (const piece of made.slice(1, -1).split(/[;,|"]/)) expect(piece.trim()).not.toMatch(/^[=+\-@＝＋－＠\t\r]/u);
    expect(made).not.toMatch(/[\t\r\n]/);
  });

  it("leaves plain text and numbers as they are", () => {
    expect(cell("prod/db-primary")).toBe('"prod/db-primary"');
    expect(cell("/usr/bin/a=b")).toBe('"/usr/bin/a=b"');
    expect(cell(12)).toBe("12");
    expect(cell(undefined)).toBe('""');
    expect(cell('say "hi"')).toBe('"say ""hi"""');
  });

  it("writes hidden characters out", () => expect(cell("a\u202eb\nc")).toBe('"a\\u{202e}b\\u{a}c"'));
});

it("has a header, and a line a row", () => {
  const rows = [{ index: 0, kind: "sealed", secret: "a,b" }, { index: 1, kind: "roster" }];
  expect(csv(["index", "kind", "secret"], rows)).toBe('"index","kind","secret"\r\n0,"sealed","a,b"\r\n1,"roster",""\r\n');
});

// X8
it("writes one line for one event", () => {
  const made = jsonLine({ exe: "a\nb\u2028c\u0085d" });
  expect(made.slice(0, -1)).not.toMatch(/[\n\r\u2028\u2029\u0085]/);
  expect(JSON.parse(made)).toEqual({ exe: "a\nb\u2028c\u0085d" });
});
