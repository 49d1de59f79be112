// `.env` files, by the grammar of `stillvault run --env-file`: `NAME=value` a line; what is not understood is
// refused with its line.
//
// The file stays one Uint8Array from the drop to the wipe: values are spans of it and never become strings, which no page can
// erase.
// A value that is `sv://..` already, or empty, keeps its line as it is.
import { isPath } from "../protocol/path";
import { sequence } from "../protocol/text";

export type Assignment = {
  line: number; // from 1
  name: string;
  kind: "value" | "reference" | "empty";
  start: number; // of what stands behind the `=`, quotes included
  end: number;
  value: Span; // between the quotes
  escaped: boolean; // stood in `".."`: `\n` and the like mean something
};
type Span = [start: number, end: number];

export type Problem = { line: number; why: Why };
export type Why = "bom" | "utf8" | "equals" | "name" | "twice" | "quote" | "after" | "escape" | "blank" | "zero" | "size";

export const VALUE_LIMIT = 60 * 1024; // bytes (protocol 5.3)
export const FILE_LIMIT = 4 * 1024 * 1024; // bytes: nobody's `.env`, and still instant

const LF = 10, CR = 13, HASH = 35, EQUALS = 61, BACKSLASH = 92, DOUBLE = 34, SINGLE = 39;
const ESCAPES = new Map([[110, 10], [114, 13], [116, 9], [34, 34], [92, 92], [36, 36]]); // n r t " \ $
const EXPORT = [..."export "].map((one) => one.charCodeAt(0));
const REFERENCE = [..."sv://"].map((one) => one.charCodeAt(0));

const isBlank = (byte: number | undefined): boolean => byte === 32 || (byte !== undefined && byte >= 9 && byte <= 13);
const begins = (bytes: Uint8Array, at: number, word: number[]): boolean => word.every((one, index) => bytes[at + index] === one);

/** The assignments of a file, in order, and every line that is refused. */
export function parseEnv(bytes: Uint8Array): { assignments: Assignment[]; problems: Problem[] } {
  const assignments: Assignment[] = [];
  const problems: Problem[] = [];
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return { assignments, problems: [{ line: 1, why: "bom" }] };
  const seen = new Set<string>();
  let line = 0;
  for (let start = 0; start < bytes.length; ) {
    line += 1;
    let end = bytes.indexOf(LF, start);
    if (end < 0) end = bytes.length;
    const found = parseLine(bytes, start, end, line);
    if (typeof found === "string") problems.push({ line, why: found });
    else if (found && seen.has(found.name)) problems.push({ line, why: "twice" });
    else if (found) {
      seen.add(found.name);
      assignments.push(found);
    }
    start = end + 1;
  }
  return { assignments, problems };
}

