// What a check of the protocol means to a person where it stops a whole screen, and not one card: what happened, what to do.
import type { Words } from "../work/stopped";

const words = (text: string, remedy: string): Words => ({ text, remedy });

const RESTORED =
  "Ask whoever runs the relay. If it was restored from a backup, an owner looks at what was lost and ends this: stillvault org accept-restore. If nobody knows of a restore, do not go on.";

export const refusals: Readonly<Record<string, Words>> = {
  rollback: words("The relay shows an older state of the organisation than this browser has seen. Nothing of it is used, and nothing can be signed.", RESTORED),
  fork: words("The relay shows another roster than the one of the same version that this browser has seen. Nothing of it is used.",
    `Compare with another person what they see on the page People. ${RESTORED}`),
  "log-rollback": words("The relay's log is shorter than this browser has seen it.", RESTORED),
  "log-fork": words("The relay's log does not continue the one that this browser saw before: it shows different histories, or it was restored and went on.", RESTORED),
};
