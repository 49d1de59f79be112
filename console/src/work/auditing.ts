// The log as rows: a row is a leaf with its `detail` laid flat beside `index`, as the command line exports it; and the whole log
// verified here, against the log key of the verified root and the head that this browser saw last (protocol 12).
//
// Laying flat loses nothing, so that an exported file verifies offline: `stillvault audit verify --file F`.
import { decode, encode } from "../protocol/encoding";
import { Refused } from "../protocol/error";
import { bare } from "../protocol/json";
import type { Json } from "../protocol/json";
import { continues, leafHash, rootOf, verifyCheckpoint } from "../protocol/log";
import type { Head, Proof } from "../protocol/log";
import { equal, utf8 } from "../protocol/text";
import type { Bytes } from "../protocol/text";

export type Row = { index: number; kind: string; actor: string; time: number } & { [name: string]: Json };
export type Page = { first: number; leaves: string[]; checkpoint: string };

/** Where the log comes from: the relay, or what plays it in a test. */
export interface Source {
  page(after: number): Promise<Page>;
  proof: Proof;
  /** The hashes of one level 0 tile (C2SP), as bytes. */
  tile(path: string): Promise<Uint8Array>;
}

/** A check of the log that failed, and the row that it can be pinned on. */
export class LogRefused extends Refused {
  readonly row: number | undefined;

  constructor(code: string, detail: string, row?: number) {
    super(code, detail);
    this.row = row;
  }
}

const TOP = ["kind", "oid", "actor", "request", "time", "detail"];
const TILE_WIDTH = 256;

/** A leaf as a row. Its text must be canonical, so no field can stand twice or hide a character. */
export function rowOf(index: number, leaf: string): Row {
  const refused = new LogRefused("log-leaf", "a row is not of the form it must have", index);
  try {
    const bytes = utf8(leaf);
    const { detail, ...rest } = decode(bytes);
    if (typeof detail !== "object" || detail === null || Array.isArray(detail)) throw refused;
    const row = Object.assign(bare<Json>(), { index }, detail, rest) as Row;
    const typed = typeof row.kind === "string" && typeof row.actor === "string" && typeof row.time === "number";
    if (!typed || row.index !== index || !equal(leafOf(row), bytes)) throw refused;
    return row;
  } catch (error) {
    if (error instanceof Refused) throw refused;
    throw error;
  }
}

/** The exact bytes of the leaf that a row was made of. */
export function leafOf(row: Row): Bytes {
  const leaf = bare<Json>();
  const detail = bare<Json>();
  for (const [name, value] of Object.entries(row)) {
    if (name !== "index") (TOP.includes(name) && name !== "detail" ? leaf : detail)[name] = value;
  }
  leaf["detail"] = detail;
  return encode(leaf);
}

/** The leaves from `after` on, page by page, until there are no more. The last page is empty: its checkpoint covers all before. */
export async function* pages(source: Source, after = 0): AsyncGenerator<Page> {
  for (;;) {
    const page = await source.page(after);
    if (page.leaves.length > 0 && page.first !== after) throw new LogRefused("log-leaf", "a row is missing", after);
    yield page;
    if (page.leaves.length === 0) return;
    after += page.leaves.length;
  }
}

export interface Verified {
  head: Head;
  checkpoint: string;
  rows: number;
}

/** The whole log: 1. every row of its form, in order; 2. the checkpoint signed by the log key; 3. it continues the head seen
 * before; 4. the rows hash to its root. Raises `LogRefused`; where one row is to blame it is named. */
export async function verifyLog(
  source: Source,
  log: { origin: string; public: Bytes },
  seen: Head | undefined,
  progress: (rows: number) => void = () => {},
  each: (row: Row) => void = () => {},
): Promise<Verified> {
  const hashes: Bytes[] = [];
  let checkpoint = "";
  // 1.
  for await (const page of pages(source)) {
    checkpoint = page.checkpoint;
    page.leaves.forEach((leaf, at) => each(rowOf(hashes.length + at, leaf)));
    hashes.push(...(await Promise.all(page.leaves.map((leaf) => leafHash(utf8(leaf))))));
    progress(hashes.length);
  }
  // 2. and 3.
  const head = await openHead(checkpoint, log, seen, source.proof);
  // 4.
  if (hashes.length < head.size) {
    throw new LogRefused("log-leaf", `the log has ${head.size} rows, ${hashes.length} are here`, hashes.length);
  }
  const covered = hashes.slice(0, head.size);
  if (!equal(await rootOf(covered), head.root)) {
    throw new LogRefused("log-root", "the rows are not those of the signed checkpoint", await culprit(source, covered, head));
  }
  return { head, checkpoint, rows: hashes.length };
}

/** A checkpoint that the log key signed and that continues the head seen before. */
export async function openHead(
  checkpoint: string, log: { origin: string; public: Bytes }, seen: Head | undefined, proof: Proof,
): Promise<Head> {
  const head = await verifyCheckpoint(checkpoint, log.origin, log.public);
  await continues(seen, head, proof);
  return head;
}

/** The first row that differs from the relay's own tiles, where these hash to the signed root; else nobody can say which. */
async function culprit(source: Source, hashes: readonly Bytes[], head: Head): Promise<number | undefined> {
  const signed: Bytes[] = [];
  try {
    for (let first = 0; first < head.size; first += TILE_WIDTH) {
      const width = Math.min(TILE_WIDTH, head.size - first);
      const tile = await source.tile(tilePath(first / TILE_WIDTH, width));
      for (let at = 0; at < width; at += 1) signed.push(new Uint8Array(tile.slice(32 * at, 32 * at + 32)));
    }
  } catch {
    return undefined; // without the tiles the log is refused all the same
  }
  if (!equal(await rootOf(signed), head.root)) return undefined;
  return signed.findIndex((hash, at) => !equal(hash, hashes[at]!));
}

/** The C2SP spelling of a level 0 tile: groups of three digits, all but the last with an `x`. */
export function tilePath(index: number, width: number): string {
  const groups = [String(index % 1000).padStart(3, "0")];
  for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
    groups.unshift(`x${String(rest % 1000).padStart(3, "0")}`);
  }
  return `0/${groups.join("/")}${width < TILE_WIDTH ? `.p/${width}` : ""}`;
}

export interface Filter {
  kind: string;
  actor: string;
  secret: string;
  host: string;
  from: number; // unix seconds; 0 without
  until: number;
}

/** Whether a row is wanted: the kind exactly, names by what they contain, times half open. */
export function wanted(row: Row, filter: Filter): boolean {
  const holds = (value: Json | undefined, part: string): boolean =>
    part === "" || (typeof value === "string" && value.includes(part));
  return (
    (filter.kind === "" || row.kind === filter.kind) &&
    holds(row.actor, filter.actor) &&
    holds(row["secret"], filter.secret) &&
    holds(row["host"], filter.host) &&
    row.time >= filter.from &&
    (filter.until === 0 || row.time < filter.until)
  );
}

/** The columns of an export for spreadsheets; `text` is the row as people read it. */
export const COLUMNS = [
  "index", "time", "kind", "actor", "secret", "version", "host", "uid", "user", "exe", "people", "window", "device", "channel",
  "outcome", "count", "request", "oid", "text",
] as const;
