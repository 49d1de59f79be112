// A `.env` file on its way into secrets: each chosen line is one secret, one ceremony, one upload, in order; it stops where it is
// told to or where a line fails, and goes on from there. What is sealed stays sealed.
import type { Account } from "../device/account";
import { valueOf, withReferences, type Assignment } from "./dotenv";
import { sealingText } from "../texts/sealing";
import { plan, sealValue, type Plan } from "./sealing";
import { Stopped } from "./stopped";

export type LineState = "waiting" | "sealing" | "sealed" | "failed";

export interface Line {
  assignment: Assignment;
  path: string;
  plan: Plan | undefined;
  state: LineState;
  error: unknown;
}

const AT_ONCE = 8; // lines looked at side by side

/** Looks at every line's policy and newest version. A line that cannot be sealed carries why. */
export async function planLines(account: Account, chosen: ReadonlyMap<Assignment, string>): Promise<Line[]> {
  await account.trust(true);
  const line = ([assignment, path]: [Assignment, string]): Line =>
    ({ assignment, path, plan: undefined, state: "waiting", error: undefined });
  const lines = [...chosen].map(line);
  for (let first = 0; first < lines.length; first += AT_ONCE) {
    await Promise.all(lines.slice(first, first + AT_ONCE).map(async (line) => {
      try {
        line.plan = await plan(account, line.path, false);
      } catch (error) {
        line.error = error;
      }
    }));
  }
  return lines;
}

/** Seals what waits, in order. Stops before the next line once `stopped` says so, and behind one that failed. */
export async function sealLines(
  account: Account, file: Uint8Array, lines: Line[], stopped: () => boolean, show: () => void,
): Promise<void> {
  for (const line of lines) {
    if (line.state === "sealed") continue;
    if (stopped()) return;
    line.state = "sealing";
    line.error = undefined;
    show();
    try {
      // A line that failed is looked at again: somebody else may have sealed it meanwhile.
      line.plan ??= await plan(account, line.path);
      const value = valueOf(file, line.assignment);
      // No line holds a zero byte (the parser refuses it): these bytes were wiped since, and are nobody's value.
      if (value.includes(0)) throw new Stopped("wiped", sealingText.wiped());
      await sealValue(account, line.plan, value);
      line.state = "sealed";
    } catch (error) {
      line.state = "failed";
      line.error = error;
      line.plan = undefined;
      show();
      return;
    }
    show();
  }
}

/** The file with references in the place of what was sealed. */
export function rewritten(file: Uint8Array, assignments: readonly Assignment[], lines: readonly Line[]): Uint8Array {
  const sealed = lines.filter((one) => one.state === "sealed");
  return withReferences(file, assignments, new Map(sealed.map((one) => [one.assignment.line, one.path])));
}
