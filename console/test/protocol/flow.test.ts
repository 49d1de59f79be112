// Sealed, asked for, shown, decided, released, opened: the whole way, and what must stop on it.
import { describe, expect, test } from "vitest";
import { checkPrompt, verifyDecision } from "../../src/protocol/approver";
import type { Prompt } from "../../src/protocol/approver";
import { openReleases, verifyDenial, verifyDenied } from "../../src/protocol/client";
import type { Opened } from "../../src/protocol/client";
import { kemSeal } from "../../src/protocol/hpke";
import { generateKey, softSigner } from "../../src/protocol/keys";
import type { Decision, Release, Signed } from "../../src/protocol/objects";
import { openPayload } from "../../src/protocol/payload";
import { release, releaseInfo } from "../../src/protocol/release";
import { seal } from "../../src/protocol/seal";
import type { Sealed } from "../../src/protocol/seal";
import { openStanza } from "../../src/protocol/secret";
import { join } from "../../src/protocol/shares";
import { oidOf, peek } from "../../src/protocol/signed";
import { b64, unb64, utf8 } from "../../src/protocol/text";
import type { Bytes } from "../../src/protocol/text";
import { NOW, random, World } from "./world";
import type { Asked } from "./world";

const refusal = (code: string) => expect.objectContaining({ name: "Refused", code }) as Error;

function prompt(world: World, person: string, asked: Asked, sealed: Sealed, decided = false): Promise<Prompt> {
  const own = [person, world.member(person).device] as const;
  return checkPrompt(world.trust, own, world.cert, asked.signed, sealed.secret, decided, undefined, NOW);
}

async function approve(
  world: World,
  person: string,
  asked: Asked,
  sealed: Sealed,
  edit?: (decision: Decision) => void,
): Promise<Release> {
  const shown = await prompt(world, person, asked, sealed);
  const decision = await world.decide(person, asked, sealed, edit);
  return release(world.trust, [shown], decision, world.member(person).kem, NOW);
}

function open(world: World, asked: Asked, sealed: Sealed, releases: unknown[]): Promise<Opened> {
  return openReleases(world.trust, asked.signed, asked.ephemeral, sealed.secret, sealed.ciphertext, releases, [1, 0], NOW);
}

describe("two of three", () => {
  test("any two open what was sealed, and the lease is the least of what all allowed", async () => {
    const world = await World.make();
    const sealed = await world.seal();
    expect(sealed.recipients.map((to) => to[1])).toEqual(["ana", "ben", "cho"]);
    expect(sealed.missing).toEqual([]);
    const asked = await world.ask();
    const releases = [await approve(world, "cho", asked, sealed), await approve(world, "ana", asked, sealed)];
    const opened = await open(world, asked, sealed, releases);
    expect(opened.value).toEqual(utf8("hunter2"));
    expect(opened.terms).toEqual({ window: 60, uses: 0, scope: "process" });
    expect(opened.approvers).toEqual([["cho", "cho-laptop"], ["ana", "ana-laptop"]]);
  });

  test("one is not enough, and one person twice is not two", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const [one, again] = [await approve(world, "ana", asked, sealed), await approve(world, "ana", asked, sealed)];
    await expect(open(world, asked, sealed, [one])).rejects.toEqual(refusal("quorum"));
    await expect(open(world, asked, sealed, [one, again])).rejects.toEqual(refusal("same-person"));
  });

  test("a false share is named, not blamed on the data key", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const [good, other] = [await approve(world, "ana", asked, sealed), await approve(world, "ben", asked, sealed)];
    const swapped = { ...other, sealed: good.sealed };
    await expect(open(world, asked, sealed, [good, swapped])).rejects.toEqual(refusal("release"));
    const forged = await forgeShare(asked, sealed, other);
    await expect(open(world, asked, sealed, [good, forged])).rejects.toEqual(refusal("share"));
  });

  test("one bit of the ciphertext stops it, and no error names the value", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const releases = [await approve(world, "ana", asked, sealed), await approve(world, "ben", asked, sealed)];
    sealed.ciphertext[3]! ^= 1;
    const error = await open(world, asked, sealed, releases).catch((why: unknown) => why);
    expect(error).toEqual(refusal("ciphertext"));
    expect(String(error)).not.toContain("hunter2");
  });
});

