import { describe, expect, test } from "vitest";
import type { Policy } from "../../src/protocol/objects";
import { changes } from "../../src/work/changes";
import * as edits from "../../src/work/roster";
import { Stopped } from "../../src/work/stopped";
import { device, NOW, person, policy, roster } from "./people";

const ALICE = person("alice", ["admin", "approver", "sealer"]);
const BOB = person("bob", ["approver"]);
const both = () => roster([ALICE, BOB], [policy("prod", ["alice", "bob"])]);

function stopped(code: string, work: () => unknown): Stopped {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(Stopped);
    expect((error as Stopped).code).toBe(code);
    expect((error as Stopped).message).not.toBe("");
    return error as Stopped;
  }
  throw new Error(`not stopped: ${code}`);
}

describe("successor", () => {
  test("numbers, dates and sorts; holds that are over go", () => {
    const held = roster([ALICE], [], { holds: [{ match: "a", until: NOW }, { match: "b", until: NOW + 1 }], floors: [["z", 1, 0], ["a", 2, 1]],
      revoked: ["y", "x", "y"] });
    const next = edits.successor(held, "oid", "root2", NOW);
    expect(next).toMatchObject({ version: 4, previous: "oid", root: "root2", issued: NOW, expires: NOW + 90 * 86400 });
    expect(next.holds).toEqual([{ match: "b", until: NOW + 1 }]);
    expect(next.floors.map((one) => one[0])).toEqual(["a", "z"]);
    expect(next.revoked).toEqual(["x", "y"]);
  });
});

describe("people", () => {
  test("a device joins its person, a new person is added, roles stand in their order", () => {
    const next = edits.withDevice("bob", ["sealer", "admin"], device("bob-phone"))(both());
    expect(next.people[1]).toMatchObject({ roles: ["admin", "approver", "sealer"] });
    expect(next.people[1]?.devices.map((one) => one.id)).toEqual(["bob-laptop", "bob-phone"]);
    expect(edits.withDevice("carol", ["auditor"], device("carol-x"))(both()).people[2]).toMatchObject({ id: "carol", roles: ["auditor"] });
  });

  test("device ids are new and of the form", () => {
    expect(edits.deviceId(both(), "bob", "Bob's Phone!")).toBe("bob-bob-s-phone");
    expect(edits.deviceId(both(), "bob", "laptop")).toBe("bob-laptop-2");
    expect(edits.deviceId(both(), "bob", "💧")).toBe("bob-device");
    expect(edits.deviceId(both(), "x".repeat(64), "y").length).toBeLessThanOrEqual(58);
  });

  test("roles: not below what policies and the organisation need", () => {
    stopped("in-policy", () => edits.withRoles("bob", ["auditor"])(both()));
    stopped("last-admin", () => edits.withRoles("alice", ["approver"])(both()));
    stopped("roles", () => edits.withRoles("bob", [])(both()));
    expect(stopped("unknown-person", () => edits.withRoles("eve", ["auditor"])(both())).remedy).toContain("alice, bob");
    expect(edits.withRoles("bob", ["sealer", "approver"])(both()).people[1]?.roles).toEqual(["approver", "sealer"]);
  });

  test("roles that another administrator changed meanwhile are not undone", () => {
    const seen = ["approver"];
    expect(edits.withRoles("bob", ["approver", "sealer"], seen)(both()).people[1]?.roles).toEqual(["approver", "sealer"]);
    const changed = edits.withRoles("bob", ["approver", "auditor"])(both());
    const refused = stopped("roles", () => edits.withRoles("bob", ["approver", "sealer"], seen)(changed));
    expect(refused.message).toContain("approver, auditor");
    expect(refused.remedy).not.toBe("");
  });

  test("a passkey is added and taken, never the last", () => {
    const key = { ...BOB.devices[0]!.auth[0]!, public: "second" };
    const two = edits.withPasskey("bob", "bob-laptop", key)(both());
    expect(two.people[1]?.devices[0]?.auth.map((one) => one.public)).toEqual(["auth-bob-laptop", "second"]);
    expect(edits.withoutPasskey("bob", "bob-laptop", "auth-bob-laptop")(two).people[1]?.devices[0]?.auth).toEqual([key]);
    stopped("last-passkey", () => edits.withoutPasskey("bob", "bob-laptop", "auth-bob-laptop")(both()));
    stopped("unknown-passkey", () => edits.withoutPasskey("bob", "bob-laptop", "other")(two));
    stopped("unknown-device", () => edits.withPasskey("bob", "bob-desk", key)(both()));
  });

  test("retired: ends now, stays listed, leaves the policies; one device leaves none", () => {
    const whole = edits.retired("bob", "", NOW)(both());
    expect(whole.people[1]?.devices[0]?.expires).toBe(NOW);
    expect(whole.policies[0]?.people).toEqual(["alice"]);
    const one = edits.retired("bob", "bob-laptop", NOW)(both());
    expect(one.policies[0]?.people).toEqual(["alice", "bob"]);
  });

  test("dropped: gone, and floors only rise", () => {
    const held = roster([ALICE, BOB], [], { floors: [["prod/a", 3, 0], ["prod/b", 1, 0]] });
    const next = edits.dropped("bob", "", [["prod/a", 2, 9], ["prod/c", 1, 1], ["prod/b", 1, 1]])(held);
    expect(next.people.map((one) => one.id)).toEqual(["alice"]);
    expect(next.floors).toEqual([["prod/a", 3, 0], ["prod/b", 1, 1], ["prod/c", 1, 1]]);
    expect(edits.dropped("bob", "bob-laptop", [])(held).people[1]?.devices).toEqual([]);
  });

  test("renewal reaches devices in the second half of their year alone", () => {
    const old = device("old", { expires: NOW + 10 });
    const dead = device("dead", { expires: NOW });
    const young = device("young", { expires: NOW + 200 * 86400 });
    const next = edits.withFreshDevices(NOW)(roster([person("a", ["admin"], [old, dead, young])]));
    expect(next.people[0]?.devices.map((one) => one.expires)).toEqual([NOW + 365 * 86400, NOW, NOW + 200 * 86400]);
  });
});

