// What waits, kept up to date for as long as somebody is signed in, whichever screen is open. One truth for list, card and badge.
import { effect, signal, untracked } from "@preact/signals";
import { line, subscribe, waiting as count } from "../../app/session";
import { ApiError, type Event } from "../../api";
import type { Account } from "../../device/account";
import { verifyDecision } from "../../protocol/approver";
import { Refused } from "../../protocol/error";
import type { Signed } from "../../protocol/objects";
import { b64 } from "../../protocol/text";
import type { Trust } from "../../protocol/trust";
import { pending as texts } from "../../texts/pending";
import { announce } from "../../ui";
import { agreedHead } from "../../work/heads";
import type { Card } from "../../work/approving/card";
import { endedAs, type Entry, merge, swept, withExpired } from "../../work/approving/entries";
import { EMPTY, type State } from "../../work/approving/memory";
import { type RefusedPrompt, Verified, waiting } from "../../work/approving/prompts";
import { takeTaps, tell } from "./telling";

const MATTERS = new Set<Event["kind"]>(["prompt", "withdrawn", "state", "roster", "secret"]);

export const entries = signal<readonly Entry[]>([]);
export const refused = signal<readonly RefusedPrompt[]>([]);
export const held = signal(0);
export const muted = signal<readonly string[]>([]);
export const loaded = signal(false);
export const failure = signal<unknown>(undefined);
/** The relay gives this person no cards: they are no approver. */
export const noApprover = signal(false);
export const memory = signal<State>(EMPTY);
export const trust = signal<Trust | undefined>(undefined);
/** Ids of the cards that are open now. While there are any, or a pointer is down, nothing on the screen moves. */
export const open = signal<readonly string[]>([]);

/** Cards whose decision is under way here, and those that this page has decided. */
let busy: readonly string[] = [];
const settled = new Set<string>();

let fingers = 0;
let still: (() => void)[] = [];

/** Follows what waits until the returned function is called. */
export function watch(account: Account): () => void {
  const verified = new Verified();
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  const refresh = () => {
    if (running) {
      again = true;
      return;
    }
    running = load(account, verified, () => stopped).finally(() => {
      running = undefined;
      if (again && !stopped) {
        again = false;
        refresh();
      }
    });
  };
  renew = refresh;
  const offEvents = subscribe((event) => {
    if (MATTERS.has(event.kind)) refresh();
  });
  const offLine = effect(() => {
    if (line.value === "open") untracked(refresh);
  });
  const offTouch = follow();
  const offTaps = takeTaps();
  const timer = setInterval(tick, 1000);
  refresh();
  return () => {
    stopped = true;
    renew = () => {};
    offEvents();
    offLine();
    offTouch();
    offTaps();
    clearInterval(timer);
    reset();
  };
}

/** Looks again now: after a decision, or when a person asks. */
export let renew: () => void = () => {};

function reset(): void {
  entries.value = [];
  refused.value = [];
  held.value = 0;
  muted.value = [];
  loaded.value = false;
  failure.value = undefined;
  noApprover.value = false;
  count.value = 0;
}

async function load(account: Account, verified: Verified, stopped: () => boolean): Promise<void> {
  try {
    const found = await waiting(account, verified);
    await fingersUp();
    if (stopped()) return;
    const [now, at] = [account.now(), Date.now()];
    const before = entries.value;
    // An answer that came while this was fetched counts: a card that was decided does not come up again.
    const cards = found.cards.filter((one) => !settled.has(one.id));
    entries.value = merge(before, cards, { state: found.state, now, at, live: loaded.value, busy });
    refused.value = found.refused;
    held.value = found.held;
    muted.value = found.muted;
    memory.value = found.state;
    trust.value = found.trust;
    failure.value = undefined;
    noApprover.value = false;
    arrived(entries.value.filter((one) => !before.some((old) => old.card.id === one.card.id)));
    loaded.value = true;
    badge();
    await compare(account, found.trust);
    await explain(account, found.trust);
  } catch (error) {
    if (stopped()) return;
    noApprover.value = error instanceof ApiError && error.status === 403;
    failure.value = noApprover.value ? undefined : error;
  }
}

