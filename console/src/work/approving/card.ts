// The device's decision, pure: from verified prompts to cards (section 6), and from a person's answer to what is signed (7.5).
//
// A `Fact` cannot exist before checks 7.1 to 7.3 made its `Prompt`. What a caller claims stays in `request.claimed` up to the
// screen. No clock, no disk, no network here.
import { cardId, firstPath, group } from "../../protocol/cards";
import { sha256 } from "../../protocol/encoding";
import { b64, utf8 } from "../../protocol/text";
import type { Prompt } from "../../protocol/approver";
import type { ClientCert, Decision, Item, Pair, Policy, Request, Secret } from "../../protocol/objects";
import type { Verdict } from "./memory";

export const MAX_FREEZE = 24 * 3600; // seconds: a freeze ends no later than its hold

/** One verified prompt, with the policy of the roster in force and the people whose approvals verified. */
export interface Fact {
  prompt: Prompt;
  request: Request;
  secret: Secret;
  cert: ClientCert;
  policy: Policy;
  approvedBy: string[];
}

/** All requests of one command: seen and decided at once, each secret named. */
export interface Card {
  id: string;
  facts: [Fact, ...Fact[]]; // in order of path
}

export function factOf(prompt: Prompt, policy: Policy, approvedBy: readonly string[]): Fact {
  return {
    prompt,
    request: prompt.request.payload,
    secret: prompt.secret.payload,
    cert: prompt.cert.payload,
    policy,
    approvedBy: [...new Set(approvedBy)].sort(),
  };
}

/** Whose people and threshold count: `core.policy` for a reseal, the current policy else (section 6). */
export function rules(request: Request, secret: Secret, current: Policy): Policy {
  return request.purpose === "reseal" ? secret.core.policy : current;
}

/** Distinct people whose approvals make the quorum: as sealed. */
export const needed = (fact: Fact): number => fact.secret.core.policy.threshold;

/** The least of the limits on uses; 0 means no limit (section 10). */
export function usesOf(fact: Fact): number {
  const limits = [fact.policy.uses, fact.secret.core.policy.uses, fact.request.uses].filter((one) => one > 0);
  return limits.length ? Math.min(...limits) : 0;
}

/** Groups verified prompts, in order of arrival; the secrets of a card in order of path. */
export async function makeCards(facts: readonly Fact[]): Promise<Card[]> {
  const cards: Card[] = [];
  for (const places of group(facts.map((one) => one.request))) {
    const together = places.flatMap((at) => facts[at] ?? []).sort((a, b) => (a.request.path < b.request.path ? -1 : 1));
    const [first, ...rest] = together;
    if (first) cards.push({ id: await cardId(first.request), facts: [first, ...rest] });
  }
  return cards;
}

/** The code of the card: that of the request with the least path. */
export function codeOf(card: Card): string {
  return (card.facts[firstPath(card.facts.map((one) => one.request))] ?? card.facts[0]).prompt.code;
}

export const codeRequired = (card: Card): boolean => card.facts.some((one) => one.policy.code);
export const windowOf = (card: Card): number => Math.max(...card.facts.map((one) => one.prompt.window));
export const expiresOf = (card: Card): number => card.facts[0].request.expires;
export const subjectOf = (card: Card): string => card.facts[0].cert.subject;

/** Client, account and program: whom the budget and "nth request this hour" count. */
export function identityOf(card: Card): string {
  const { client, observed } = card.facts[0].request;
  return JSON.stringify([client, observed.uid, observed.exe]);
}

/** People still missing, and those who approved every secret of the card. */
export function progress(card: Card): { needed: number; by: string[] } {
  const by = card.facts[0].approvedBy.filter((id) => card.facts.every((one) => one.approvedBy.includes(id)));
  return { needed: Math.max(...card.facts.map(needed)), by };
}

/** The items of a decision on whole cards. The window may only shrink (7.4). */
export function itemsOf(cards: readonly Card[], verdict: Verdict, window: number | undefined): Item[] {
  const yes = verdict === "approve";
  return cards.flatMap((card) => card.facts).map((one) => ({
    request: b64(one.prompt.request.oid),
    secret: b64(one.prompt.secret.oid),
    path: one.request.path,
    version: one.secret.core.version,
    revision: one.secret.core.revision,
    index: one.prompt.index,
    window: yes ? Math.min(one.prompt.window, window ?? one.prompt.window) : 0,
    uses: yes ? usesOf(one) : 0,
  }));
}

export interface Terms {
  org: string;
  verdict: Verdict;
  own: readonly [person: string, device: string];
  items: Item[];
  issued: number;
  expires: number;
  roster: Pair;
  logHead: [number, string] | undefined;
  note?: string | undefined;
}

/** What the person's key signs. An approve ends with its requests, a freeze within a day (7.5). */
export function decisionOf({ org, verdict, own, items, issued, expires, roster, logHead, note }: Terms): Decision {
  return {
    org,
    verdict,
    person: own[0],
    device: own[1],
    issued,
    expires,
    roster,
    items,
    ...(logHead ? { log_head: logHead } : {}),
    ...(note ? { note } : {}),
  };
}

/** Six ASCII digits; nothing is trimmed or folded. X12 */
export const isCode = (typed: string): boolean => /^[0-9]{6}$/.test(typed) && typed.length === 6;

/** Whether the typed code is the card's. Compared by hash, so that the time taken says nothing. */
export async function checkCode(card: Card, typed: string): Promise<boolean> {
  const [one, other] = await Promise.all([sha256(utf8(typed)), sha256(utf8(codeOf(card)))]);
  return isCode(typed) && b64(one) === b64(other);
}
