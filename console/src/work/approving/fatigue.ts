// Whether decisions here have become a habit: how many of the last ones were approvals, and how long each was looked at. Pure; said
// to the person and to nobody else.
import type { Pace, State } from "./memory";

const LOOKED_AT = 20; // decisions
const MOSTLY = 0.95;
const QUICK = 2000; // milliseconds

export interface Meter {
  of: number;
  approved: number;
  median: number; // milliseconds
  /** Nearly all were approvals, and half of them took no time to read. */
  tired: boolean;
}

export function paced(state: State, one: Pace): State {
  return { ...state, paces: [...state.paces, one].slice(-LOOKED_AT) };
}

/** Undefined before anything was decided here. */
export function meterOf({ paces }: State): Meter | undefined {
  if (!paces.length) return undefined;
  const times = paces.map((one) => one.took).sort((a, b) => a - b);
  const median = times[Math.floor((times.length - 1) / 2)] ?? 0;
  const approved = paces.filter((one) => one.approved).length;
  const tired = paces.length >= LOOKED_AT && approved / paces.length >= MOSTLY && median < QUICK;
  return { of: paces.length, approved, median, tired };
}
