import { expect, it } from "vitest";

import type { Row } from "../src/work/auditing";
import { Teller, span } from "../src/texts/sentences";

const row = (kind: string, rest: Record<string, unknown> = {}): Row => ({ index: 0, actor: "ben", time: 0, kind, ...rest }) as Row;

function told(...rows: Row[]): string[] {
  const teller = new Teller();
  return [...rows.flatMap((one) => teller.tell(one)), ...teller.rest()].map((one) => one.text);
}

it("reads like the contract", () => {
  expect(
    told(
      row("requested", { actor: "agent/claude", host: "db-1", secret: "prod/db-primary", uid: 1001, exe: "/usr/bin/claude", request: "r", people: "0/1" }),
      row("prompted", { device: "phone", channel: "sse", people: "1 of 2", request: "r", outcome: "sent" }),
      row("approved", { secret: "prod/db-primary", request: "r", people: "1/1" }),
      row("released", { secret: "prod/db-primary", request: "r", window: 900 }),
    ),
  ).toEqual([
    "agent/claude on db-1 requested prod/db-primary uid=1001 exe=/usr/bin/claude",
    "prompted ben phone (sse) 1 of any-of-2",
    "ben approved prod/db-primary: released, lease 15m",
  ]);
});

it.each([
  [row("sealed", { secret: "a", version: 3, outcome: "revision 2" }), "ben sealed a version 3.2"],
  [row("roster", { version: 7, outcome: "root 1" }), "ben roster 1.7"],
  [row("enrolled", { people: "bob", outcome: "confirmed" }), "bob confirmed by ben"],
  [row("enrolled", { people: "ben", outcome: "joined" }), "ben joined"],
  [row("signed-in", { device: "ben-phone" }), "ben signed in from ben-phone"],
  [row("delivered", { secret: "a", exe: "/bin/x", host: "db-1" }), "a delivered to /bin/x on db-1"],
  [row("failed", { secret: "a", outcome: "discarded" }), "a failed to ? on ?: discarded"],
  [row("denied", { secret: "a" }), "ben denied a"],
  [row("frozen", { secret: "a", outcome: "late" }), "ben froze a: late"],
  [row("lease-used", { secret: "a", exe: "/bin/x", host: "h", count: 4 }), "/bin/x on h used a from its lease, 4 times"],
  [row("lease-ended", { secret: "a", outcome: "window" }), "a lease ended: window"],
  [row("lease-ended", { outcome: "purge of all" }), "ben ended every lease"],
  [row("signed-out", { count: 3 }), "ben signed out of 3 sessions"],
  [row("policy", { outcome: "prod set", people: "1 of a, b", window: 0 }), "ben policy prod set: 1 of a, b, lease 0s"],
  [row("policy", { outcome: "prod removed" }), "ben policy prod removed"],
  [row("revoked", { device: "host/db-1", outcome: "client" }), "ben revoked host/db-1: client"],
  [row("expired", { secret: "a" }), "a expired"],
  [row("suppressed", { actor: "host/x", count: 9, outcome: "client" }), "9 prompts of host/x suppressed: client"],
  [row("config", { outcome: "freeze lifted: host/x" }), "ben config outcome=freeze lifted: host/x"],
  [row("approved", { secret: "a", people: "1/2" }), "ben approved a: 1/2"],
  [row("signed-in", { device: "key", outcome: "counter-back" }), "ben signed in from key; the counter of its passkey went back: it may have been copied"],
  [row("approved", { secret: "a", people: "1/1", outcome: "counter-back" }), "ben approved a: 1/1; the counter of its passkey went back: it may have been copied"],
])("%j", (one, text) => expect(told(one)).toEqual([text]));

it("tells an approval whose release never comes, in its place", () => {
  expect(told(row("approved", { secret: "a", people: "1/1", request: "r" }), row("denied", { secret: "b" }))).toEqual(["ben approved a: 1/1", "ben denied b"]);
});

it("writes hidden characters out", () => expect(told(row("denied", { secret: "a\u202eb\u001b[2J" }))).toEqual(["ben denied a\\u{202e}b\\u{1b}[2J"]));

it("writes lengths of time as people do", () => expect([0, 45, 900, 5400, 90061].map(span)).toEqual(["0s", "45s", "15m", "1h30m", "1d1h"]));
