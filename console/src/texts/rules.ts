// Why an edit of the roster is refused before it is signed: what is wrong, and what to do about it.
import type { Words } from "../work/stopped";

const names = (ids: readonly string[]): string => ids.join(", ");
const words = (text: string, remedy = ""): Words => ({ text, remedy });

export const rules = {
  unknownPerson: (id: string, known: readonly string[]) => words(`Nobody is called ${id}.`, `Known are: ${names(known)}.`),
  unknownDevice: (person: string, id: string, known: readonly string[]) =>
    words(`${person} has no device ${id}.`, `Known are: ${names(known)}.`),
  unknownPasskey: (device: string) => words(`${device} has no such passkey.`, "Load the page again."),
  lastPasskey: (device: string) => words(`This is the only passkey of ${device}.`, "Remove the whole device instead."),
  recoveryName: () => words("Nobody can be called recovery: the recovery keys stand by that name in every seal.", "Choose another id."),
  idForm: () => words("An id is 1 to 64 small letters, digits, dots, dashes or underscores, and begins with a letter or digit.", "Write it as bob or on-call.2."),
  inPolicy: (person: string, policies: readonly string[]) =>
    words(`${person} is an approver of the policies ${names(policies)}.`, `Take ${person} out of these policies first.`),
  lastAdmin: (person: string) => words(`${person} is the only administrator.`, "Give another person the role first."),
  noRoles: (person: string) => words(`${person} would have no role.`, "Choose at least one; to take a person out altogether, remove them."),
  rolesMoved: (person: string, roles: readonly string[]) =>
    words(`Somebody else changed the roles of ${person} meanwhile: they are ${names(roles)} now. Nothing was published.`,
      "Open the roles again and choose from there."),
  sealedBy: (person: string, path: string, more: number) =>
    words(`${person} sealed ${path}${more ? ` and ${more} more` : ""}, and a seal counts only while its sealer has that role.`,
      "Let another sealer seal them again first (Secrets, Seal again)."),
  policyMoved: (id: string, fresh: boolean) =>
    fresh
      ? words(`There is a policy ${id} already. Nothing was signed.`, "Open that one to change it, or take another name.")
      : words(`Somebody else changed the policy ${id} meanwhile. Nothing was published.`, "Open it again: it stands there as it is now."),
  policyGone: (id: string) => words(`There is no policy ${id}.`, "Somebody may have removed it: load the page again."),
  policyUsed: (id: string, paths: readonly string[]) =>
    words(`Policy ${id} governs ${names(paths.slice(0, 5))}${paths.length > 5 ? ` and ${paths.length - 5} more` : ""}.`,
      "Let another policy match these first: by a longer pattern, or by this one's after it was taken out here. Then seal them again."),
  policyId: () => words("The policy's name is not an id.", "Use small letters, digits, dots and dashes, as in prod or db-write."),
  noMatch: () => words("The policy matches nothing.", "Name at least one path or pattern, as in prod/** or prod/db."),
  matchForm: (pattern: string) =>
    words(`${pattern} is not a path or pattern.`, "A pattern is an exact path (prod/db), a prefix (prod/**) or ** for everything else."),
  nobody: () => words("The policy names nobody.", "Choose at least one approver."),
  twice: (what: string) => words(`${what} stands twice in the policy.`, "Name each once."),
  noApprover: (person: string) => words(`${person} is no approver.`, `Give ${person} the role approver first (People).`),
  threshold: (wanted: number, people: number) =>
    words(`A threshold of ${wanted} does not fit ${people} ${people === 1 ? "person" : "people"}.`, "It is at least 1 and at most the number of people named."),
  matchTaken: (policy: string, pattern: string) =>
    words(`Policy ${policy} matches ${pattern} already.`, "A pattern belongs to one policy: take it out there, or write a longer one here."),
  window: () => words("A window is at most 8 hours.", "Choose between 0 seconds and 8 hours."),
  ttl: () => words("A request lives at most one hour.", "Choose between 1 second and 1 hour."),
  uses: () => words("The number of uses is not a whole number from 0 on.", "0 is without limit."),
  terms: () => words("The policy has an unknown tier, scope or deny rule.", "Load the page again."),
  noHold: (target: string) => words(`${target} is not held.`, "Load the page again."),
  holdTime: () => words("A hold lasts between a second and a year.", "Choose another time."),
  unknownClient: (subject: string) => words(`No certificate of ${subject} stands.`, "It may be revoked already: load the page again."),
  subjectForm: () => words("A client is called host/NAME or agent/NAME.", "Write it as host/db-1 or agent/claude."),
  subjectPerson: () => words("person/.. belongs to people.", "Use host/NAME or agent/NAME; people are invited on the page People."),
  hostForm: () => words("The host's name is not an id.", "Write it as db-1: it is what the approver reads on the card."),
  scopeForm: (pattern: string) => words(`${pattern} is not a path or pattern.`, "Write prod/**, prod/db or **."),
  noScope: () => words("A client without a scope may ask for nothing.", "Name at least one path or pattern."),
  notAdmin: (person: string) =>
    words(`The root does not name this passkey of ${person} as an administrator's, so it cannot sign for the organisation.`,
      `In a terminal, in the home of the root key, or with its sheet (--root-key-file -): stillvault org admin add ${person}`),
  adminThreshold: (count: number) =>
    words(`The root wants ${count} administrators' signatures.`, "This console signs alone: it serves organisations whose root asks for one."),
} as const;