/** The entry that a lying approver would make: bound rightly, with another share in it. */
async function forgeShare(asked: Asked, sealed: Sealed, of: Release): Promise<Release> {
  const info = releaseInfo(unb64(asked.oid), await oidOf(of.decision), sealed.oid, 2);
  const { enc, ct } = await kemSeal(asked.ephemeral.public as Bytes, info, random(32));
  return { decision: of.decision, sealed: [[asked.oid, b64(enc), b64(ct)]] };
}

test("at threshold 1 everybody has the data key, and each of several must be it", async () => {
  const world = await World.make({ threshold: 1 });
  const [sealed, asked] = [await world.seal(), await world.ask()];
  const one = await approve(world, "ben", asked, sealed);
  expect((await open(world, asked, sealed, [one])).value).toEqual(utf8("hunter2"));
  const other = await forgeShare(asked, sealed, one);
  await expect(open(world, asked, sealed, [other])).rejects.toEqual(refusal("dek"));
});

test("the recovery group opens offline, with shares of its own", async () => {
  const world = await World.make();
  const roster = { ...world.roster, policies: [{ ...world.roster.policies[0]!, recovery: world.group() }] };
  await world.publish(roster);
  const sealed = await world.seal();
  const secret = peek("secret", sealed.secret);
  const positions = secret.core.recipients.flatMap(([index], at) => (index > 128 ? [at] : []));
  const parts = await Promise.all(
    positions.map(async (at, n) => ({ index: 129 + n, value: await openStanza(secret, at, world.recovery[n]!) })),
  );
  expect(await openPayload(secret.core, join(parts), sealed.ciphertext)).toEqual(utf8("hunter2"));
  const mixed = [parts[0]!, { index: 1, value: await openStanza(secret, 0, world.member("ana").kem) }];
  await expect(openPayload(secret.core, join(mixed), sealed.ciphertext)).rejects.toEqual(refusal("dek"));
});

test("what was drawn for a seal is wiped, but for the salt, which is public", async () => {
  const world = await World.make();
  const drawn: Bytes[] = [];
  const draw = (n: number): Bytes => drawn[drawn.push(random(n)) - 1]!;
  const sealed = await world.seal(utf8("x"), { draw });
  const salt = peek("secret", sealed.secret).core.salt;
  expect(drawn.map((one) => (b64(one) === salt ? "salt" : one.every((byte) => byte === 0) ? "wiped" : "kept"))).toEqual([
    "wiped", "salt", "wiped",
  ]);
});

test("nobody seals who is no sealer, with a key that is not listed, or for too few", async () => {
  const world = await World.make();
  const { signer } = world.member("ana");
  const by = (person: string) => [person, `${person}-laptop`] as const;
  const make = (who: readonly [string, string]) =>
    seal(world.trust, signer, who, "prod/x", utf8("x"), [1, 0], undefined, NOW, random);
  await expect(make(by("ana"))).rejects.toEqual(refusal("sealer"));
  await expect(make(by("sam"))).rejects.toEqual(refusal("sealer"));
  await expect(world.seal(utf8("x"), { path: "dev/x" })).rejects.toEqual(refusal("no-policy"));
  await expect(world.seal(new Uint8Array(61_441))).rejects.toEqual(refusal("size"));
  const people = world.roster.people.map((person) =>
    person.id === "ben" || person.id === "cho" ? { ...person, devices: [{ ...person.devices[0]!, expires: NOW }] } : person,
  );
  await world.publish({ ...world.roster, people });
  await expect(world.seal()).rejects.toEqual(refusal("recipients"));
});

