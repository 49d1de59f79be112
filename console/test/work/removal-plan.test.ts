import { describe, expect, test } from "vitest";
import { isRetired, plan, unblocked, type Going, type Sealed, type Standing } from "../../src/work/removal-plan";
import { retired } from "../../src/work/roster";
import { device, NOW, person, policy, roster, secret } from "./people";

const ALICE = person("alice", ["admin", "approver", "sealer"]);
const BOB = person("bob", ["approver", "sealer"], [device("bob-laptop"), device("bob-phone")]);
const CAROL = person("carol", ["approver"]);
const ANY = policy("prod", ["alice", "bob", "carol"]);
const TWO = policy("root", ["alice", "bob", "carol"], { threshold: 2 });

const to = (...ids: [number, string, string][]) => ids;
const A: [number, string, string] = [1, "alice", "alice-laptop"];
const B: [number, string, string] = [2, "bob", "bob-laptop"];
const P: [number, string, string] = [2, "bob", "bob-phone"];
const C: [number, string, string] = [3, "carol", "carol-laptop"];

function sealed(path: string, by: [string, string], rule = ANY, recipients = to(A, B, P, C)): Sealed {
  return { path, payload: secret(path, by, rule, recipients), signer: `auth-${by[1]}` };
}
const BY_ALICE: [string, string] = ["alice", "alice-laptop"];

function standing(more: Partial<Standing> = {}): Standing {
  return { roster: roster([ALICE, BOB, CAROL], [ANY, TWO]), admins: ["auth-alice-laptop"], own: ["alice", "alice-laptop"],
    ownPasskey: "auth-alice-laptop", now: NOW, ...more };
}
const going = (person: string, device = "", passkey = ""): Going => ({ person, device, passkey });

