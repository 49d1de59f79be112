// What stands on the screen, pure: cards keep their places while they wait, new ones go to the end, and what is over stays where
// it is until nobody has a finger on it (X11).
import { type Card, expiresOf, progress } from "./card";
import { type Mark, marksOf } from "./marks";
import type { State } from "./memory";

export const LINGER = 20_000; // milliseconds that an ended card stays in the list, saying so

/** How a card ended without this page's doing: a state of the relay's row, `gone` where it says nothing. */
export interface Ended {
  how: string;
  by: string | undefined; // a person whose signed word verified
  at: number; // milliseconds
}

export interface Entry {
  card: Card;
  marks: Mark[];
  /** When it came in, by this device's clock, if it did so while this page listened; undefined when it was there before. */
  arrived: number | undefined;
  seen: number; // unix seconds when this page showed it first
  changed: number; // milliseconds of the last visible change: approving arms some time after it
  ended: Ended | undefined;
  fork: string | undefined; // code of the check that the log of its requests failed
}

/** What the relay says became of a request. Its word ends no time before this device's clock does, and means nothing where it is
 * none of ours. */
export function endedAs(said: unknown, known: object): string {
  return typeof said === "string" && said !== "expired" && Object.hasOwn(known, said) ? said : "gone";
}

interface Merge {
  state: State;
  now: number; // unix seconds
  at: number; // milliseconds
  live: boolean; // the page was listening already
  busy: readonly string[]; // cards that are being decided here: remembered as answered, and not over
}

export function merge(old: readonly Entry[], cards: readonly Card[], { state, now, at, live, busy }: Merge): Entry[] {
  const kept = old.map((entry) => {
    const card = cards.find((one) => one.id === entry.card.id);
    if (!card) return entry.ended || busy.includes(entry.card.id) ? entry : over(entry, now, at);
    const next = { ...entry, card, marks: marksOf(card, state, entry.seen, entry.arrived), ended: undefined };
    return visible(next) === visible(entry) ? next : { ...next, changed: at };
  });
  const fresh = cards.filter((card) => !old.some((entry) => entry.card.id === card.id));
  return [...kept, ...fresh.map((card) => {
    const arrived = live ? now : undefined;
    const marks = marksOf(card, state, now, arrived);
    return { card, marks, arrived, seen: now, changed: at, ended: undefined, fork: undefined };
  })];
}

/** Takes away what ended a while ago, but for the cards that are open. */
export function swept(entries: readonly Entry[], at: number, open: readonly string[]): Entry[] {
  return entries.filter((one) => !one.ended || open.includes(one.card.id) || at - one.ended.at < LINGER);
}

/** Ends by this device's own clock what the relay still shows. */
export function withExpired(entries: readonly Entry[], now: number, at: number): Entry[] {
  return entries.map((one) =>
    one.ended || now < expiresOf(one.card) ? one : over(one, now, at));
}

function over(entry: Entry, now: number, at: number): Entry {
  return { ...entry, ended: { how: now >= expiresOf(entry.card) ? "expired" : "gone", by: undefined, at }, changed: at };
}

/** All that a person sees of an entry and that may change while it waits. */
function visible({ card, marks, ended, fork }: Entry): string {
  const { needed, by } = progress(card);
  return JSON.stringify([card.facts.map((one) => one.request.id), needed, by, marks, ended, fork]);
}

/** The entries that a path names: `id`, `id+id`, what an id is the beginning of, or the oid of a request. Nothing else. */
export function named(entries: readonly Entry[], param: string, oidOf: (card: Card) => string[]): Entry[] {
  const names = param.split("+").filter(Boolean);
  const found = names.flatMap((name) =>
    entries.find(({ card }) => name.startsWith(card.id) || oidOf(card).includes(name)) ?? []);
  return [...new Set(found)];
}
