// Saying yes or no: memory first, then the signature, then the relay (protocol 7.5).
//
// The order is the point. What is about to be answered is durable before a signature over it can exist, so that no crash, no
// second tab and no relay gets another one. Only when no signature left this page (the ceremony refused, cancelled) is the answer
// taken out again. The same bytes may be sent again when the network fails: an oid that the relay knows changes nothing.
import type { Account } from "../../device/account";
import { ApiError } from "../../api";
import { encode, oid } from "../../protocol/encoding";
import { sign } from "../../protocol/keys";
import type { Item, Pair, Release } from "../../protocol/objects";
import { release } from "../../protocol/release";
import { oidOf, wrap } from "../../protocol/signed";
import { b64 } from "../../protocol/text";
import { deciding as words } from "../../texts/deciding";
import { agreedHead } from "../heads";
import { Stopped } from "../stopped";
import { approved, wrongCode } from "./budget";
import { type Card, checkCode, decisionOf, expiresOf, itemsOf, MAX_FREEZE, subjectOf } from "./card";
import { type Answer, decided, TEN_MINUTES, type Verdict, withAnswers, withMuted, withoutAnswers, withPrograms } from "./memory";
import { changeState, stateOf } from "./prompts";

const ATTEMPTS = 4;
const PAUSE = 500; // milliseconds, doubled each time
const HOLD = 3600; // seconds that a freeze after wrong codes lasts

type No = "deny" | "freeze";

/** What was signed, and what the relay made of it. */
export interface Outcome {
  decision: string; // oid
  states: string[]; // of the requests, in the order of the items
  late: string[]; // oids of requests that were decided, ended or sealed again before: the decision changed nothing there
}

/** Releases every secret of these cards, all of one client, to its requester: one ceremony. The window may only shrink. */
export async function approve(account: Account, cards: readonly Card[], window?: number): Promise<Outcome> {
  if (new Set(cards.map((card) => card.facts[0].request.client)).size !== 1) throw new Stopped("client", words.oneClient);
  const trust = await account.trust(true);
  const requests = cards.flatMap((card) => card.facts).map((one) => one.request);
  const logHead = await agreedHead(account, trust, requests);
  const now = account.now();
  const expires = Math.min(...cards.map(expiresOf));
  if (now >= expires) throw new Stopped("expired", words.expired);
  const items = itemsOf(cards, "approve", window);
  const answers = await remember(account, cards, "approve", items, now);
  const payload = encode(decisionOf({
    org: account.org, verdict: "approve", own: account.own, items, issued: now, expires, roster: trust.pair, logHead,
  }));
  const prompts = cards.flatMap((card) => card.facts).map((one) => one.prompt);
  let sealed: Release;
  try {
    const { signature, kem } = await account.ceremony(await oid("decision", payload));
    // The ceremony may have taken a minute: what expired meanwhile, or was sealed anew before this browser's eyes, is not released.
    const own = await kem();
    const seen = await account.memory.read<Map<string, Pair>>("highest");
    sealed = await release(trust, prompts, wrap("decision", payload, [signature]), own, account.now(), (path) => seen?.get(path));
  } catch (error) {
    // No signature was made, or none left this page: the person may try again.
    await changeState(account, (state) => withoutAnswers(state, answers));
    throw error;
  }
  const outcome = await send(account, b64(await oid("decision", payload)), { release: sealed });
  const programs = cards.flatMap((card) => card.facts).map(({ cert, request: { path, observed } }) => ({
    subject: cert.subject, uid: observed.uid, exe: observed.exe, digest: observed.exe_sha256, path,
  }));
  await changeState(account, (state) => withPrograms(approved(cards.map((one) => one.id), state, now), programs, now));
  return outcome;
}

/** Denies or freezes with the key that needs no ceremony. `until`: the end of a freeze's hold. */
export async function refuse(
  account: Account, cards: readonly Card[], verdict: No, more: { note?: string; until?: number } = {},
): Promise<Outcome> {
  const now = account.now();
  const items = itemsOf(cards, verdict, undefined);
  await remember(account, cards, verdict, items, now);
  const expires = verdict === "freeze" ? (more.until ?? now + HOLD) : Math.min(...cards.map(expiresOf));
  const first = cards[0];
  if (verdict === "freeze" && first) await changeState(account, (state) => withMuted(state, subjectOf(first), expires, now));
  return sayNo(account, items, verdict, expires, now, more.note);
}

