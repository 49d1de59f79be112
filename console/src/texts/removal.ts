// Removing a person, a device or a passkey: what stands in the way, what to look at twice.
import type { Words } from "../work/stopped";

const words = (text: string, remedy = ""): Words => ({ text, remedy });

export const removalText = {
  ownDevice: () => words("A device cannot remove itself.", "Let another administrator do it, from a device of theirs."),
  ownPasskey: () => words("You are signed in with this passkey.", "Sign in with another one, then revoke this."),
  policyBlocked: (policy: string, needed: number, left: number) =>
    words(`Policy ${policy} needs ${needed} people and would keep ${left}.`, `Name another approver in policy ${policy} first (Policies).`),
  policyTight: (policy: string, left: number) =>
    left === 1 ? `Policy ${policy} will name one person alone.` : `Policy ${policy} will need all of its ${left} people: whoever is ill or loses a device blocks it.`,
  secretBlocked: (path: string, needed: number, left: number, policy: string) =>
    words(`${path} needs ${needed} ${needed === 1 ? "person" : "people"} and would keep ${left}.`,
      `Add an approver to policy ${policy}, then seal ${path} again.`),
  secretTight: (path: string) => `${path} can then be opened by exactly the people that it needs.`,
  rootKey: (person: string) =>
    words(`The root names a passkey of ${person} as an administrator's, and only the root key can take it out.`,
      `In a terminal, in the home of the root key, or with its sheet (--root-key-file -): stillvault person remove ${person}`),
  rootPasskey: () =>
    words("The root names this passkey as an administrator's, and only the root key can take it out.",
      "In the home that holds the root key, a new root is made without it; then revoke it here."),
  other: (person: string) => words(`The removal of ${person} is not finished.`, "Finish that one first: it goes on where it stopped."),
  hidden: (path: string) =>
    words(`The relay does not show ${path} any more, which must be sealed again. The removal waits, and nothing was lost.`,
      "The relay went back or hides it: ask whoever runs it, then go on."),
  older: (path: string) =>
    words(`The relay shows an older ${path} than this browser has seen.`, "The relay went back: ask whoever runs it. Nothing was signed."),
  unlisted: (path: string) =>
    words(`The relay does not list ${path}, which this browser has seen.`, "The relay went back or hides it: ask whoever runs it. Nothing was signed."),
  twice: (path: string) => words(`The relay lists ${path} twice.`, "Ask whoever runs it. Nothing was signed."),
  waiting: (paths: readonly string[]) =>
    words(`Not sealed again yet: ${paths.join(", ")}.`, "Go on: it takes up where it stopped, and asks for the rest anew."),
} as const;
