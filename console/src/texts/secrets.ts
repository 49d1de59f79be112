// The screens of secrets: list, one secret, sealing, `.env` files.
import type { Policy } from "../protocol/objects";
import type { Openers } from "../work/sealing";
import type { Why } from "../work/dotenv";
import { duration, number } from "../ui/format";

const and = new Intl.ListFormat(undefined, { type: "conjunction" });
const or = new Intl.ListFormat(undefined, { type: "disjunction" });
const plural = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;

const SCOPES: Record<string, string> = {
  process: "by the same process",
  task: "within the same task",
  exe: "by the same program of that account",
  unit: "by the same service or container",
};

export const secretsText = {
  title: "Secrets",
  lead: "Names, versions and who can open them. A value never comes to this page.",
  seal: "Seal a secret",
  env: "Seal a .env file",
  search: "Search by name",
  list: "Secrets",
  none: "No secrets yet",
  noneText: "Seal the first one: it is encrypted here, for the people whom a policy names, before it leaves this browser.",
  nothingFound: (text: string) => `No name contains “${text}”.`,
  noRole: "You can look. Sealing takes the role sealer, which an administrator gives on the page People.",
  failed: "The list could not be loaded",
  unverified: (count: number) => plural(count, "secret does not verify", "secrets do not verify"),
  unverifiedText: "The relay shows something that no sealer of the roster signed like this, or an older version than this browser has seen. Nothing of it is shown as fact. Tell an administrator.",
  unverifiedBadge: (code: string) => `not verified: ${code}`,
  nameless: "a seal without a readable name",
  counted: (count: number) => plural(count, "secret", "secrets"),
  back: "All secrets",
  staleBadge: "seal again",
  stale: "Its people or policy changed since it was sealed",
  staleCount: (count: number) => `${plural(count, "secret is", "secrets are")} sealed for other people or terms than today's`,
  staleText: "What was sealed stays as it was: somebody added since cannot open it, somebody removed may still know it. Seal a new value, or the same one again for today's people.",
  sealAgain: "Seal again",
  hidden: (count: number) => `The relay does not list ${plural(count, "secret", "secrets")} that this browser has seen`,
  hiddenText: "It went back to an older state, or hides them. Tell an administrator before you seal anything under these names.",
  aloneBadge: "one person",

  version: (version: number, revision: number) => (revision ? `version ${version}.${revision}` : `version ${version}`),
  number: (version: number, revision: number) => (revision ? `${number(version)}, sealed again ${plural(revision, "time", "times")}` : number(version)),
  copyReference: "Copy reference",
  use: "How a program gets it",
  useText: "The daemon on the host asks, the people named here decide, and the value goes into that one program.",
  newVersion: "Seal a new version",
  facts: { version: "Version", sealedBy: "Sealed by", sealed: "Sealed", policy: "Policy", openers: "Who can open it", use: "A use needs", recovery: "Recovery", oid: "Seal" },
  sealedFrom: (person: string, device: string) => `${person}, from ${device}`,
  history: "History",
  historyFailed: "The history could not be loaded",
  newest: "newest",
  unknown: "No such secret",
  unknownText: "The relay has nothing under this name.",

  quorum: ({ people, threshold }: Openers, name: (id: string) => string): string => {
    const names = people.map(name);
    if (people.length === 1) return `${names[0]} alone`;
    if (threshold === 1) return `Any one of ${or.format(names)}, alone`;
    if (threshold === people.length) return `${and.format(names)}, all ${number(threshold)} together`;
    return `Any ${number(threshold)} of ${and.format(names)}, together`;
  },
  recovery: ({ recovery, recoveryNeeded }: Openers) => `${number(recoveryNeeded)} of ${plural(recovery, "recovery key", "recovery keys")} together`,
  terms: ({ threshold, window, scope, uses }: Policy): string => {
    const yes = plural(threshold, "approval", "approvals");
    if (window === 0 || uses === 1) return `${yes} for each use`;
    const often = uses > 1 ? `, ${number(uses)} times at the most` : "";
    return `${yes} for ${duration(window)} ${SCOPES[scope] ?? scope}${often}`;
  },
  covers: (policy: string, match: readonly string[]) => `${policy} (${match.join(", ")})`,
} as const;

