import { describe, expect, test } from "vitest";
import { effectOf, lyingUnder, meet, overlapping, presetOf, withPreset } from "../../src/work/policies";
import { changes } from "../../src/work/changes";
import { freshRule, withPolicy } from "../../src/work/roster";
import { expiring, renewable } from "../../src/work/renewing";
import { seconds, written } from "../../src/views/policies/duration";
import { checkTerms, hostOf, typedWords, type Terms } from "../../src/work/invites";
import { device, NOW, person, policy, roster, secret } from "./people";
import type { ClientCert, Root } from "../../src/protocol/objects";

const PEOPLE = [person("alice", ["admin", "approver"]), person("bob", ["approver"]), person("carol", ["approver"], [device("carol-file", { tier: "soft" })])];
const PROD = policy("prod", ["alice", "bob"]);
const sealed = (path: string, rule = PROD) => ({ path, signer: "", payload: secret(path, ["alice", "alice-laptop"], rule, []) });

describe("what a policy changes", () => {
  test("what it governs, takes, must seal again, and who comes and goes", () => {
    const before = roster(PEOPLE, [PROD, policy("all", ["alice"], { match: ["**"] })]);
    const after = withPolicy({ ...PROD, people: ["alice", "carol"], threshold: 2, match: ["prod/**", "dev/**"] }, undefined)(before);
    const effect = effectOf(before, after, "prod", [sealed("prod/a"), sealed("dev/x", before.policies[1]), sealed("x/y", before.policies[1])], NOW);
    expect(effect).toEqual({ governs: ["dev/x", "prod/a"], takes: [{ path: "dev/x", from: "all" }], leaves: [], reseal: ["dev/x", "prod/a"],
      stops: ["dev/x", "prod/a"], added: ["carol"], removed: ["bob"], without: ["carol"] });
  });

  test("what lies under a policy, and what only carries its old terms", () => {
    const now = roster(PEOPLE, [PROD, policy("db", ["alice"], { match: ["prod/db"] })]);
    const under = lyingUnder(now, "prod", [sealed("prod/x"), sealed("prod/db"), sealed("prod/a"), sealed("dev/x", now.policies[1])]);
    expect(under).toEqual({ governed: ["prod/a", "prod/x"], sealed: ["prod/db"] });
    expect(lyingUnder(now, "db", [sealed("prod/x")])).toEqual({ governed: [], sealed: [] });
  });

  test("another administrator's change is not undone unseen", () => {
    const stricter = roster(PEOPLE, [{ ...PROD, threshold: 2 }]);
    const mine = { ...PROD, window: 60 };
    expect(() => withPolicy(mine, undefined, { standing: PROD })(stricter)).toThrow(/changed the policy prod/);
    expect(() => withPolicy(mine, undefined, { standing: undefined })(stricter)).toThrow(/is a policy prod/);
    expect(withPolicy(mine, undefined, { standing: PROD })(roster(PEOPLE, [PROD])).policies[0]?.window).toBe(60);
  });

  test("another key, tier or recovery of the same name is said", () => {
    const recovery = (byte: string) => ({ threshold: 2, keys: ["r1", "r2"].map((id) => ({ id, kem: { suite: "p256" as const, public: byte + id } })) });
    const [alice, ...others] = PEOPLE;
    const [laptop] = alice!.devices;
    const bent = { ...alice!, devices: [{ ...laptop!, kem: { suite: "p256" as const, public: "other" }, tier: "soft" as const }] };
    const before = roster([{ ...alice!, devices: [{ ...laptop!, tier: "synced" }] }, ...others], [{ ...PROD, recovery: recovery("a") }]);
    const lines = changes(before, roster([bent, ...others], [{ ...PROD, recovery: recovery("b") }]));
    expect(lines).toHaveLength(4);
    expect(lines.join("\n")).toMatch(/has another key[^]*counts as soft now[^]*Policy prod: [^]*recovery keys of policy prod are now 2 of r1, r2/);
  });

  test("what it leaves, to another or to none", () => {
    const before = roster(PEOPLE, [PROD, policy("db", ["bob"], { match: ["prod/db/**", "db"] })]);
    const after = withPolicy({ ...before.policies[1]!, match: ["else"] }, undefined)(before);
    const effect = effectOf(before, after, "db", [sealed("prod/db/a"), sealed("db")], NOW);
    expect(effect.leaves).toEqual([{ path: "db", to: "" }, { path: "prod/db/a", to: "prod" }]);
  });

  test("presets are known again, and leave names and people alone", () => {
    const rule = { ...freshRule(), id: "x", match: ["a"], people: ["alice"], tier: "device-bound" as const, code: true };
    for (const preset of ["ask", "quarter", "task", "two"] as const) {
      const made = withPreset(rule, preset);
      expect(presetOf(made)).toBe(preset);
      expect(made).toMatchObject({ id: "x", people: ["alice"], tier: "device-bound", code: true });
    }
    expect(presetOf({ ...rule, window: 60 })).toBeUndefined();
    expect(presetOf(freshRule())).toBe("quarter");
    expect(freshRule().tier).toBe("synced");
  });

  test("patterns that have a path in common", () => {
    expect(meet("prod/**", "prod/db/**")).toBe(true);
    expect(meet("prod/**", "prod")).toBe(false);
    expect(meet("prod/**", "production/**")).toBe(false);
    expect(meet("prod/db", "prod/**")).toBe(true);
    expect(meet("**", "x")).toBe(true);
    expect(overlapping([PROD, policy("dev", ["alice"])], ["prod/db"]).map((one) => one.id)).toEqual(["prod"]);
  });

  test("durations as people write them", () => {
    expect(["15m", "1h", "90s", "0", "0s", " 5M "].map(seconds)).toEqual([900, 3600, 90, 0, 0, 300]);
    expect(["", "15", "1d", "-1m", "1.5h", "1e3s"].map(seconds).every(Number.isNaN)).toBe(true);
    expect([0, 90, 900, 3600, 28800].map(written)).toEqual(["0s", "90s", "15m", "1h", "8h"]);
  });
});