function arrived(fresh: readonly Entry[]): void {
  if (!fresh.length) return;
  announce(texts.arrived(waits().length));
  if (loaded.peek()) tell(fresh.at(-1)?.card.id ?? "");
}

const waits = () => entries.value.filter((one) => !one.ended);

function badge(): void {
  count.value = waits().length + held.value;
}

/** A14: the heads that the requests carry, against our own. A fork is one card's trouble, named; nobody can approve that card. */
async function compare(account: Account, now: Trust): Promise<void> {
  for (const entry of waits()) {
    const heads = entry.card.facts.flatMap((one) => one.request.log_head?.join(" ") ?? []).join();
    if (!heads || compared.has(heads)) continue;
    try {
      await agreedHead(account, now, entry.card.facts.map((one) => one.request));
      compared.add(heads);
    } catch (error) {
      if (!(error instanceof Refused)) return; // no line: approving compares again
      change(entry.card.id, { fork: error.code });
    }
  }
}

const compared = new Set<string>();

/** What became of cards that are gone: the state is the relay's word, a denial counts when its signature verifies. */
async function explain(account: Account, now: Trust): Promise<void> {
  for (const entry of entries.value) {
    if (entry.ended?.how !== "gone" || asked.has(entry.card.id)) continue;
    asked.add(entry.card.id);
    const request = b64(entry.card.facts[0].prompt.request.oid);
    try {
      const { state, decisions = [] } = await account.api.get<{ state: string; decisions?: Signed[] }>(`/v1/requests/${request}`);
      const by = state === "denied" ? await denier(now, decisions, request, account.now()) : undefined;
      change(entry.card.id, { ended: { ...entry.ended, how: endedAs(state, texts.ended), by } });
    } catch {
      // It stays "not waiting any more".
    }
  }
}

const asked = new Set<string>();

async function denier(now: Trust, decisions: readonly Signed[], request: string, at: number): Promise<string | undefined> {
  for (const signed of decisions) {
    try {
      const { payload } = await verifyDecision(now, signed, at);
      if (payload.verdict !== "approve" && payload.items.some((one) => one.request === request)) return payload.person;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return undefined;
}

function change(id: string, by: Partial<Entry>): void {
  entries.value = entries.value.map((one) => (one.card.id === id ? { ...one, ...by, changed: Date.now() } : one));
}

/** Takes cards that this page decided out of the list: their outcome is shown by whoever decided. */
export function settle(cards: readonly Card[]): void {
  for (const card of cards) settled.add(card.id);
  entries.value = entries.value.filter((one) => !cards.some((card) => card.id === one.card.id));
  badge();
  renew();
}

/** While `work` decides these cards, they stay as they are. */
export async function deciding<T>(cards: readonly Card[], work: () => Promise<T>): Promise<T> {
  const mine = cards.map((one) => one.id);
  busy = [...busy, ...mine];
  try {
    return await work();
  } finally {
    busy = busy.filter((id) => !mine.includes(id));
    renew();
  }
}

function tick(): void {
  if (fingers) return;
  const [now, at] = [Math.floor(Date.now() / 1000), Date.now()];
  let next: readonly Entry[] = withExpired(entries.value, now, at);
  if (!open.value.length) next = swept(next, at, []);
  if (next.length !== entries.value.length || next.some((one, place) => one !== entries.value[place])) {
    entries.value = next;
    badge();
  }
}

/** Knows whether a pointer is down: while one is, nothing under it changes. */
function follow(): () => void {
  const down = () => {
    fingers = 1;
  };
  const up = () => {
    fingers = 0;
    for (const done of still) done();
    still = [];
  };
  document.addEventListener("pointerdown", down, true);
  for (const kind of ["pointerup", "pointercancel", "dragend"]) window.addEventListener(kind, up, true);
  window.addEventListener("blur", up);
  return () => {
    document.removeEventListener("pointerdown", down, true);
    for (const kind of ["pointerup", "pointercancel", "dragend"]) window.removeEventListener(kind, up, true);
    window.removeEventListener("blur", up);
    up();
  };
}

function fingersUp(): Promise<void> {
  // A click comes right after its pointerup: what it hits must be what was pressed.
  return fingers ? new Promise((done) => still.push(() => setTimeout(done, 50))) : Promise.resolve();
}