function parseLine(bytes: Uint8Array, from: number, to: number, line: number): Assignment | Why | undefined {
  if (!isUtf8(bytes, from, to)) return "utf8";
  let [at, end] = trim(bytes, from, to);
  if (at === end || bytes[at] === HASH) return undefined;
  if (bytes.subarray(at, end).includes(0)) return "zero"; // no variable can hold it
  if (begins(bytes, at, EXPORT)) [at, end] = trim(bytes, at + EXPORT.length, end);
  const equals = bytes.subarray(at, end).indexOf(EQUALS);
  if (equals < 0) return "equals";
  const name = String.fromCharCode(...bytes.subarray(at, at + Math.min(equals, 256)));
  if (equals > 256 || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return "name";
  let start = at + equals + 1;
  while (start < end && isBlank(bytes[start])) start += 1;
  const quote = bytes[start];
  const value = quote === SINGLE || quote === DOUBLE ? quoted(bytes, start, end, quote) : bare(bytes, start, end);
  if (typeof value === "string") return value;
  const [inner, stop] = value;
  if (inner[1] - inner[0] > VALUE_LIMIT && lengthOf(bytes, inner, quote === DOUBLE) > VALUE_LIMIT) return "size";
  const kind = inner[0] === inner[1] ? "empty" : begins(bytes, inner[0], REFERENCE) ? "reference" : "value";
  return { line, name, kind, start, end: stop, value: inner, escaped: quote === DOUBLE };
}

/** A bare value runs to the end of the line, without blanks at either end; `#` at its start or behind a blank begins a comment. */
function bare(bytes: Uint8Array, start: number, end: number): [Span, number] | Why {
  let stop = start;
  while (stop < end && !(bytes[stop] === HASH && (stop === start || bytes[stop - 1] === 32 || bytes[stop - 1] === 9))) stop += 1;
  [start, stop] = trim(bytes, start, stop);
  return wideBlank(bytes, start, stop) ? "blank" : [[start, stop], stop];
}

/** Up to the closing quote; only blanks and a comment may follow. */
function quoted(bytes: Uint8Array, start: number, end: number, quote: number): [Span, number] | Why {
  for (let at = start + 1; at < end; at += 1) {
    if (bytes[at] === quote) {
      const [rest, last] = trim(bytes, at + 1, end);
      return rest === last || bytes[rest] === HASH ? [[start + 1, at], at + 1] : "after";
    }
    if (bytes[at] === BACKSLASH && quote === DOUBLE) {
      at += 1;
      if (at >= end || !ESCAPES.has(bytes[at] as number)) return "escape";
    }
  }
  return "quote";
}

/** The value's bytes, in memory of their own: whoever takes them wipes them. */
export function valueOf(bytes: Uint8Array, one: Assignment): Uint8Array<ArrayBuffer> {
  const [start, end] = one.value;
  const value = new Uint8Array(one.escaped ? lengthOf(bytes, one.value, true) : end - start);
  for (let from = start, to = 0; from < end; from += 1, to += 1) {
    const escape = one.escaped && bytes[from] === BACKSLASH;
    if (escape) from += 1;
    const byte = bytes[from] as number;
    value[to] = escape ? (ESCAPES.get(byte) as number) : byte;
  }
  return value;
}

function lengthOf(bytes: Uint8Array, [start, end]: Span, escaped: boolean): number {
  let length = 0;
  for (let at = start; at < end; at += 1, length += 1) if (escaped && bytes[at] === BACKSLASH) at += 1;
  return length;
}

/** The path that a name proposes below a prefix, as `stillvault scan --seal` names it: the name in lower case. It is shown and can
 * be changed before anything is sealed. */
export function proposedPath(prefix: string, name: string): string {
  const last = name.toLowerCase().replace(/^_+/, "");
  const folder = prefix.replace(/\/+$/, "");
  return folder ? `${folder}/${last}` : last;
}

/** What is wrong with the paths chosen for lines: the grammar, or two lines that meet. */
export function pathProblems(paths: ReadonlyMap<number, string>): Map<number, "path" | "same"> {
  const found = new Map<number, "path" | "same">();
  const taken = new Set<string>();
  for (const [line, path] of paths) {
    if (!isPath(path)) found.set(line, "path");
    else if (taken.has(path)) found.set(line, "same");
    taken.add(path);
  }
  return found;
}

/** The file with `sv://PATH` in the place of each value that `paths` names by its line; all else byte for byte. */
export function withReferences(
  bytes: Uint8Array, assignments: readonly Assignment[], paths: ReadonlyMap<number, string>,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const one of assignments) {
    const path = paths.get(one.line);
    if (path === undefined) continue;
    parts.push(bytes.subarray(at, one.start), new TextEncoder().encode(`sv://${path}`));
    at = one.end;
  }
  parts.push(bytes.subarray(at));
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let to = 0;
  for (const part of parts) {
    whole.set(part, to);
    to += part.length;
  }
  return whole;
}

function trim(bytes: Uint8Array, start: number, end: number): Span {
  while (start < end && isBlank(bytes[start])) start += 1;
  while (end > start && (isBlank(bytes[end - 1]) || bytes[end - 1] === CR)) end -= 1;
  return [start, end];
}

/** A bare value that begins or ends with a blank beyond ASCII: whether it belongs to the value, no reader could tell. */
function wideBlank(bytes: Uint8Array, start: number, end: number): boolean {
  const edge = (from: number, to: number): string =>
    new TextDecoder().decode(bytes.subarray(Math.max(from, start), Math.min(to, end)));
  return /^\s|^\u0085/u.test(edge(start, start + 3)) || /\s$|\u0085$/u.test(edge(end - 3, end));
}

/** Whether the bytes are UTF-8, found without making a string of them. */
function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start, length; at < end; at += length) {
    length = sequence(bytes, at);
    if (length === 0) return false;
  }
  return true;
}