export const sealText = {
  title: "Seal a secret",
  titleVersion: "Seal a new version",
  back: "Back",
  lead: "The value is encrypted in this browser. The relay gets ciphertext.",
  path: "Name",
  pathHint: "For example prod/db_password. The policy with the longest match decides who can open it.",
  looking: "Looking at the policy",
  isNew: "A new secret",
  isNext: (version: number) => `Version ${number(version)} of a secret that exists`,
  changes: "Since your last seal the roster changed",
  changesText: "You seal for the people of today. Look whether you expected this.",
  missing: (names: readonly string[]) => `${and.format([...names])} cannot open this`,
  missingText: "The policy names them, but they have no device that is in date and of the policy's tier. Sealing goes on without them; seal again when they have one.",
  alone: (people: readonly string[]) => (people.length === 1 ? `Only ${people[0]} can open it` : "One person alone can open it"),
  aloneText: (count: number) =>
    count === 1
      ? "If that person loses the device, only the recovery keys open it, where the organisation has them."
      : "The policy asks for one person: any of those named can release it without a second pair of eyes.",
  kind: "The value",
  kinds: [
    { value: "text", label: "Text", hint: "Type or paste it, one line or many." },
    { value: "file", label: "File", hint: "Byte for byte, at most 60 KiB." },
    { value: "generated", label: "Generated here", hint: "Drawn at random; nobody needs to know it." },
  ],
  text: "Text",
  textHint: "Sealed exactly as it stands: no line end is added or taken away.",
  show: "Show what is typed",
  hide: "Hide what is typed",
  bytes: (count: number, limit: number) => `${plural(count, "byte", "bytes")} of ${number(limit)}`,
  tooLarge: (count: number, limit: number) => `${number(count)} bytes: at most ${number(limit)} can be sealed.`,
  file: "File",
  fileEmpty: "This file is empty.",
  length: "Length",
  lengthHint: (least: number, most: number) => `${number(least)} to ${number(most)} characters`,
  alphabet: "Characters",
  alphabets: {
    letters: "Letters and digits",
    url: "Letters, digits, - and _",
    symbols: "Letters, digits and signs",
    plain: "Easy to read aloud (no 0, O, 1, l, I)",
    hex: "Hexadecimal",
  },
  strength: (bits: number) => `${number(bits)} bits`,
  once: "Show it to me once after sealing",
  onceHint: "Where a person has to enter it elsewhere. It is wiped when you close it.",
  go: "Seal with your passkey",
  sealing: "Sealing",
  failed: "It was not sealed",
  planFailed: "This cannot be sealed",
  policyYours: "A policy names who may release what. Make one that matches this name, then come back.",
  policyTheirs: (admins: readonly string[]) =>
    `A policy names who may release what, and an administrator makes it: ask ${admins.length ? or.format([...admins]) : "whoever holds the root key"}.`,
  restored: "An owner has accepted a restore of this relay. If that version was lost with it, the value can be sealed on from what is left.",
  restoredDo: "It was lost: seal on",
  times: (count: number, version: number) =>
    `Your passkey is asked ${number(count)} times: the version passes ${number(version)}, the last one that this browser has seen.`,
  policyMake: "Make a policy",
  policyLook: "Look at the policies",
  done: (path: string, version: number) => `Sealed ${path} version ${number(version)}`,
  doneText: (who: string) => `Who can open it: ${who}. The value is wiped from this page.`,
  look: "Look at it",
  another: "Seal another",
  shown: "The value, once",
  shownText: "Copy it to where it is needed. It is gone from here when you close this.",
  shownClose: "I have it",
  nothing: "There is no value yet.",
} as const;

export const envText = {
  title: "Seal a .env file",
  lead: "Each line is sealed as a secret of its own, and you get the file back with references in place of the values. The file stays in this browser.",
  drop: "Drop a .env file here, or choose one",
  choose: "Choose a file",
  refused: (name: string) => `${name} was not understood. Nothing was sealed`,
  refusedText: "Mend these lines, then drop the file again. What cannot be read exactly is never guessed.",
  line: (line: number) => `Line ${number(line)}`,
  why: {
    bom: "the file begins with a byte order mark: save it as UTF-8 without one",
    utf8: "this is not UTF-8",
    equals: "there is no =",
    name: "what stands before = is not the name of a variable",
    twice: "this name stands twice",
    quote: "a quote is not closed on its line",
    after: "something follows the closing quote",
    escape: "an unknown escape after \\",
    blank: "the value begins or ends with a blank that is not a plain space: put it in quotes",
    zero: "there is a zero byte, which no variable can hold",
    size: "the value has more than 60 KiB",
  } satisfies Record<Why, string>,
  tooLarge: "This is no .env file: it has more than 4 MiB.",
  nothing: "No line of this file holds a value to seal.",
  prefix: "Seal below",
  prefixHint: "The names are proposed below it: in small letters, as `stillvault scan --seal` does. Change each as you like.",
  chosen: (name: string) => `Seal ${name}`,
  pathOf: (name: string) => `Secret for ${name}`,
  problems: { path: "This is not a name for a secret.", same: "Another line has this name already." },
  kept: "These lines stay as they are",
  keptReference: "a reference already",
  keptEmpty: "empty",
  left: (count: number) => `${plural(count, "line keeps its value", "lines keep their values")} in clear`,
  leftText: "You left them out. The file that you get back holds these values as before.",
  check: "Look at the policies",
  change: "Change the names",
  ready: (count: number) => `Ready: ${plural(count, "secret", "secrets")}`,
  readyText: (count: number) => `Your passkey is asked ${count === 1 ? "once" : `${number(count)} times`}: one signature for each secret. You can stop in between and go on.`,
  willBeNew: "new",
  willBeNext: (version: number) => `becomes version ${number(version)}`,
  go: (count: number) => `Seal ${plural(count, "secret", "secrets")}`,
  goOn: (left: number) => `Go on: ${number(left)} left`,
  stop: "Stop after this one",
  states: { waiting: "waiting", sealing: "sealing", sealed: "sealed", failed: "not sealed" },
  progress: (done: number, of: number) => `${number(done)} of ${number(of)} sealed`,
  stopped: "Stopped. What is sealed stays sealed.",
  done: "All sealed",
  doneText: "Take your file with references in place of the values, put it where the old one was, and delete the old one. `stillvault run --env-file F -- COMMAND` reads it.",
  download: "Download the file",
  again: "Another file",
  failed: "A line was not sealed",
} as const;