describe("the plan of a removal", () => {
  test("a person: what they open is known and sealed again, what they sealed is sealed again", () => {
    const seals = [sealed("prod/a", BY_ALICE), sealed("prod/b", ["bob", "bob-phone"], ANY, to(A, C)), sealed("prod/c", BY_ALICE, ANY, to(A, C))];
    const found = plan(going("bob"), seals, standing());
    expect(found).toMatchObject({ known: ["prod/a"], paths: ["prod/a", "prod/b"], blocked: [], policies: ["prod", "root"] });
    expect(found.warnings).toEqual(["Policy root will need all of its 2 people: whoever is ill or loses a device blocks it."]);
  });

  test("a device: policies stay; a seal that it alone could open is blocked", () => {
    const found = plan(going("bob", "bob-phone"), [sealed("prod/a", BY_ALICE), sealed("prod/p", BY_ALICE, ANY, to(P))], standing());
    expect(found.policies).toEqual([]);
    expect(found.blocked.map((one) => one.text)).toEqual(["prod/p needs 1 person and would keep 0."]);
    expect(found.blocked[0]?.remedy).toContain("prod/p");
  });

  test("blocked where a policy would keep too few; equality warns", () => {
    const two = standing({ roster: roster([ALICE, BOB], [policy("root", ["alice", "bob"], { threshold: 2 }), policy("prod", ["alice", "bob"])]) });
    const found = plan(going("bob"), [], two);
    expect(found.blocked[0]).toMatchObject({ text: "Policy root needs 2 people and would keep 1." });
    expect(found.warnings).toEqual(["Policy prod will name one person alone."]);
  });

  test("blocked where a quorum seal would keep too few who live", () => {
    const gone = { ...CAROL, devices: [device("carol-laptop", { expires: NOW })] };
    const found = plan(going("bob"), [sealed("root/a", BY_ALICE, TWO)], standing({ roster: roster([ALICE, BOB, gone], []) }));
    expect(found.blocked[0]?.text).toBe("root/a needs 2 people and would keep 1.");
    const tight = plan(going("bob"), [sealed("root/a", BY_ALICE, TWO)], standing());
    expect(tight.blocked).toEqual([]);
    expect(tight.warnings).toContain("root/a can then be opened by exactly the people that it needs.");
  });

  test("recovery keys are nobody", () => {
    const found = plan(going("bob"), [sealed("prod/a", BY_ALICE, ANY, to(B, [129, "recovery", "recovery-1"]))], standing());
    expect(found.blocked).toHaveLength(1);
  });

  test("not oneself, not the last administrator, not whom the root names", () => {
    expect(() => plan(going("alice"), [], standing())).toThrow("cannot remove itself");
    expect(() => plan(going("alice", "alice-laptop"), [], standing())).toThrow("cannot remove itself");
    expect(() => plan(going("eve"), [], standing())).toThrow("Nobody is called eve");
    expect(() => plan(going("bob", "nope"), [], standing())).toThrow("no device nope");
    const named = plan(going("bob"), [], standing({ admins: ["auth-alice-laptop", "auth-bob-phone"] }));
    expect(named.blocked[0]?.remedy).toContain("root key");
    expect(plan(going("bob", "bob-laptop"), [], standing({ admins: ["auth-bob-phone"] })).blocked).toEqual([]);
    const last = plan(going("alice"), [], standing({ own: ["bob", "bob-laptop"], ownPasskey: "auth-bob-laptop", admins: [] }));
    expect(last.blocked.map((one) => one.text)).toContain("alice is the only administrator.");
  });

  test("a passkey: its seals are made anew, everything its device opens is known", () => {
    const phone = device("bob-laptop", { auth: [{ alg: "webauthn-es256", public: "one" }, { alg: "webauthn-es256", public: "two" }] as never });
    const with_two = standing({ roster: roster([ALICE, { ...BOB, devices: [phone] }, CAROL], [ANY]) });
    const seals = [sealed("prod/a", BY_ALICE), { ...sealed("prod/b", ["bob", "bob-laptop"]), signer: "one" }, { ...sealed("prod/c", ["bob", "bob-laptop"]), signer: "two" }];
    const found = plan(going("bob", "bob-laptop", "two"), seals, with_two);
    expect(found).toMatchObject({ paths: ["prod/c"], known: ["prod/a", "prod/b", "prod/c"], blocked: [] });
    expect(() => plan(going("carol", "carol-laptop", "auth-carol-laptop"), seals, with_two)).toThrow("only passkey");
    expect(() => plan(going("bob", "bob-laptop", "two"), seals, { ...with_two, ownPasskey: "two" })).toThrow("signed in with this passkey");
  });

  test("two at once: the second is asked again of the roster that the first one left", () => {  // D8
    // Sealed when bob and carol decided; alice decides by now, so that no policy stands in the way.
    const old = sealed("prod/old", BY_ALICE, policy("prod", ["bob", "carol"]), to(B, P, C));
    const before = standing({ roster: roster([ALICE, BOB, CAROL], [policy("prod", ["alice"])]) });
    expect(plan(going("bob"), [old], before).blocked).toEqual([]);
    const edit = unblocked(going("bob"), [old], before);
    expect(edit(before.roster)).toBe(before.roster);
    const after = { ...retired("carol", "", NOW + 5)(before.roster), issued: NOW + 5 }; // by a clock that is ahead
    expect(() => edit(after)).toThrow("prod/old needs 1 person and would keep 0");
    const dropped = { ...before.roster, people: [ALICE, BOB] };
    expect(() => edit(dropped)).toThrow("prod/old needs 1 person and would keep 0");
  });

  test("step (b) is known again after an interruption", () => {
    const before = standing().roster;
    expect(isRetired(before, going("bob"), NOW)).toBe(false);
    expect(isRetired(retired("bob", "", NOW)(before), going("bob"), NOW)).toBe(true);
    expect(isRetired(retired("bob", "bob-phone", NOW)(before), going("bob", "bob-phone"), NOW)).toBe(true);
    expect(isRetired(retired("bob", "bob-phone", NOW)(before), going("bob"), NOW)).toBe(false);
  });
});
