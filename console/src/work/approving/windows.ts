// How long a lease a person is offered, and what is chosen before anybody chooses. Pure. The window may only shrink (7.4): all of
// these lie below what the policy, the seal and the request allow.
import type { Card, Fact } from "./card";

const STEPS = [300, 900, 3600, 4 * 3600, 8 * 3600]; // seconds
const SHORTEST = 300; // seconds: what is chosen where the program asked for nothing shorter than it may have
const LONGEST_UNASKED = 900; // seconds: a program that asks for more is offered it, and a person has to choose it

/** What may be chosen, shortest first; 0 is this once. `proposed` is among them. */
export function offered(longest: number, proposed: number): number[] {
  return [...new Set([0, ...STEPS.filter((one) => one < longest), proposed, longest])].sort((a, b) => a - b);
}

/** The window that is chosen at first: what the program asked for where that is less than it may have, else the shortest that is of
 * use, and never the longest by itself. The least of all requests that can have a lease. */
export function proposedWindow(cards: readonly Card[]): number {
  const facts = cards.flatMap((card) => card.facts).filter((one) => one.prompt.window > 0);
  return facts.length ? Math.min(...facts.map(proposal)) : 0;
}

function proposal({ request, secret, policy, prompt }: Fact): number {
  if (request.purpose === "reseal") return 0; // it makes no lease (section 6)
  const may = Math.min(policy.window, secret.core.policy.window);
  if (request.window < may) return Math.min(request.window, LONGEST_UNASKED);
  return SHORTEST < prompt.window ? SHORTEST : 0;
}
