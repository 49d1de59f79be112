// Values so long that they would push the other facts off a small screen are folded: both ends in sight, the number of characters
// between them, and the whole on a tap. Nothing is approved before every folded part was opened once (X4).
import type { Card } from "../../work/approving/card";

const LONGEST = 144; // characters that are shown without folding
const END = 56; // characters shown of each end
export const FIRST_SECRETS = 3; // of a card's secrets, before the rest is folded

export interface Folded {
  head: string;
  hidden: number;
  tail: string;
}

export function fold(text: string): Folded | undefined {
  const letters = [...text]; // by code points: half a letter would be another one
  if (letters.length <= LONGEST) return undefined;
  return { head: letters.slice(0, END).join(""), hidden: letters.length - 2 * END, tail: letters.slice(-END).join("") };
}

/** The parts of a card that a person must open before approving, by name. */
export function folds(card: Card): string[] {
  const { observed } = card.facts[0].request;
  const long: [string, string][] = [["exe", observed.exe], ["host", card.facts[0].prompt.host], ["user", observed.user]];
  const found = long.filter(([, text]) => fold(text)).map(([name]) => `${card.id}/${name}`);
  return card.facts.length > FIRST_SECRETS ? [...found, `${card.id}/secrets`] : found;
}

/** The first characters of what a caller claims; undefined where it is short enough to be shown whole. */
export function capped(text: string, most = 280): string | undefined {
  const letters = [...text];
  return letters.length > most ? letters.slice(0, most).join("") : undefined;
}
