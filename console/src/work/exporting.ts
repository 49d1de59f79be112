// Rows as files: JSON Lines, of which the command line can verify the whole log, and CSV that no spreadsheet executes (X7).
import { plain } from "../protocol/text";

export type Cell = string | number | undefined;

const SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"; // full-width ones too: some spreadsheets fold them
// A reader set to another separator cuts a cell where we did not: no piece may begin with a sign either.
const DANGEROUS = new RegExp(`(^|[;,|"])(\\s*)(?=[${SIGNS}])`, "gu");

/** One cell: always quoted, hidden characters written out, nothing in it that a spreadsheet takes for a formula. */
export function cell(value: Cell): string {
  if (typeof value === "number") return String(value);
  const text = plain(value ?? "").replace(DANGEROUS, "$1$2'");
  return `"${text.replaceAll('"', '""')}"`;
}

/** RFC 4180. `columns` are the header. */
export function csv(columns: readonly string[], rows: Iterable<Record<string, unknown>>): string {
  const lines = [columns.map(cell).join(",")];
  for (const row of rows) lines.push(columns.map((name) => cell(asCell(row[name]))).join(","));
  return lines.join("\r\n") + "\r\n";
}

function asCell(value: unknown): Cell {
  if (value === undefined || typeof value === "string") return value;
  if (typeof value === "number") return value >= 0 ? value : String(value);
  return JSON.stringify(value);
}

/** One event is one line (X8), also for readers that take U+2028 for the end of one. */
export function jsonLine(value: unknown): string {
  const escaped = (found: string): string => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(value).replace(/[\u0080-\u009f\u2028\u2029]/g, escaped) + "\n";
}

/** Gives a file to the person. What is in `bytes` is theirs to keep: the browser writes it to disk. */
export function save(name: string, content: Uint8Array | string, type: string): void {
  const url = URL.createObjectURL(new Blob([content as BlobPart], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // a slow browser reads it after the click
}