/** Denies or freezes what this browser approved before: ends its leases (section 9). */
export async function takeBack(
  account: Account, cardIds: readonly string[], verdict: No = "deny", until?: number,
): Promise<Outcome> {
  const now = account.now();
  const own = (await stateOf(account)).answers.filter((one) => cardIds.includes(one.card) && one.verdict === "approve");
  if (!own.length) throw new Stopped("no-card", words.nothingToTakeBack);
  await changeState(account, (state) => withAnswers(state, own.map((one) => ({ ...one, verdict })), now));
  const items = own.map((one) => ({ ...one.item, window: 0, uses: 0 }));
  const ends = verdict === "freeze" ? (until ?? now + HOLD) : Math.max(now + TEN_MINUTES, ...own.map((one) => one.expires));
  return sayNo(account, items, verdict, ends, now);
}

/** One try: a wrong code denies the card, the third within an hour freezes the client (P5). */
export async function requireCode(account: Account, card: Card, typed: string): Promise<void> {
  if (await checkCode(card, typed)) return;
  const now = account.now();
  let freeze = false;
  await changeState(account, (state) => {
    const counted = wrongCode(state, now);
    freeze = counted.freeze;
    return counted.state;
  });
  await refuse(account, [card], freeze ? "freeze" : "deny", { note: "wrong code" });
  throw new Stopped("wrong-code", freeze ? words.wrongCodeFrozen : words.wrongCode);
}

/** 7.2 and 7.3: durable before a signature exists. Refuses what was answered before, in whichever tab. */
async function remember(
  account: Account, cards: readonly Card[], verdict: Verdict, items: readonly Item[], now: number,
): Promise<Answer[]> {
  const facts = cards.flatMap((card) => card.facts.map((fact) => ({ fact, card })));
  for (const { fact } of facts) {
    const { path, version, revision } = fact.secret.core;
    await account.memory.sawHighest(path, [version, revision]);
  }
  const answers: Answer[] = [];
  for (const [at, { fact, card }] of facts.entries()) {
    const item = items[at];
    if (!item) continue;
    const { client, id, expires } = fact.request;
    answers.push({ client, requestId: id, verdict, expires: expires + item.window, card: card.id, item });
  }
  await changeState(account, (state) => {
    const twice = answers.some((one) => decided(state, one.client, one.requestId));
    if (twice) throw new Stopped("already-decided", words.answeredHere);
    return withAnswers(state, answers, now);
  });
  return answers;
}

async function sayNo(
  account: Account, items: Item[], verdict: No, expires: number, now: number, note?: string,
): Promise<Outcome> {
  if (verdict === "freeze" && !(now < expires && expires <= now + MAX_FREEZE)) throw new Stopped("freeze", words.freezeTime);
  const trust = await account.trust();
  const logHead = await account.memory.logHead(trust.root.log.origin);
  const value = decisionOf({
    org: account.org, verdict, own: account.own, items, issued: now, expires, roster: trust.pair, logHead, note,
  });
  const signed = await sign("decision", value, await account.denySigner());
  return send(account, b64(await oidOf(signed)), { decision: signed });
}

interface Decided {
  states: string[];
  late?: string[];
}

async function send(account: Account, decision: string, body: object): Promise<Outcome> {
  for (let attempt = 1, pause = PAUSE; ; attempt += 1, pause *= 2) {
    try {
      const { states, late = [] } = await account.api.post<Decided>("/v1/decisions", body);
      if (late.length && late.length >= states.length) throw new Stopped("already-decided", words.tooLate);
      return { decision, states, late };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if ([404, 409, 410].includes(error.status) || error.code === "expired") throw new Stopped("already-decided", words.tooLate);
      if (error.status !== 0 || attempt === ATTEMPTS) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}
