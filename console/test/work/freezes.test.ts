// Who froze a client is what was signed, bound to that client by hashes; everything else is the relay's word.
import { expect, test } from "vitest";
import type { Account } from "../../src/device/account";
import { judged } from "../../src/work/freezes";
import { clientsOf } from "../../src/work/clients";
import { certsOf } from "../../src/work/publish";
import { oidOf } from "../../src/protocol/signed";
import { b64 } from "../../src/protocol/text";
import { NOW, World } from "../protocol/world";

async function frozen(verdict: "freeze" | "deny" = "freeze") {
  const world = await World.make({ threshold: 1 });
  const [sealed, asked] = [await world.seal(), await world.ask()];
  const decision = await world.decide("ana", asked, sealed, (said) => {
    said.verdict = verdict;
    said.expires = NOW + 3600;
  });
  const subjectOf = new Map([[asked.value.client, "host/db-1"]]);
  return { world, asked, subjectOf, given: { subject: "host/db-1", until: NOW + 3600, decision, request: asked.signed } };
}

test("a freeze that verifies names its person, device and time", async () => {
  const { world, subjectOf, given } = await frozen();
  const found = await judged(world.trust, given, subjectOf, NOW);
  expect(found).toEqual({ subject: "host/db-1", until: NOW + 3600, by: { person: "ana", device: "ana-laptop", since: NOW } });
  // The relay may end it earlier; that it lasts longer than was signed is nobody's word.
  expect((await judged(world.trust, { ...given, until: NOW + 60 }, subjectOf, NOW)).until).toBe(NOW + 60);
  expect((await judged(world.trust, { ...given, until: NOW + 10 ** 9 }, subjectOf, NOW)).until).toBe(NOW + 3600);
});

test("what does not verify names nobody, and says which check it was", async () => {
  const { world, asked, subjectOf, given } = await frozen();
  const check = async (more: object, known = subjectOf, now = NOW) =>
    (await judged(world.trust, { ...given, ...more }, known, now)).check;
  expect(await check({ decision: undefined })).toBe("relay");
  expect(await check({ request: undefined })).toBe("item");
  expect(await check({ request: (await world.ask()).signed })).toBe("item"); // another request of the same client
  expect(await check({ subject: "host/db-2" })).toBe("cert"); // somebody else's freeze
  expect(await check({}, new Map([[asked.value.client, "host/db-2"]]))).toBe("cert");
  expect(await check({}, new Map())).toBe("cert");
  expect(await check({}, subjectOf, NOW + 3600)).toBe("expired");
  expect((await judged((await frozen()).world.trust, given, subjectOf, NOW)).check).toBe("org");
  const denied = await frozen("deny");
  expect((await judged(denied.world.trust, denied.given, denied.subjectOf, NOW)).check).toBe("verdict");
});

test("a broken or forged row hides no other, and is not revoked", async () => {
  const world = await World.make();
  const genuine = world.cert;
  const other = await World.make();
  const forged = await other.certify({ org: world.trust.org });
  const clients = [{ cert: { type: "x" }, oid: "x" }, { cert: forged, oid: "y" }, { cert: genuine, oid: "z" }];
  const api = { get: async (path: string) => (path === "/v1/holds" ? { holds: [] } : { clients }) };
  const account = { api, now: () => NOW, trust: async () => world.trust, memory: { read: async () => undefined } };
  const found = await clientsOf(account as unknown as Account, world.trust);
  expect(found.unreadable).toHaveLength(1);
  expect(found.clients.map((one) => one.state)).toEqual(["valid", "cert-threshold"]);
  expect(await certsOf(account as unknown as Account, "host/db-1")).toEqual([b64(await oidOf(genuine))]);
});
