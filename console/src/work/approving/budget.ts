// How many cards a relay may put before a person: this device's own limits, because the relay may be hostile. Pure.
//
// A card counts once, when it is first shown; an approved card is given back. What is over the limit is held, said as a number,
// and shown when there is room again. Held cards are not even verified, so that a flood costs this page nothing.
import { HOUR, type State, TEN_MINUTES } from "./memory";

export const LIMITS = {
  shownAtOnce: 10,
  shownPerHour: 20,
  approvalsBeforeCode: 3, // in ten minutes; from the next on, the code is typed
  wrongCodesBeforeFreeze: 3, // in an hour
} as const;

/** Whether this card may be shown: it was before, or the hour has room for one more. */
export function hasRoom(card: string, state: State, now: number): boolean {
  const recent = state.shown.filter((one) => now - HOUR < one.at);
  return recent.some((one) => one.card === card) || recent.filter((one) => !one.approved).length < LIMITS.shownPerHour;
}

/** Counts a card that is shown; once, however often it is seen. */
export function counted(card: string, identity: string, state: State, now: number): State {
  const recent = state.shown.filter((one) => now - HOUR < one.at);
  const shown = recent.some((one) => one.card === card) ? recent : [...recent, { card, identity, at: now, approved: false }];
  return { ...state, shown };
}

/** Gives the cards' places back, and counts one approval for the ramp: cards decided in one ceremony count once. */
export function approved(cards: readonly string[], state: State, now: number): State {
  const shown = state.shown.map((one) => (cards.includes(one.card) ? { ...one, approved: true } : one));
  return { ...state, shown, approvals: [...state.approvals.filter((at) => now - TEN_MINUTES < at), now] };
}

/** Whether an approval must type the code: the fourth in ten minutes, and those after it. */
export function wantsCode(state: State, now: number): boolean {
  return state.approvals.filter((at) => now - TEN_MINUTES < at).length >= LIMITS.approvalsBeforeCode;
}

/** Counts a wrong code. `freeze`: that was one too many in an hour, and the client is to be frozen. */
export function wrongCode(state: State, now: number): { freeze: boolean; state: State } {
  const recent = [...state.wrongCodes.filter((at) => now - HOUR < at), now];
  return { freeze: recent.length >= LIMITS.wrongCodesBeforeFreeze, state: { ...state, wrongCodes: recent } };
}

/** How many cards of this identity were shown within the hour, this one included. */
export function nthThisHour(state: State, identity: string, card: string, now: number): number {
  const others = state.shown.filter((one) => one.identity === identity && one.card !== card && now - HOUR < one.at);
  return others.length + 1;
}
