// The screen of leases: what hosts reported as warm.
import { number } from "../ui/format";

export const leasesText = {
  title: "Leases",
  lead: "A value that was released once and may be used again without a person, until its time is up.",
  honest: "This is what the hosts reported. A host that lies, or that the relay cannot reach, may keep more or less than stands here; each value that it can keep was released to it by a person, as the audit log says.",
  list: "Leases",
  none: "Nothing is warm",
  noneText: "No host reports a value that it could use again. The next program that asks waits for a person.",
  failed: "The leases could not be loaded",
  host: (host: string, count: number) => `${host} · ${count === 1 ? "1 lease" : `${number(count)} leases`}`,
  account: (user: string, uid: number) => `account ${user} (uid ${uid})`,
  granted: (people: readonly string[]) => (people.length ? `granted by ${people.join(", ")}` : ""),
  used: (count: number) => (count === 0 ? "" : count === 1 ? "used once since" : `used ${number(count)} times since`),
  left: (time: string) => `${time} left`,
  client: (subject: string) => `client ${subject}`,
  end: "End",
  endOf: (path: string, host: string) => `End the lease of ${path} on ${host}`,
  endAll: "End all",
  endAllTitle: "End every lease?",
  endAllText: "Every host is told to drop every value that it keeps, also what the relay does not know of. Programs that run keep what they have read; the next one that asks waits for a person.",
  endFailed: "It was not ended",
  ended: (count: number) => `The order went out: ${number(count)} ended. A host that is not connected gets it when it comes back; until then its lease ends by itself.`,
} as const;
