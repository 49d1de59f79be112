// The screens of policies.
import { duration, number } from "../ui/format";
import type { Preset } from "../work/policies";

const plural = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;
const or = new Intl.ListFormat(undefined, { type: "disjunction" });
const and = new Intl.ListFormat(undefined, { type: "conjunction" });

export const scopeText: Record<string, { label: string; hint: string }> = {
  process: { label: "The same process", hint: "Only the process that asked." },
  task: { label: "The same task", hint: "Everything below the agent or shell session that asked, until it ends." },
  exe: { label: "The same program", hint: "The same program of the same account. Interpreters count as a process." },
  unit: { label: "The same service", hint: "The same systemd unit or container, account and program." },
};

export const presetText: Record<Preset, { label: string; hint: string }> = {
  ask: { label: "Ask every time", hint: "Each use waits for a yes. Nothing is kept." },
  quarter: { label: "15 minutes", hint: "After a yes the same process may use it again for 15 minutes." },
  task: { label: "Once for the task", hint: "One yes for everything below the agent or session that asked, for 8 hours at most." },
  two: { label: "Two people", hint: "Two yeses of two people; one person alone opens nothing. Then 15 minutes for the same process." },
};

export const policiesText = {
  title: "Policies",
  lead: "Who may release what, and how long a yes lasts. For each secret the longest match counts.",
  make: "New policy",
  list: "Policies",
  none: "No policies yet",
  noneText: "Without a policy nothing can be sealed. Say which paths, who approves, and how long a yes lasts.",
  loadFailed: "Policies could not be loaded",
  who: (people: readonly string[], threshold: number): string =>
    people.length === 1 ? `${people[0]} alone` : threshold === 1 ? `Any one of ${or.format(people)}`
    : threshold === people.length ? `All of ${and.format(people)}` : `Any ${number(threshold)} of ${and.format(people)}`,
  terms: (window: number, scope: string): string => (window ? `${duration(window)}, ${scopeText[scope]?.label.toLowerCase() ?? scope}` : presetText.ask.label),
  all: "all needed",
  alone: "one person",
  soft: "key files may approve",
  staleTitle: (count: number) => plural(count, "secret is sealed under other terms than today's", "secrets are sealed under other terms than today's"),
  staleText: "What is sealed keeps its terms and its people until it is sealed again.",
  reseal: "Look at them",
} as const;

export const removePolicyText = {
  title: (id: string) => `Remove policy ${id}`,
  lead: "A policy goes when no secret lies under it. Nothing is sealed again by that, and nobody gets or loses a secret.",
  free: "No secret lies under it",
  sealed: "Sealed on its terms",
  sealedText: "Another policy governs these by now. Their seals keep the old terms until they are sealed again.",
  go: "Remove the policy",
  done: (id: string) => `Policy ${id} is removed`,
} as const;

export const policyText = {
  back: "All policies",
  remove: "Remove this policy",
  titleNew: "New policy",
  unknown: "There is no policy of that name",
  unknownText: "Look at the list.",
  id: "Name",
  idHint: "Small letters, digits, dots, dashes: prod or db-write",
  match: "Which secrets",
  matchHint: "Paths or patterns, one a line: prod/db, prod/** or ** for everything else",
  people: "Who approves",
  peopleNone: "Nobody has the role approver yet.",
  preset: "How often to ask",
  own: { value: "own", label: "Other terms", hint: "As set below." },
  more: "All terms",
  threshold: "People who must say yes",
  tier: "Kind of device that may approve",
  window: "How long a yes lasts",
  windowHint: "0s asks every time; at most 8h. Written as 15m, 1h or 90s.",
  scope: "Who may use it again meanwhile",
  uses: "How often meanwhile",
  usesHint: "0 is without limit",
  ttl: "How long a request waits for an answer",
  ttlHint: "At most 1h. Written as 5m or 90s.",
  deny: "A no",
  denies: [["veto", "One no ends it"], ["count", "Ends it when too few are left to say yes"]] as [string, string][],
  code: "The approver types the code of the asking screen",
  codeHint: "Proves that they look at the request that you think they do. Not for jobs without a screen.",
  badTime: "Write a number and s, m or h, as in 15m.",
  recovery: "Recovery",
  recoverySome: (threshold: number, total: number) => `Any ${number(threshold)} of the ${number(total)} recovery keys open it too, off line.`,
  recoveryNone: "No recovery keys: when its people lose their devices, the secrets are lost. Recovery keys of the organisation are known to the home or browser that created it; make the first policy there, and they stand in every later one.",
  fillIn: "Name it, say which secrets and who approves: then you see here what you would sign.",
  alone: "One person alone can open these",
  aloneText: (people: readonly string[]) => `${or.format(people)}: each alone can release them to a program. For what must never depend on one person, let two decide.`,
  equal: "Every one of them is needed",
  equalText: (count: number, recovery: boolean) =>
    `All ${number(count)} must say yes: whoever is ill or loses a device blocks it${recovery ? ", and only the recovery keys open it then" : ", and nothing opens it then"}. Name one person more than you need.`,
  soft: "A key file on a disk may approve",
  softText: "The kind “key file” is for laboratories and CI: whoever reads the file is the approver.",
  tooFewDevices: (people: readonly string[], tier: string) => `${and.format(people)} ${people.length === 1 ? "has" : "have"} no device of the kind “${tier}” in date: nothing is sealed to them until they do.`,
  nobodyUsable: "Nothing could be sealed under these terms",
  governs: (paths: readonly string[]) => (paths.length ? `It governs ${plural(paths.length, "secret", "secrets")} that ${paths.length === 1 ? "exists" : "exist"}: ${paths.join(", ")}` : "It governs no secret that exists yet"),
  takes: (path: string, from: string) => `${path} comes from policy ${from}`,
  leaves: (path: string, to: string) => (to ? `${path} goes to policy ${to}` : `${path} is left without a policy: it can no longer be released`),
  reseal: (paths: readonly string[]) => `${plural(paths.length, "secret keeps", "secrets keep")} the people and terms of ${paths.length === 1 ? "its" : "their"} seal until sealed again: ${paths.join(", ")}`,
  stops: (paths: readonly string[]) => `${plural(paths.length, "secret is", "secrets are")} not released at all until sealed again, since fewer people were asked for then: ${paths.join(", ")}`,
  added: (people: readonly string[]) => `${and.format(people)} can approve what is sealed from now on`,
  removed: (people: readonly string[]) => `${and.format(people)} can no longer approve. Their keys still stand in what is sealed, until it is sealed again`,
  done: (id: string) => `Policy ${id} is in force`,
  doneText: "The next seal follows it. What is sealed already keeps its terms until it is sealed again.",
  sealAgain: "Look what to seal again",
  loadFailed: "The policy could not be loaded",
  sealsFailed: "What it changes for secrets that exist could not be worked out",
} as const;
