// The screens of hosts and agents.
import { duration, exact, number } from "../ui/format";

const plural = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;

export const gradeText: Record<string, { label: string; hint: string }> = {
  system: { label: "System", hint: "The daemon runs as root and measures its callers from the kernel. Its word about them counts." },
  user: { label: "User", hint: "The daemon runs in somebody's account: whoever owns that account can make it say what they like." },
};

export const stateText: Record<string, string> = {
  revoked: "revoked", expired: "expired", future: "not in force yet", "cert-threshold": "not signed by an administrator", org: "of another organisation",
};

export const clientsText = {
  title: "Clients and agents",
  lead: "Hosts and agents that may ask for secrets. A certificate says what each may ask for; a person still decides every time.",
  invite: "Invite a client",
  hold: "Hold a path",
  list: "Clients",
  people: "Certificates of people",
  peopleText: "With these, a person's own device asks for values to seal them again, and for nothing else.",
  none: "No clients yet",
  noneText: "Invite a host: run one command there, compare five words, and programs on it can ask.",
  loadFailed: "Clients could not be loaded",
  seen: "Last seen",
  never: "not seen yet",
  held: "held",
  frozen: "frozen",
  unreadable: (count: number) => `${plural(count, "row", "rows")} of the relay's list cannot be read`,
  unreadableText: "They are shown nowhere and count for nothing. The others are as they verify.",
  holds: "Held now",
  holdUntil: (at: number) => `until ${exact(at)}`,
  grade: (grade: string) => gradeText[grade]?.label ?? grade,
  on: (host: string) => `on ${host}`,
} as const;

export const clientText = {
  back: "All clients",
  unknown: "There is no client of that name",
  unknownText: "No certificate carries it.",
  host: "Host on the card",
  scopes: "May ask for",
  grade: "Grade",
  state: "State",
  valid: "valid",
  seen: "Last seen",
  issued: "Issued",
  until: "In force until",
  cert: "Certificate",
  policies: "Decided under",
  noPolicies: "no policy covers these: nothing can be released",
  held: (at: number) => `Held until ${exact(at)}`,
  heldText: "Nothing is released to it, and its leases are ended. Lift the hold to let it ask again.",
  hold: "Hold",
  holdFor: "For how long",
  holdTimes: [["3600", "1 hour"], ["28800", "8 hours"], ["86400", "1 day"], ["604800", "1 week"], ["31536000", "1 year"]] as [string, string][],
  holdSigns: (target: string, seconds: number) => `Nothing is released to ${target} for ${duration(seconds)}. Its leases end and its requests are refused.`,
  lift: "Lift",
  liftText: "Ends the hold in the roster, and a freeze by an approver too.",
  frozenBy: (person: string, device: string) => `${person} froze it (${device})`,
  frozenTimes: (since: number, until: number) => `Signed ${exact(since)}, until ${exact(until)}. The relay turns its requests away till then.`,
  frozenByRelay: "The relay says that it stopped this client",
  frozenByRelayText: (until: number) => `After several denied cards within an hour, until ${exact(until)}. Nobody signed that.`,
  frozenUnverified: "The relay says that somebody froze this client",
  frozenUnverifiedText: (until: number) => `Until ${exact(until)}. The decision that it shows does not verify, so nobody is named.`,
  liftFreeze: "Lift the freeze",
  liftFreezeText: "It may ask again, and people are asked again. Whoever froze it decides in their own browser when it shows there.",
  liftSigns: (target: string) => `${target} may ask again.`,
  lifted: (count: number) => (count ? `${plural(count, "freeze was", "freezes were")} lifted` : "Lifted"),
  revoke: "Revoke",
  revokeTitle: (subject: string) => `Revoke ${subject}`,
  revokeSigns: (subject: string) => `Every certificate of ${subject} ends now. Its leases end, its requests are cancelled, and it can join again only by a new invite.`,
  revoked: (subject: string) => `${subject} is revoked`,
  held_done: (target: string) => `${target} is held`,
  failed: "Nothing was changed",
} as const;

export const holdText = {
  title: "Hold a client, a path or a pattern",
  lead: "Stops every release of it at once, for everybody, until the time is over or you lift it.",
  target: "Client, path or pattern",
  targetHint: "host/db-1, prod/db or prod/**. An exact name is held as a client and as a path.",
} as const;

export const inviteClientText = {
  title: "Invite a client",
  lead: "You make a command, it is run on the host, its terminal shows five words, you type these, and your passkey signs a certificate.",
  kind: "What is it?",
  kinds: [
    { value: "host", label: "A host", hint: "One daemon for all programs of a machine." },
    { value: "agent", label: "An agent", hint: "A client beside its host's: the host's daemon says which callers are the agent." },
  ],
  name: "Name",
  nameHint: (kind: string) => (kind === "host" ? "As it is shown on the card: db-1" : "As it is shown on the card: claude"),
  host: "Host it lives on",
  hostHint: "The host's name on the card: db-1",
  scopes: "What it may ask for",
  scopesHint: "Paths or patterns, one a line: prod/db, prod/** or **",
  grade: "How much its word counts",
  make: "Make the command",
  failed: "No invite was made",
} as const;
