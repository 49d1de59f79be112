// Values so long that they would push the other facts off a small screen are folded: both ends in sight, the number of characters
// between them, and the whole on a tap. Nothing is approved before every folded part was opened once (X4).
import type { Card } from "../../work/approving/card";

/** Characters that are shown without folding, and of each end of what is folded. */
const MEASURES = { exe: [96, 36], host: [64, 24], user: [40, 16] } as const;
export const FIRST_SECRETS = 3; // of a card's secrets, before the rest is folded

export interface Folded {
  head: string;
  hidden: number;
  tail: string;
}

export type Measured = keyof typeof MEASURES;

export function fold(kind: Measured, text: string): Folded | undefined {
  const [longest, end] = MEASURES[kind];
  const letters = [...text]; // by code points: half a letter would be another one
  if (letters.length <= longest) return undefined;
  return { head: letters.slice(0, end).join(""), hidden: letters.length - 2 * end, tail: letters.slice(-end).join("") };
}

/** The parts of a card that a person must open before approving, by name. */
export function folds(card: Card): string[] {
  const { observed } = card.facts[0].request;
  const long: [Measured, string][] = [["exe", observed.exe], ["host", card.facts[0].prompt.host], ["user", observed.user]];
  const found = long.filter(([kind, text]) => fold(kind, text)).map(([name]) => `${card.id}/${name}`);
  return card.facts.length > FIRST_SECRETS ? [...found, `${card.id}/secrets`] : found;
}

/** The first characters of what a caller claims; undefined where it is short enough to be shown whole. */
export function capped(text: string, most = 280): string | undefined {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most).join("") : undefined;
}
