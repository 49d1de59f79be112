import { describe, expect, it } from "vitest";

import { type Assignment, VALUE_LIMIT, parseEnv, pathProblems, proposedPath, valueOf, withReferences } from "../src/work/dotenv";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (raw: Uint8Array): string => new TextDecoder().decode(raw);

function one(line: string): string {
  const raw = bytes(line);
  const { assignments, problems } = parseEnv(raw);
  if (problems.length) return `refused: ${problems[0]?.why}`;
  return assignments.length === 1 ? text(valueOf(raw, assignments[0] as Assignment)) : "nothing";
}

describe("a line", () => {
  // The same table as that of `stillvault run --env-file`.
  it.each([
    ["A=b", "b"],
    ["export A=b", "b"],
    ["A= b c ", "b c"],
    ["A=b # c", "b"],
    ["A=b#c", "b#c"],
    ["A=#c", ""],
    ["A=", ""],
    ["A='b # c' # d", "b # c"],
    ['A="b\\n\\"c\\$\\\\"', 'b\n"c$\\'],
    ["A=$B`c`", "$B`c`"],
    ["A=sv://x/y", "sv://x/y"],
    ["A=é", "é"],
    ["  A=b\t", "b"],
    ["A=b\r", "b"],
    ["A=''", ""],
    ["A=\"it's\"", "it's"],
    ["A=a=b=c", "a=b=c"],
  ])("%s is taken as written", (line, value) => expect(one(line)).toBe(value));

  it.each([
    ["A", "equals"],
    ["A B=c", "name"],
    ["A =c", "name"],
    ["1A=c", "name"],
    ["=c", "name"],
    ["é=c", "name"],
    ["A='b", "quote"],
    ['A="b', "quote"],
    ['A="b" c', "after"],
    ['A="\\x"', "escape"],
    ['A="b\\', "escape"],
    ["A=b\u00a0", "blank"],
    ["A=b\0c", "zero"],
  ])("%s is refused", (line, why) => expect(one(line)).toBe(`refused: ${why}`));

  it("refuses what is not UTF-8, a byte order mark, and a value that is too large", () => {
    expect(parseEnv(new Uint8Array([65, 61, 0xff])).problems).toEqual([{ line: 1, why: "utf8" }]);
    expect(parseEnv(new Uint8Array([65, 61, 0xc0, 0x80])).problems).toEqual([{ line: 1, why: "utf8" }]);
    expect(parseEnv(new Uint8Array([65, 61, 0xed, 0xa0, 0x80])).problems).toEqual([{ line: 1, why: "utf8" }]);
    expect(parseEnv(bytes("\ufeffA=b")).problems).toEqual([{ line: 1, why: "bom" }]);
    expect(one(`A=${"x".repeat(VALUE_LIMIT)}`)).toHaveLength(VALUE_LIMIT);
    expect(one(`A=${"x".repeat(VALUE_LIMIT + 1)}`)).toBe("refused: size");
    expect(one(`A="${"\\\\".repeat(VALUE_LIMIT)}"`)).toHaveLength(VALUE_LIMIT);
  });
});

describe("a file", () => {
  const file = "# the database\r\n\nexport DB_PASSWORD='hunter two' # rotate\nURL=sv://prod/url\nEMPTY=\nTOKEN=\"a\\nb\"\n";

  it("names each line that it refuses, and no other", () => {
    const { assignments, problems } = parseEnv(bytes("A=1\nnonsense\nB='2\nC=3\nA=4\n"));
    expect(problems).toEqual([{ line: 2, why: "equals" }, { line: 3, why: "quote" }, { line: 5, why: "twice" }]);
    expect(assignments.map((found) => [found.line, found.name])).toEqual([[1, "A"], [4, "C"]]);
  });

  it("tells values from references and from nothing", () => {
    const { assignments } = parseEnv(bytes(file));
    expect(assignments.map((found) => [found.line, found.name, found.kind])).toEqual([
      [3, "DB_PASSWORD", "value"],
      [4, "URL", "reference"],
      [5, "EMPTY", "empty"],
      [6, "TOKEN", "value"],
    ]);
  });

  it("comes back with references, all else byte for byte", () => {
    const raw = bytes(file);
    const { assignments } = parseEnv(raw);
    const paths = new Map([[3, "dev/db_password"], [6, "dev/token"]]);
    expect(text(withReferences(raw, assignments, paths))).toBe(
      "# the database\r\n\nexport DB_PASSWORD=sv://dev/db_password # rotate\nURL=sv://prod/url\nEMPTY=\nTOKEN=sv://dev/token\n",
    );
    expect(text(withReferences(raw, assignments, new Map()))).toBe(file);
    expect(parseEnv(withReferences(raw, assignments, paths)).problems).toEqual([]);
  });

  it("keeps a line without an end, and an empty file", () => {
    const raw = bytes("A=b");
    expect(text(withReferences(raw, parseEnv(raw).assignments, new Map([[1, "a"]])))).toBe("A=sv://a");
    expect(parseEnv(bytes(""))).toEqual({ assignments: [], problems: [] });
  });
});

describe("paths", () => {
  it("are proposed by the grammar", () => {
    expect(proposedPath("prod/web/", "DB_PASSWORD")).toBe("prod/web/db_password");
    expect(proposedPath("", "__TOKEN")).toBe("token");
  });

  it("are refused where they are none, or meet", () => {
    const found = pathProblems(new Map([[1, "prod/a"], [2, "Prod/b"], [3, "prod/a"], [4, "prod/_"], [5, `x/${"y".repeat(200)}`]]));
    expect([...found]).toEqual([[2, "path"], [3, "same"], [4, "path"], [5, "path"]]);
  });
});