describe("a prompt", () => {
  test("shows the host of the certificate, the code, and who is outside the policy", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const shown = await prompt(world, "ben", asked, sealed);
    expect(shown).toMatchObject({ host: "db-1", index: 2, position: 1, window: 600, outside: [], own: ["ben", "ben-laptop"] });
    expect(shown.code).toMatch(/^[0-9]{6}$/);
    const policies = [{ ...world.roster.policies[0]!, people: ["ana", "ben"], window: 30 }];
    await world.publish({ ...world.roster, version: 2, policies });
    const later = await prompt(world, "ben", asked, sealed);
    expect(later.outside).toEqual([[3, "cho", "cho-laptop"]]);
    expect(later.window).toBe(30);
  });

  test("is refused once decided, out of date, out of scope, or for somebody else", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    await expect(prompt(world, "ana", asked, sealed, true)).rejects.toEqual(refusal("replay"));
    await expect(prompt(world, "sam", asked, sealed)).rejects.toEqual(refusal("not-approver"));
    await expect(prompt(world, "ana", await world.ask({ expires: NOW }), sealed)).rejects.toEqual(refusal("expired"));
    await expect(prompt(world, "ana", await world.ask({ issued: NOW + 301, expires: NOW + 400 }), sealed)).rejects.toEqual(
      refusal("clock"),
    );
    const outside = b64(Uint8Array.of(4, ...new Uint8Array(64)));
    await expect(prompt(world, "ana", await world.ask({ ephemeral: outside }), sealed)).rejects.toEqual(refusal("ephemeral"));
    await expect(prompt(world, "ana", await world.ask({ minimum: [2, 0] }), sealed)).rejects.toEqual(refusal("version"));
    await expect(prompt(world, "ana", await world.ask({ roster: [1, 9] }), sealed)).rejects.toEqual(refusal("stale-roster"));
  });
});

const more = ({ items }: Decision) => void items.push({ ...items[0]!, request: b64(random(32)) });

describe("a release", () => {
  const edits: [string, string, (decision: Decision) => void][] = [
    ["a denial", "verdict", (decision) => void (decision.verdict = "deny")],
    ["another path in the item", "item", (decision) => void (decision.items[0]!.path = "prod/other")],
    ["another index", "item", (decision) => void (decision.items[0]!.index = 2)],
    ["an item that was not shown", "item", more],
    ["a longer window", "lease-window", (decision) => void (decision.items[0]!.window = 601)],
    ["a decision that outlives its request", "expired", (decision) => void (decision.expires = NOW + 201)],
    ["a newer roster than is known here", "stale-roster", (decision) => void (decision.roster = [1, 2])],
  ];
  test.each(edits)("is not made for %s", async (_, code, edit) => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    await expect(approve(world, "ana", asked, sealed, edit)).rejects.toEqual(refusal(code));
  });

  test("covers a card of several secrets, each sealed to its own request", async () => {
    const world = await World.make({ threshold: 1 });
    const paths = ["prod/a", "prod/b"];
    const pairs = await Promise.all(
      paths.map(async (path) => ({ sealed: await world.seal(utf8(path), { path }), asked: await world.ask({ path }) })),
    );
    const prompts = await Promise.all(pairs.map(({ asked, sealed }) => prompt(world, "ana", asked, sealed)));
    const [first, second] = [pairs[0]!, pairs[1]!];
    const item = peek("decision", await world.decide("ana", second.asked, second.sealed)).items[0]!;
    const decision = await world.decide("ana", first.asked, first.sealed, ({ items }) => void items.push(item));
    const made = await release(world.trust, prompts, decision, world.member("ana").kem, NOW);
    for (const { asked, sealed } of pairs) {
      expect((await open(world, asked, sealed, [made])).value).toEqual(utf8(asked.value.path));
    }
    await expect(open(world, first.asked, second.sealed, [made])).rejects.toEqual(refusal("path-mismatch"));
    const alone = release(world.trust, prompts.slice(1), decision, world.member("ana").kem, NOW);
    await expect(alone).rejects.toEqual(refusal("item"));
  });

  test("is not made where the roster has changed since the prompt", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const shown = await prompt(world, "ana", asked, sealed);
    const decision = await world.decide("ana", asked, sealed);
    const [{ kem }, before] = [world.member("ana"), world.roster];
    const under = async (edit: Partial<typeof before>) =>
      release(await world.publish({ ...before, version: 2, ...edit }), [shown], decision, kem, NOW);
    await expect(under({ revoked: [asked.value.client] })).rejects.toEqual(refusal("revoked"));
    await expect(under({ holds: [{ subject: "host/db-1", until: NOW + 1 }] })).rejects.toEqual(refusal("hold"));
    await expect(under({ floors: [[asked.value.path, 1, 1]] })).rejects.toEqual(refusal("version"));
    await expect(under({ policies: [{ ...before.policies[0]!, threshold: 3 }] })).rejects.toEqual(refusal("threshold"));
    await expect(under({ policies: [{ ...before.policies[0]!, tier: "synced" }] })).rejects.toEqual(refusal("tier"));
    expect((await under({})).sealed).toHaveLength(1);
  });

  test("is not made of a seal that this device knows to be old by now", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const shown = await prompt(world, "ana", asked, sealed);
    const decision = await world.decide("ana", asked, sealed);
    const { kem } = world.member("ana");
    const knowing = (pair: [number, number]) =>
      release(world.trust, [shown], decision, kem, NOW, (path) => (path === asked.value.path ? pair : undefined));
    await expect(knowing([1, 1])).rejects.toEqual(refusal("version"));
    expect((await knowing([1, 0])).sealed).toHaveLength(1);
  });

  test("is not made with another key, another person's decision, no prompt or one twice", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const shown = await prompt(world, "ana", asked, sealed);
    const decision = await world.decide("ana", asked, sealed);
    const [ana, ben] = [world.member("ana").kem, world.member("ben").kem];
    const make = (prompts: Prompt[], signed: Signed, kem = ana) => release(world.trust, prompts, signed, kem, NOW);
    await expect(make([shown], decision, ben)).rejects.toEqual(refusal("device"));
    await expect(make([shown], await world.decide("ben", asked, sealed))).rejects.toEqual(refusal("device"));
    await expect(make([], decision)).rejects.toEqual(refusal("item"));
    const two = await world.decide("ana", asked, sealed, more);
    await expect(make([shown, shown], two)).rejects.toEqual(refusal("item"));
  });
});

