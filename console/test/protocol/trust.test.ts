import { describe, expect, it } from "vitest";

import { cardId, firstPath, group } from "../../src/protocol/cards";
import { sign } from "../../src/protocol/keys";
import type { Request } from "../../src/protocol/objects";
import { Trust } from "../../src/protocol/trust";
import { NOW, PATH, World } from "./world";

const refused = (code: string) => expect.objectContaining({ code }) as Error;

describe("a roster", () => {
  it("never goes back, and never aside", async () => {
    const { trust } = await World.make();
    const again = (seen: { roster: [number, number]; oid: Uint8Array }, now = NOW) =>
      Trust.verify(trust.pin, trust.roots, trust.signedRoster, now, seen);
    const [root, version] = trust.pair;
    await expect(again({ roster: trust.pair, oid: trust.oid })).resolves.toMatchObject({ org: trust.org, pair: trust.pair });
    await expect(again({ roster: [root, version + 1], oid: trust.oid })).rejects.toEqual(refused("rollback"));
    await expect(again({ roster: [root + 1, 1], oid: trust.oid })).rejects.toEqual(refused("rollback"));
    await expect(again({ roster: trust.pair, oid: trust.pin })).rejects.toEqual(refused("fork"));
    await expect(again({ roster: trust.pair, oid: trust.oid }, trust.expires)).rejects.toEqual(refused("expired"));
    await expect(Trust.verify(trust.oid, trust.roots, trust.signedRoster, NOW)).rejects.toEqual(refused("pin"));
  });

  it("says to whom a seal goes, and under which policy", async () => {
    const { trust } = await World.make();
    const people = trust.recipients(PATH, NOW).map(([index, person]) => [index, person]);
    expect(people.slice(0, 3)).toEqual([[1, "ana"], [2, "ben"], [3, "cho"]]);
    expect(() => trust.selectPolicy("elsewhere")).toThrow(refused("no-policy"));
    expect(() => trust.selectPolicy("prod/../x")).toThrow(refused("path"));
  });

  it("takes the word of a listed device alone, while it is in date", async () => {
    const world = await World.make();
    const { trust } = world;
    const [ana, ben] = [world.members.get("ana")!, world.members.get("ben")!];
    const signed = await sign("login", { org: trust.org, origin: "https://test", nonce: "AAAA", issued: NOW }, ana.signer);
    await expect(trust.verifyByDevice("login", signed, "ana", ana.device, NOW)).resolves.toMatchObject({ payload: { issued: NOW } });
    await expect(trust.verifyByDevice("login", signed, "ben", ben.device, NOW)).rejects.toEqual(refused("signature"));
    await expect(trust.verifyByDevice("login", signed, "ana", ben.device, NOW)).rejects.toEqual(refused("device"));
    await expect(trust.verifyByDevice("login", signed, "ana", ana.device, ana.entry.expires)).rejects.toEqual(refused("device"));
    await expect(trust.verifyByDevice("login", signed, "ana", ana.device, NOW, { deny: true })).rejects.toEqual(refused("signature"));
  });
});

describe("a card", () => {
  const of = (path: string, claimed: Request["claimed"]) =>
    ({ client: "c", issued: 1, expires: 2, observed: { host: "h" }, claimed, path }) as unknown as Request;
  const requests = [of("b", {}), of("a", {}), of("c", { reason: "" }), of("d", {})];

  it("joins what one command asked for, and nothing else", () => {
    expect(group(requests)).toEqual([[0, 1, 3], [2]]);
    expect(firstPath(requests)).toBe(1);
  });

  it("has the name that it has on the command line and in a notification", async () => {
    const zero = "A".repeat(43);
    const observed = {
      host: "db-1", uid: 1000, user: "é", exe: "/usr/bin/psql", exe_sha256: zero, chain: [{ exe: 'a "b"', exe_sha256: zero }],
      grade: "user",
    };
    const request = { client: zero, issued: 1, expires: 2, observed, claimed: { argv: ["psql", "\\u{5c}"] } };
    expect(await cardId(request as unknown as Request)).toBe("8a658d4d3006"); // stillvault.protocol.cards.card_id
  });

  it("has a name of its own", async () => {
    expect(await cardId(requests[0]!)).toMatch(/^[0-9a-f]{12}$/);
    expect(await cardId(requests[0]!)).toBe(await cardId(requests[1]!));
    expect(await cardId(requests[0]!)).not.toBe(await cardId(requests[2]!));
  });
});
