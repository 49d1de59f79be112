// What waits for this person: fetched from the relay, verified here, grouped into cards, held to the device's budget.
//
// A prompt that does not verify is never a card: it is named with the check that refused it, and that is all that can be done
// with it. Grouping looks at unverified bytes, which only says what to verify together: a card is made of verified ones.
import type { Account } from "../../device/account";
import { cardId, group } from "../../protocol/cards";
import { checkPrompt, verifyDecision } from "../../protocol/approver";
import { Refused } from "../../protocol/error";
import type { Request, Signed } from "../../protocol/objects";
import { oidOf, peek } from "../../protocol/signed";
import { b64 } from "../../protocol/text";
import type { Trust } from "../../protocol/trust";
import { counted, hasRoom, limitsOf } from "./budget";
import { type Card, type Fact, factOf, identityOf, makeCards, rules, subjectOf } from "./card";
import { decided, EMPTY, isMuted, type State, withoutMuted } from "./memory";

const MOST_REFUSED = 20; // prompts that fail are looked at no further than this: the rest is held
const FRESH = 60; // seconds that a verified prompt is taken for verified under the same roster; `release` checks again

/** One prompt as the relay gives it (GET /v1/prompts). */
export interface Given {
  request: Signed;
  cert: Signed;
  secret: Signed;
  decisions?: Signed[];
}

/** A prompt that did not verify. The oid is that of bytes that nobody vouches for. */
export interface RefusedPrompt {
  request: string;
  code: string;
  detail: string;
}

export interface Waiting {
  cards: Card[];
  refused: RefusedPrompt[];
  held: number;
  /** The clients of cards that are not shown since this browser froze them: an entry a card. */
  muted: string[];
  state: State;
  trust: Trust;
}

export const STATE = "approver"; // the record in this browser's memory

export const stateOf = async (account: Account): Promise<State> => ({ ...EMPTY, ...(await account.memory.read<State>(STATE)) });

/** One transaction on the record; resolved when it is durable. */
export async function changeState(account: Account, change: (state: State) => State): Promise<State> {
  return account.memory.change<State>(STATE, (old) => change({ ...EMPTY, ...old }));
}

/** Remembers what verified, so that an event costs one new check and not one for everything that waits. */
export class Verified {
  #facts = new Map<string, { fact: Fact; roster: string; at: number }>();

  async of(account: Account, given: Given, trust: Trust, now: number): Promise<Fact | undefined> {
    // Unverified, to choose what to compare with: the check refuses when the verified bytes say otherwise.
    const claimed = peek("request", given.request);
    const state = await stateOf(account);
    if (decided(state, claimed.client, claimed.id)) return undefined;
    const key = JSON.stringify([given.request, given.cert, given.secret]);
    const kept = this.#facts.get(key);
    const fresh = kept?.roster === b64(trust.oid) && now - kept.at < FRESH && now < kept.fact.request.expires;
    let fact = fresh ? kept.fact : undefined;
    if (!fact) {
      const lowest = await account.memory.highest(claimed.path);
      const { cert, request, secret } = given;
      const prompt = await checkPrompt(trust, account.own, cert, request, secret, false, lowest, now);
      fact = factOf(prompt, trust.selectPolicy(claimed.path), []);
      this.#facts.set(key, { fact, roster: b64(trust.oid), at: now });
    }
    return { ...fact, approvedBy: await approvals(given.decisions ?? [], trust, fact, now) };
  }

  /** Forgets what is over. */
  prune(now: number): void {
    for (const [key, { fact }] of this.#facts) if (fact.request.expires <= now) this.#facts.delete(key);
  }
}

/** All cards that wait for this person now, as many as the budget admits. */
export async function waiting(account: Account, verified: Verified): Promise<Waiting> {
  const [given, trust] = await Promise.all([
    account.api.get<{ prompts: Given[] }>("/v1/prompts"),
    account.trust(true),
  ]);
  const now = account.now();
  verified.prune(now);
  const found: Waiting = { cards: [], refused: [], held: 0, muted: [], state: await stateOf(account), trust };
  const atOnce = limitsOf(found.state).shownAtOnce;
  for (const { id, prompts } of await sorted(given.prompts, found)) {
    if (found.cards.length >= atOnce || found.refused.length >= MOST_REFUSED || !hasRoom(id, found.state, now)) {
      found.held += 1;
      continue;
    }
    const facts = await verify(account, verified, prompts, found, now);
    for (const card of await makeCards(facts)) admit(card, found, now);
  }
  found.state = await changeState(account, (state) =>
    found.cards.reduce((next, card) => counted(card.id, identityOf(card), next, now), state));
  return found;
}

/** Ends the hiding of a client that was frozen here. The relay's hold is another thing, and an administrator's to lift. */
export async function showAgain(account: Account, subject: string): Promise<void> {
  await changeState(account, (state) => withoutMuted(state, subject));
}

function admit(card: Card, found: Waiting, now: number): void {
  if (isMuted(found.state, subjectOf(card), now)) {
    found.muted.push(subjectOf(card));
    return;
  }
  found.state = counted(card.id, identityOf(card), found.state, now);
  found.cards.push(card);
}

/** Prompts by the card that their unverified bytes would make, in order of arrival; a request said twice is one. */
async function sorted(given: readonly Given[], found: Waiting): Promise<{ id: string; prompts: Given[] }[]> {
  const readable: { prompt: Given; request: Request }[] = [];
  const seen = new Set<string>();
  for (const prompt of given) {
    const name = await nameOf(prompt);
    if (seen.has(name)) continue;
    seen.add(name);
    try {
      readable.push({ prompt, request: peek("request", prompt.request) });
    } catch (error) {
      refuse(found, name, error);
    }
  }
  const cards = group(readable.map((one) => one.request)).map((places) => places.flatMap((at) => readable[at] ?? []));
  return Promise.all(cards.map(async (one) => ({
    id: one[0] ? await cardId(one[0].request) : "",
    prompts: one.map(({ prompt }) => prompt),
  })));
}

async function verify(
  account: Account, verified: Verified, prompts: readonly Given[], found: Waiting, now: number,
): Promise<Fact[]> {
  const facts: Fact[] = [];
  for (const prompt of prompts) {
    try {
      const fact = await verified.of(account, prompt, found.trust, now);
      if (fact) facts.push(fact);
    } catch (error) {
      refuse(found, await nameOf(prompt), error);
    }
  }
  return facts;
}

function refuse(found: Waiting, request: string, error: unknown): void {
  if (!(error instanceof Refused)) throw error;
  // What ran out on its way here is nothing to be afraid of, and nothing to decide.
  if (error.code !== "expired") found.refused.push({ request, code: error.code, detail: error.detail });
}

/** People whose signed approval of this very request and seal verifies; what does not is left out of the progress shown. */
async function approvals(decisions: readonly Signed[], trust: Trust, fact: Fact, now: number): Promise<string[]> {
  const { people } = rules(fact.request, fact.secret, fact.policy);
  const [request, secret] = [b64(fact.prompt.request.oid), b64(fact.prompt.secret.oid)];
  const found: string[] = [];
  for (const signed of decisions) {
    try {
      const { payload } = await verifyDecision(trust, signed, now);
      const named = payload.items.some((one) => one.request === request && one.secret === secret);
      if (payload.verdict === "approve" && named && people.includes(payload.person)) found.push(payload.person);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
    }
  }
  return found.sort();
}

async function nameOf(prompt: Given): Promise<string> {
  try {
    return b64(await oidOf(prompt.request));
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return "";
  }
}
