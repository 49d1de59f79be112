// What this browser must not forget about its answers, pure: requests answered (7.2), cards shown and approved (the budget),
// and which programs on which hosts it approved (the marks of a card). One record, changed in one transaction, written before
// the signature that it guards exists. Lists, never maps: a key out of data would be `__proto__` one day.
import type { Item } from "../../protocol/objects";

export const HOUR = 3600; // seconds
export const TEN_MINUTES = 600; // seconds
const CLOCK_MARGIN = 600; // seconds that an answer is kept beyond its request's end: clocks may differ
const MOST_PROGRAMS = 500; // the oldest are forgotten first; forgetting costs a mark too many, never one too few

export type Verdict = "approve" | "deny" | "freeze";

/** One answered request. `item` lets a person take an own approval back. */
export interface Answer {
  client: string;
  requestId: string;
  verdict: Verdict;
  expires: number;
  card: string;
  item: Item;
}

/** One card that was put before the person. `identity`: client, account and program, as measured. */
export interface Shown {
  card: string;
  identity: string;
  at: number;
  approved: boolean;
}

/** A program that was approved for a path on a host: digest, how often, when last. */
export interface Program {
  subject: string;
  uid: number;
  exe: string;
  digest: string;
  path: string;
  count: number;
  last: number;
}

/** Limits that a person may make narrower for this browser. */
export interface Limits {
  shownAtOnce: number; // cards
  shownPerHour: number; // cards
  approvalsBeforeCode: number; // in ten minutes; from the next on, the code is typed
}

/** One decision of this browser: what the fatigue meter looks at. */
export interface Pace {
  approved: boolean;
  took: number; // milliseconds between the opening of the card and the tap
}

export interface State {
  answers: Answer[];
  shown: Shown[];
  approvals: number[]; // times of the last approvals: the typed-code ramp
  wrongCodes: number[];
  muted: { subject: string; until: number }[]; // frozen here: not shown again before
  programs: Program[];
  limits: Partial<Limits>; // as the person chose them
  paces: Pace[]; // of the last decisions
}

export const EMPTY: State = {
  answers: [], shown: [], approvals: [], wrongCodes: [], muted: [], programs: [], limits: {}, paces: [],
};

/** 7.2: whether (client, id) was decided here before. */
export function decided(state: State, client: string, requestId: string): boolean {
  return state.answers.some((one) => one.client === client && one.requestId === requestId);
}

/** Adds answers, and drops those whose requests can no longer be replayed. */
export function withAnswers(state: State, answers: Answer[], now: number): State {
  const fresh = (old: Answer) => answers.some((one) => one.client === old.client && one.requestId === old.requestId);
  const kept = state.answers.filter((one) => now < one.expires + CLOCK_MARGIN && !fresh(one));
  return { ...state, answers: [...kept, ...answers] };
}

/** Takes answers out again: only while no signature over them exists. */
export function withoutAnswers(state: State, answers: Answer[]): State {
  const among = (old: Answer) => answers.some((one) => one.client === old.client && one.requestId === old.requestId);
  return { ...state, answers: state.answers.filter((one) => !among(one)) };
}

/** Counts an approval of these programs: what the marks of later cards are compared with. */
export function withPrograms(state: State, approved: Omit<Program, "count" | "last">[], now: number): State {
  const same = (a: Omit<Program, "count" | "last">, b: Program) =>
    a.subject === b.subject && a.uid === b.uid && a.exe === b.exe && a.path === b.path;
  const next = approved.map((one) => {
    const before = state.programs.find((old) => same(one, old));
    return { ...one, count: (before?.count ?? 0) + 1, last: now };
  });
  const kept = state.programs.filter((old) => !approved.some((one) => same(one, old)));
  return { ...state, programs: [...kept, ...next].slice(-MOST_PROGRAMS) };
}

/** Hides this client's cards here until the end of a freeze, whatever the relay does. */
export function withMuted(state: State, subject: string, until: number, now: number): State {
  const kept = state.muted.filter((one) => now < one.until && one.subject !== subject);
  return { ...state, muted: [...kept, { subject, until }] };
}

/** Shows this client's cards again before that time: its person says so here, and nobody else can. */
export function withoutMuted(state: State, subject: string): State {
  return { ...state, muted: state.muted.filter((one) => one.subject !== subject) };
}

export function isMuted(state: State, subject: string, now: number): boolean {
  return state.muted.some((one) => one.subject === subject && now < one.until);
}