describe("a denial", () => {
  test("counts from a person of the policy, and an approve is none", async () => {
    const world = await World.make();
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const deny = await world.decide("cho", asked, sealed, (decision) => void (decision.verdict = "deny"));
    const found = await verifyDenial(world.trust, asked.signed, undefined, deny, NOW);
    expect(found.payload).toMatchObject({ verdict: "deny", person: "cho" });
    const yes = await world.decide("cho", asked, sealed);
    await expect(verifyDenial(world.trust, asked.signed, undefined, yes, NOW)).rejects.toEqual(refusal("verdict"));
    const late = (await world.ask()).signed;
    await expect(verifyDenial(world.trust, late, undefined, deny, NOW)).rejects.toEqual(refusal("item"));
  });

  test("needs as many people as the policy says, and what does not verify is nobody's word", async () => {
    const world = await World.make({ deny: "count" });
    const [sealed, asked] = [await world.seal(), await world.ask()];
    const say = (person: string, verdict: "deny" | "freeze" | "approve" = "deny") =>
      world.decide(person, asked, sealed, (decision) => void (decision.verdict = verdict));
    const [ana, ben, freeze] = [await say("ana"), await say("ben"), await say("cho", "freeze")];
    const denied = (...decisions: unknown[]) => verifyDenied(world.trust, asked.signed, sealed.secret, decisions, NOW);
    expect(await denied(ana, ana, await say("ben", "approve"), { ...ben, signatures: [] }, null)).toBeUndefined();
    expect(await denied(ben, ana)).toEqual(["ana", "ben"]);
    expect(await denied(freeze)).toEqual(["cho"]);
    await world.publish({ ...world.roster, policies: [{ ...world.roster.policies[0]!, deny: "veto" }] });
    expect(await denied(ben)).toEqual(["ben"]);
    expect(await denied()).toBeUndefined();
  });

  test("may be signed by the deny key, which approves nothing", async () => {
    const world = await World.make();
    const ben = world.member("ben");
    const fresh = await generateKey("es256");
    const denying = softSigner("es256", fresh.pair, fresh.public);
    ben.entry.deny = denying.key;
    await world.publish(world.roster);
    const [sealed, asked] = [await world.seal(), await world.ask()];
    ben.signer = denying;
    const deny = await world.decide("ben", asked, sealed, (decision) => void (decision.verdict = "freeze"));
    expect((await verifyDecision(world.trust, deny, NOW)).payload.verdict).toBe("freeze");
    const yes = await world.decide("ben", asked, sealed);
    await expect(verifyDecision(world.trust, yes, NOW)).rejects.toEqual(refusal("signature"));
  });
});
