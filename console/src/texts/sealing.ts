// Why something is not sealed: what happened, what is safe, what to do.
import type { Words } from "../work/stopped";

const words = (text: string, remedy = ""): Words => ({ text, remedy });

export const sealingText = {
  badPath: (path: string) =>
    words(path ? `${path} is not a name for a secret.` : "The secret has no name yet.",
      "Small letters, digits, dots, dashes and underscores, in parts joined by /, each beginning with a letter or digit; at most 200 characters. For example prod/db_password."),
  notSealer: (person: string) =>
    words(`${person} does not have the role sealer, and others would refuse the seal.`, "An administrator gives the role on the page People."),
  noPolicy: (path: string) => words(`No policy says who may release ${path}.`, "An administrator makes one on the page Policies."),
  tooFew: (missing: readonly string[], needed: number) =>
    words(`${missing.join(", ")} cannot open anything now, and too few people are left: the policy wants ${needed}.`,
      "Their devices have ended or are of a lower tier than the policy wants. An administrator renews or adds a device on the page People."),
  hidden: (path: string, version: number) =>
    words(`The relay knows no ${path}, but this browser has seen version ${version}. Nothing was sealed.`,
      "The relay went back or hides it: ask an administrator."),
  older: (path: string, shown: number, version: number) =>
    words(`The relay shows version ${shown} of ${path}, but this browser has seen version ${version}. Nothing was sealed.`,
      "The relay went back or hides it: ask an administrator."),
  tooLarge: (bytes: number) =>
    words(`The value has ${bytes} bytes; at most 61440 (60 KiB) can be sealed.`, "Seal a key, and keep the rest elsewhere."),
  overtaken: (path: string) => words(`Somebody else sealed ${path} meanwhile. Yours was not stored.`, "Look at it, then seal again."),
  moved: (path: string, lines: readonly string[]) =>
    words(`Who may open ${path}, or how, has changed since this page showed it. Nothing was sealed.`,
      [...lines, "Look at it as it is now, then seal again"].join(". ") + "."),
  wiped: () => words("The file is not in this page any more. Nothing was sealed.", "Choose the file again."),
  otherStored: (path: string) =>
    words(`The relay says that it stored another seal of ${path} than it was sent.`, "Look at its history before you rely on it; then seal again."),
} as const;
