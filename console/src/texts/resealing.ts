// Sealing again: why it cannot begin, and how far it is.
import type { Words } from "../work/stopped";

const words = (text: string, remedy = ""): Words => ({ text, remedy });

export const resealText = {
  reason: "seal again for the devices of the present roster",
  exe: "Stillvault console",
  user: (person: string) => `browser of ${person}`,
  notSealer: (person: string) => words(`${person} does not have the role sealer.`, "An administrator gives it (People)."),
  noCertificate: () =>
    words("This browser has no certificate for sealing again.",
      "It belongs to the passkey that joined first: sign in with that one. Else join anew as a device of a person with the role sealer."),
  unknown: (path: string) => words(`There is no secret ${path}.`, "Load the page again."),
  conflict: (path: string) => words(`Somebody else sealed ${path} meanwhile.`, "Nothing was overwritten. Go on: it looks again."),
  badAnswer: () => words("The relay approved without handing out the secret.", "Nothing was sealed. Go on to try again, and tell whoever runs the relay."),
  stored: (path: string) => words(`The relay says that it stored another seal of ${path} than it was sent.`, "Look at Secrets, then go on."),
} as const;