describe("what expires", () => {
  const cert = (subject: string, expires: number, key = subject): ClientCert =>
    ({ org: "", subject, host: "", key: { alg: "ed25519", public: key }, scopes: ["**"], grade: "user", issued: 0, expires });
  const root = { expires: NOW + 400 * 86400 } as Root;

  test("warned a quarter of the life before, soonest first; what has ended is not", () => {
    const people = [person("a", ["admin"], [device("old", { expires: NOW + 80 * 86400 }), device("dead", { expires: NOW - 1 }), device("new")])];
    const found = expiring({ root, roster: roster(people, [], { expires: NOW + 20 * 86400 }) }, [cert("host/x", NOW + 1), cert("host/x", NOW + 300 * 86400), cert("host/y", NOW + 5)], NOW);
    expect(found.map((one) => [one.kind, one.name])).toEqual([["client", "host/y"], ["roster", ""], ["device", "old"], ["root", ""]]);
  });

  test("renewed in the second half, the newest certificate of a key alone", () => {
    const people = [person("a", ["admin"], [device("old", { expires: NOW + 100 * 86400 }), device("new", { expires: NOW + 200 * 86400 })])];
    const work = renewable(roster(people), [cert("host/x", NOW + 1), cert("host/x", NOW + 300 * 86400), cert("host/y", NOW + 5)], NOW);
    expect(work.devices).toEqual(["old"]);
    expect(work.certs.map((one) => one.subject)).toEqual(["host/y"]);
  });
});

describe("what an invite may say", () => {
  const bad: [string, Terms, string][] = [
    ["id", { kind: "person", subject: "Bob", roles: ["approver"] }, "person"],
    ["recovery", { kind: "person", subject: "recovery", roles: ["approver"] }, "person"],
    ["no role", { kind: "person", subject: "bob", roles: [] }, "roles"],
    ["a passkey for a key file", { kind: "person", subject: "alice", roles: [], device: "file" }, "tier"],
    ["person/..", { kind: "client", subject: "person/x", host: "x", grade: "user", scopes: ["**"] }, "subject"],
    ["a bare name", { kind: "client", subject: "db-1", host: "x", grade: "user", scopes: ["**"] }, "subject"],
    ["no host", { kind: "client", subject: "agent/x", host: "", grade: "user", scopes: ["**"] }, "host"],
    ["no scope", { kind: "client", subject: "host/x", host: "x", grade: "user", scopes: [] }, "scope"],
    ["a wrong scope", { kind: "client", subject: "host/x", host: "x", grade: "user", scopes: ["Prod"] }, "scope"],
  ];
  test.each(bad)("refuses %s", (_, terms, code) => {
    expect(() => checkTerms(terms, ["alice"], () => "soft")).toThrow(expect.objectContaining({ code }));
  });

  test("takes what is right, each thing once", () => {
    expect(checkTerms({ kind: "client", subject: "host/x", host: "x", grade: "user", scopes: ["b", "a", "b"] }, [], () => "")).toMatchObject({ scopes: ["a", "b"] });
    expect(checkTerms({ kind: "person", subject: "alice", roles: [] }, ["alice"], () => "")).toMatchObject({ roles: [] });
    expect(hostOf("host/db-1")).toBe("db-1");
    expect(typedWords("  Alpha, beta\ngamma. delta  echo ")).toEqual(["alpha", "beta", "gamma", "delta", "echo"]);
  });
});
