// How many cards a relay may put before a person: this device's own limits, because the relay may be hostile. Pure.
//
// A card counts once, when it is first shown; an approved card is given back. What is over the limit is held, said as a number,
// and shown when there is room again. Held cards are not even verified, so that a flood costs this page nothing.
import { HOUR, type Limits, type State, TEN_MINUTES } from "./memory";

/** What holds where the person chose nothing, and the widest that they can choose: a limit is there against the person's own
 * habit too, so it can be made narrower and no wider. */
export const LIMITS = { shownAtOnce: 10, shownPerHour: 20, approvalsBeforeCode: 3 } as const;
/** The narrowest. With 0 approvals before it, every card wants its code. */
export const LEAST: Limits = { shownAtOnce: 1, shownPerHour: 1, approvalsBeforeCode: 0 };
const WRONG_CODES_BEFORE_FREEZE = 3; // in an hour

/** The limits in force here. Whatever the record says, they lie within the bounds. */
export function limitsOf({ limits }: State): Limits {
  const within = (name: keyof Limits): number => {
    const chosen = limits[name];
    return Number.isSafeInteger(chosen) ? Math.max(LEAST[name], Math.min(LIMITS[name], chosen as number)) : LIMITS[name];
  };
  return {
    shownAtOnce: within("shownAtOnce"), shownPerHour: within("shownPerHour"), approvalsBeforeCode: within("approvalsBeforeCode"),
  };
}

export function withLimits(state: State, chosen: Partial<Limits>): State {
  return { ...state, limits: limitsOf({ ...state, limits: { ...state.limits, ...chosen } }) };
}

/** Whether this card may be shown: it was before, or the hour has room for one more. */
export function hasRoom(card: string, state: State, now: number): boolean {
  const recent = state.shown.filter((one) => now - HOUR < one.at);
  return recent.some((one) => one.card === card) || recent.filter((one) => !one.approved).length < limitsOf(state).shownPerHour;
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

/** Whether an approval must type the code: as it stands the fourth in ten minutes, and those after it. */
export function wantsCode(state: State, now: number): boolean {
  return approvalsOf(state, now) >= limitsOf(state).approvalsBeforeCode;
}

/** How many approvals there were within ten minutes. */
export function approvalsOf(state: State, now: number): number {
  return state.approvals.filter((at) => now - TEN_MINUTES < at).length;
}

/** Counts a wrong code. `freeze`: that was one too many in an hour, and the client is to be frozen. */
export function wrongCode(state: State, now: number): { freeze: boolean; state: State } {
  const recent = [...state.wrongCodes.filter((at) => now - HOUR < at), now];
  return { freeze: recent.length >= WRONG_CODES_BEFORE_FREEZE, state: { ...state, wrongCodes: recent } };
}

/** How many cards of this identity were shown within the hour, this one included. */
export function nthThisHour(state: State, identity: string, card: string, now: number): number {
  const others = state.shown.filter((one) => one.identity === identity && one.card !== card && now - HOUR < one.at);
  return others.length + 1;
}