describe("policies", () => {
  const rule = (more: Partial<Policy>): edits.Rule => ({ ...edits.freshRule(), id: "prod", match: ["prod/**"], people: ["alice"], ...more });
  const bad: [string, Partial<Policy>, string][] = [
    ["no id", { id: "" }, "id"], ["no match", { match: [] }, "match"], ["no pattern", { match: ["Prod"] }, "match"],
    ["a path with **", { match: ["a/**/b"] }, "match"], ["twice a pattern", { match: ["a", "a"] }, "match"], ["nobody", { people: [] }, "people"],
    ["twice a person", { people: ["alice", "alice"] }, "people"], ["threshold 0", { threshold: 0 }, "threshold"],
    ["threshold above", { threshold: 2 }, "threshold"], ["a fraction", { threshold: 1.5, people: ["alice", "bob"] }, "threshold"],
    ["window", { window: 28801 }, "window"], ["not a number", { window: NaN }, "window"], ["ttl 0", { ttl: 0 }, "ttl"],
    ["ttl", { ttl: 3601 }, "ttl"], ["uses", { uses: -1 }, "uses"], ["tier", { tier: "paper" as Policy["tier"] }, "tier"],
  ];
  test.each(bad)("refuses %s", (_, more, field) => {
    expect(stopped("policy", () => edits.withPolicy(rule(more), undefined)(roster([ALICE, BOB]))).field).toBe(field);
  });

  test("refuses who is no approver or unknown, and a pattern that another policy has", () => {
    const carol = person("carol", ["sealer"]);
    stopped("policy", () => edits.withPolicy(rule({ people: ["carol"] }), undefined)(roster([ALICE, carol])));
    stopped("unknown-person", () => edits.withPolicy(rule({ people: ["eve"] }), undefined)(roster([ALICE])));
    stopped("policy", () => edits.withPolicy(rule({ id: "other" }), undefined)(both()));
  });

  test("the recovery keys stand in every policy, and stay in a changed one", () => {
    const recovery = { threshold: 2, keys: [{ id: "recovery-1", kem: { suite: "p256", public: "r" } }] } as edits.Recovery;
    const made = edits.withPolicy(rule({}), recovery)(roster([ALICE]));
    expect(made.policies[0]?.recovery).toEqual(recovery);
    expect(edits.withPolicy(rule({ window: 0 }), undefined)(made).policies[0]).toMatchObject({ window: 0, recovery });
    expect(edits.recoveryOf(made, undefined)).toEqual(recovery);
  });

  test("a policy is taken out as it was shown, and never while a secret lies under it", () => {
    const shown = policy("prod", ["alice", "bob"]);
    expect(edits.withoutPolicy(shown, [])(both()).policies).toEqual([]);
    expect(stopped("policy-used", () => edits.withoutPolicy(shown, ["prod/db"])(both())).message).toContain("prod/db");
    stopped("policy", () => edits.withoutPolicy({ ...shown, threshold: 2 }, [])(both()));
    stopped("policy", () => edits.withoutPolicy(policy("dev", ["alice"]), [])(both()));
  });

  test("the longest match governs", () => {
    const all = [policy("all", ["a"], { match: ["**"] }), policy("prod", ["a"]), policy("db", ["a"], { match: ["prod/db", "prod/db/**"] })];
    expect(edits.governing(all, "prod/db")?.id).toBe("db");
    expect(edits.governing(all, "prod/db/x")?.id).toBe("db");
    expect(edits.governing(all, "prod/x")?.id).toBe("prod");
    expect(edits.governing(all, "prod")?.id).toBe("all");
    expect(edits.governing(all.slice(1), "dev")).toBeUndefined();
  });
});

describe("holds and revocations", () => {
  test("an exact name is held as client and as path; a later hold replaces; lifting wants one", () => {
    const held = edits.withHolds(edits.holdsOn("host/db-1", NOW + 60))(both());
    expect(held.holds).toHaveLength(2);
    expect(edits.withHolds(edits.holdsOn("host/db-1", NOW + 90))(held).holds.map((one) => one.until)).toEqual([NOW + 90, NOW + 90]);
    expect(edits.holdsOn("prod/**", NOW)).toEqual([{ match: "prod/**", until: NOW }]);
    expect(edits.withoutHolds(edits.holdsOn("host/db-1", 0))(held).holds).toEqual([]);
    stopped("no-hold", () => edits.withoutHolds(edits.holdsOn("host/db-2", 0))(held));
  });

  test("changes are told a line each", () => {
    const after = edits.withDevice("carol", ["approver"], device("carol-x"))(
      edits.withPolicy({ ...both().policies[0]!, threshold: 2 }, undefined)(edits.retired("bob", "bob-laptop", NOW)(both())));
    expect(changes(both(), after)).toEqual([
      "Device bob-laptop of bob was retired", "New person carol: approver", "New device carol-x of carol (synced)",
      expect.stringMatching(/^Policy prod: 2 of alice, bob for prod\/\*\*, tier synced; a yes lasts 15 min.* for the same process; .*one no ends it$/)]);
    expect(changes(both(), both())).toEqual([]);
  });
});
