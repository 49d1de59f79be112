// Words that the screens of people, clients and policies share: what will be signed, invites, sealing again.
import { duration, number } from "../ui/format";

const plural = (count: number, one: string, many: string): string => `${number(count)} ${count === 1 ? one : many}`;

export const signing = {
  title: "What you sign",
  lead: (roster: number) => `Your passkey signs roster ${number(roster)}. It differs from the one in force in this:`,
  nothing: "Nothing else changes.",
  go: "Sign with your passkey",
  failed: "Nothing was changed",
  refused: "This cannot be signed",
  notAdmin: "You can look. Changes are signed by an administrator whose passkey the root names.",
  cancel: "Cancel",
} as const;

export const invitePanel = {
  person: (who: string) => `Invite for ${who}`,
  client: (who: string) => `Invite for ${who}`,
  passkey: (device: string) => `Second passkey for ${device}`,
  givePerson: "Give this link to that person alone, by a way you trust. Their phone's camera opens it from the QR code.",
  giveClient: (host: string) => `Run this on ${host}, in the account that shall ask:`,
  giveAgent: (host: string) => `Run this on ${host}, in the account of its daemon:`,
  command: (url: string) => `stillvault join '${url}'`,
  link: "Link",
  copyLink: "Copy link",
  copyCommand: "Copy command",
  qr: "The link as a QR code",
  secret: "Who has the link can try to join until you confirm. It works once, for 30 minutes.",
  states: {
    open: "Waiting for the link to be opened",
    joined: "Somebody has joined: their screen shows five words",
    challenged: "Checking the joiner's key",
    proved: "The joiner's key has proved itself",
    confirmed: "Confirmed",
    cancelled: "Cancelled",
    expired: "This invite has expired",
  } as Record<string, string>,
  wordsTitle: "The five words",
  wordsText: "Let them read the five words out to you, by voice or side by side. Never take them from a message: the words are what tells you that these are their keys.",
  words: "Five words from their screen",
  wordsHint: (count: number) => `${number(count)} of 5`,
  unknownWord: (word: string) => `“${word}” is not one of the words that can appear.`,
  willSignPerson: (who: string, roles: readonly string[]) => `Then your passkey signs the roster: a new device of ${who} (${roles.join(", ")}).`,
  willSignClient: (who: string, host: string, scopes: readonly string[]) =>
    `Then your passkey signs a certificate for a year: ${who}, shown as ${host}, may ask for ${scopes.join(", ")}.`,
  willSignPasskey: (device: string) => `Then your passkey signs the roster: one more passkey of ${device}.`,
  handOver: "The key is in this browser: your passkey is asked twice, first to hand the key over, then for the roster.",
  handOverElsewhere: (who: string) =>
    `The key is on the other machine of ${who}: there, on the page of the device, “Hand the key over” takes this same link and all twelve words. Do that first, then confirm here.`,
  handedOver: "The key is handed over: confirm now.",
  confirm: "Confirm",
  failed: "Not confirmed",
  cancel: "Cancel this invite",
  cancelled: "The invite is cancelled: its link is worth nothing now.",
  back: "Back",
  gone: "This invite was not made in this browser",
  goneText: "Only the browser that made it knows what the words must be. Make a new one here.",
  donePerson: (who: string, device: string) => `${who} has joined with ${device}`,
  donePersonText: "What is sealed from now on opens for this device too, where a policy names its person. What was sealed before does not, until it is sealed again.",
  donePasskey: (device: string) => `${device} has one more passkey`,
  donePasskeyText: "It opens everything that this device opens, also what was sealed before: nothing needs to be sealed again.",
  doneClient: (who: string) => `${who} is in`,
  doneClientText: "It may ask from now on. A person decides each time, as the policies say.",
  sealAgain: "Look what to seal again",
  left: (seconds: number) => `${duration(seconds)} left`,
  loadFailed: "The invite could not be loaded",
  waiting: "Open invites",
  waitingFor: (who: string) => who,
} as const;

export const resealing = {
  title: "Seal again",
  lead: "A seal never changes by itself: whom it was made for can open it, and nobody else. Sealing again makes it anew for the people and terms of today. Each value comes to this browser once, by a logged request, and is gone from it when its new seal is stored.",
  none: "Everything is sealed for today's people and terms",
  noneText: "Nothing needs to be sealed again.",
  list: "Secrets to seal again",
  count: (count: number) => plural(count, "secret is sealed for other people or terms than today's", "secrets are sealed for other people or terms than today's"),
  ceremonies: (count: number) => `Your passkey is asked once to unlock, once to approve, and once for each of the ${plural(count, "new seal", "new seals")}.`,
  start: "Seal again",
  go: "Go on",
  stop: "Stop here",
  failed: "It stopped here. What was sealed again stays so.",
  loadFailed: "The secrets could not be loaded",
  steps: {
    unlock: "Confirm with your passkey: it unlocks this browser's key for sealing again",
    ask: "Asking for the values, each request in the log",
    approve: "Confirm with your passkey: it releases what you can open to this browser",
    wait: "Waiting for the approval of others",
    seal: "Confirm with your passkey: it signs the new seal",
    done: "Done",
  } as Record<string, string>,
  states: {
    ready: "to do", waiting: "asked", sealed: "sealed again", denied: "denied", unavailable: "refused by the relay, without a person's signature", expired: "nobody answered in time", cancelled: "cancelled",
    failed: "failed", revoked: "called back",
  } as Record<string, string>,
  approvals: (have: number, needed: number) => `${number(have)} of ${number(needed)} people`,
  done: (count: number) => plural(count, "secret is sealed again", "secrets are sealed again"),
  rest: (count: number) => plural(count, "secret is not sealed again yet", "secrets are not sealed again yet"),
  restText: "Go on asks for these anew. The others stay as they are.",
  notSealer: "Sealing again takes the role sealer. Ask an administrator for it, or let a sealer do this.",
} as const;

export const loading = { again: "Try again" } as const;
