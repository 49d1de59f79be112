// What a card must be looked at twice for, pure: what this browser approved before, and what stands in the signed objects.
import { nthThisHour } from "./budget";
import { type Card, identityOf, subjectOf } from "./card";
import type { Program, State } from "./memory";

export const SKEW = 120; // seconds between the asking host's clock and this one that are passed over in silence (A25)
const OFTEN = 3; // requests of one program within an hour that are worth a word
const FAMILIAR = 3; // approvals of a path after which it is no longer looked at for look-alikes
const MOST_EDITS = 2; // of names that look alike

/** A name in three parts: what it shares with another name at both ends, and what is its own. */
export interface Difference {
  before: string;
  own: string;
  after: string;
}

export type Mark =
  | { kind: "reseal" }
  | { kind: "grade" }
  | { kind: "first-host"; host: string }
  | { kind: "first-program" }
  | { kind: "changed"; last: number }
  | { kind: "first-secret"; path: string }
  | { kind: "alike"; path: string; other: string; difference: Difference }
  | { kind: "letters"; where: "program" | "host" | "account" }
  | { kind: "often"; count: number }
  | { kind: "ahead"; seconds: number }
  | { kind: "behind"; seconds: number }
  | { kind: "outside"; path: string; who: string[] };

/** `arrived`: when the card came in while this page listened, by this device's clock; undefined when it was there before. */
export function marksOf(card: Card, state: State, now: number, arrived?: number): Mark[] {
  const { request } = card.facts[0];
  const marks: Mark[] = [];
  if (request.purpose === "reseal") marks.push({ kind: "reseal" });
  if (request.observed.grade === "user") marks.push({ kind: "grade" });
  const [ahead, behind] = [request.issued - now, (arrived ?? request.issued) - request.issued];
  if (ahead > SKEW) marks.push({ kind: "ahead", seconds: ahead });
  if (behind > SKEW) marks.push({ kind: "behind", seconds: behind });
  marks.push(...programMarks(card, state.programs));
  for (const fact of card.facts) marks.push(...secretMarks(fact.request.path, state.programs));
  marks.push(...letterMarks(card));
  const count = nthThisHour(state, identityOf(card), card.id, now);
  if (count >= OFTEN) marks.push({ kind: "often", count });
  for (const { prompt, request: { path } } of card.facts) {
    const who = prompt.outside.map(([, person, device]) => `${person}/${device}`);
    if (who.length) marks.push({ kind: "outside", path, who });
  }
  return marks;
}

/** Grade user is said on the card; in a list it would be said of every line of such a host. */
export const worthALook = (marks: readonly Mark[]): boolean => marks.some((one) => one.kind !== "grade");

/** Letters beyond ASCII may look like others: said, since nothing is normalised. X3 */
function letterMarks(card: Card): Mark[] {
  const { observed } = card.facts[0].request;
  const plain = /^[\x20-\x7e]*$/;
  const marks: Mark[] = [];
  if (!plain.test(observed.exe)) marks.push({ kind: "letters", where: "program" });
  if (!plain.test(card.facts[0].prompt.host)) marks.push({ kind: "letters", where: "host" });
  if (!plain.test(observed.user)) marks.push({ kind: "letters", where: "account" });
  return marks;
}

function programMarks(card: Card, programs: readonly Program[]): Mark[] {
  const { observed } = card.facts[0].request;
  const onHost = programs.filter((one) => one.subject === subjectOf(card));
  if (!onHost.length) return [{ kind: "first-host", host: card.facts[0].prompt.host }];
  const same = onHost.filter((one) => one.exe === observed.exe && one.uid === observed.uid);
  if (!same.length) return [{ kind: "first-program" }];
  const newest = same.reduce((a, b) => (b.last >= a.last ? b : a));
  return newest.digest === observed.exe_sha256 ? [] : [{ kind: "changed", last: newest.last }];
}

function secretMarks(path: string, programs: readonly Program[]): Mark[] {
  const times = approvals(path, programs);
  const marks: Mark[] = times ? [] : [{ kind: "first-secret", path }];
  if (times >= FAMILIAR) return marks;
  const paths = [...new Set(programs.map((one) => one.path))];
  const known = paths.filter((other) => other !== path && approvals(other, programs) > times);
  const other = known.find((one) => alike(path, one));
  if (other !== undefined) marks.push({ kind: "alike", path, other, difference: difference(path, other) });
  return marks;
}

function approvals(path: string, programs: readonly Program[]): number {
  return programs.filter((one) => one.path === path).reduce((sum, one) => sum + one.count, 0);
}

/** Whether two names are easily taken for one another: one begins the other's last part, or few letters differ. X6 */
export function alike(a: string, b: string): boolean {
  const [short, long] = a.length <= b.length ? [a, b] : [b, a];
  if (long.startsWith(short)) return !long.slice(short.length).includes("/");
  return edits(short, long, MOST_EDITS) <= MOST_EDITS;
}

/** What of `name` is its own beside `other`: marked on the screen. */
export function difference(name: string, other: string): Difference {
  let head = 0;
  while (head < name.length && head < other.length && name[head] === other[head]) head += 1;
  let tail = 0;
  const most = Math.min(name.length, other.length) - head;
  while (tail < most && name[name.length - 1 - tail] === other[other.length - 1 - tail]) tail += 1;
  // A name that lacks letters of the other has nothing of its own: then the letter at the gap is marked.
  const [from, to] = head + tail < name.length ? [head, name.length - tail] : [Math.max(0, head - 1), Math.max(head, 1)];
  return { before: name.slice(0, from), own: name.slice(from, to), after: name.slice(to) };
}

/** Levenshtein's distance, given up beyond `most`. */
function edits(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const swap = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(swap, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    if (Math.min(...next) > most) return most + 1;
    row = next;
  }
  return row[b.length] ?? most + 1;
}
