import { describe, expect, it } from "vitest";

import { fromDer, isPoint, verifyEd25519 } from "../../src/protocol/curves";
import { domain, encode, oid } from "../../src/protocol/encoding";
import { enrolWords, HAND_OVER_WORDS, inviteFragment, inviteTerms, parseInvite } from "../../src/protocol/enrol";
import { generateKey, sign, softSigner } from "../../src/protocol/keys";
import { addSignature, verify } from "../../src/protocol/signed";
import { b64, concat, hex, unb64 } from "../../src/protocol/text";

const ORG = b64(new Uint8Array(32).fill(7));
const LOGIN = { org: ORG, origin: "https://vault.example.org", nonce: "AAAA", issued: 1 };

describe.each(["ed25519", "es256"] as const)("%s", (alg) => {
  it("signs what its own key verifies, and only that", async () => {
    const { pair, public: publicBytes } = await generateKey(alg);
    const signer = softSigner(alg, pair, publicBytes);
    const signed = await sign("login", LOGIN, signer);
    const found = await verify("login", signed, [signer.key], []);
    expect(found.payload).toEqual(LOGIN);
    expect(found.oid).toEqual(await oid("login", encode(LOGIN)));
    const other = { ...signed, payload: b64(encode({ ...LOGIN, issued: 2 })) };
    await expect(verify("login", other, [signer.key], [])).rejects.toMatchObject({ code: "signature" });
    const twice = { ...signed, signatures: [...signed.signatures, ...signed.signatures] };
    await expect(verify("login", twice, [signer.key], [])).rejects.toMatchObject({ code: "signature" });
    expect(() => addSignature(signed, signed.signatures[0]!)).toThrow("signature");
    await expect(verify("cancel", signed, [signer.key], [])).rejects.toMatchObject({ code: "type" });
  });

  it("signs nothing that is not of the form", async () => {
    const { pair, public: publicBytes } = await generateKey(alg);
    const signer = softSigner(alg, pair, publicBytes);
    await expect(signer.sign("login", encode({ ...LOGIN, more: 1 }))).rejects.toMatchObject({ code: "field" });
    await expect(sign("letter", LOGIN, signer)).rejects.toMatchObject({ code: "type" });
  });

  it("keeps its private half in the browser", async () => {
    const { pair } = await generateKey(alg);
    expect(pair.privateKey.extractable).toBe(false);
  });
});

describe("points", () => {
  it("stand on the curve", async () => {
    const { public: point } = await generateKey("es256");
    expect(isPoint(point)).toBe(true);
    const beside = point.slice();
    beside[64]! ^= 1;
    expect(isPoint(beside)).toBe(false);
    expect(isPoint(concat(Uint8Array.of(4), new Uint8Array(64)))).toBe(false);
    expect(isPoint(concat(point, Uint8Array.of(0)))).toBe(false);
  });

  it("of small order verify nothing", async () => {
    // With R and A neutral and s = 0 the equation of the signature holds for every message.
    const neutral = concat(Uint8Array.of(1), new Uint8Array(31));
    expect(await verifyEd25519(neutral, encode(["x"]), concat(neutral, new Uint8Array(32)))).toBe(false);
  });
});

describe("DER", () => {
  const r = "01".repeat(32);
  const s = "7f".repeat(32);
  const bytes = (text: string) => Uint8Array.from(text.match(/../g) ?? [], (two) => parseInt(two, 16));

  it("becomes r and s", () => {
    expect(hex(fromDer(bytes(`30440220${r}0220${s}`))!)).toBe(r + s);
    const high = "ff".repeat(32); // a zero in front, or it would be negative
    expect(hex(fromDer(bytes(`3026022100${high}020101`))!)).toBe(`${high}${"00".repeat(31)}01`);
  });

  it.each([
    ["a byte too many", `30440220${r}0220${s}00`],
    ["a byte too few", `30440220${r}0220${s.slice(2)}`],
    ["a long form of a short length", `3081440220${r}0220${s}`],
    ["a zero that need not be", `3045022100${r}0220${s}`],
    ["a negative number", `30440220${"ff".repeat(32)}0220${s}`],
    ["no number", `302402000220${s}`],
    ["another tag", `31440220${r}0220${s}`],
    ["nothing", ""],
  ])("refuses %s", (_, text) => {
    expect(fromDer(bytes(text))).toBeUndefined();
  });
});

describe("an invite", () => {
  it("says the same words on both screens, and others for other keys", async () => {
    const nonce = new Uint8Array(32).fill(1);
    const { invite, bearer } = await inviteTerms(unb64(ORG), nonce);
    expect(invite.length).toBe(32);
    expect(unb64(bearer).length).toBe(32);
    const words = await enrolWords(invite, nonce);
    expect(words).toHaveLength(5);
    expect(await enrolWords(invite, nonce)).toEqual(words);
    expect(await enrolWords(new Uint8Array(32), nonce)).not.toEqual(words);
    const all = await enrolWords(invite, nonce, HAND_OVER_WORDS);
    expect(all).toHaveLength(12);
    expect(all.slice(0, 5)).toEqual(words); // the administrator's five are the first of the owner's twelve
    await expect(enrolWords(invite, new Uint8Array(31))).rejects.toMatchObject({ code: "field" });
  });

  it("travels in one form", () => {
    const invitation = { org: ORG, relay: "https://vault.example.org", ca: "AAAA", nonce: ORG };
    const fragment = inviteFragment(invitation);
    expect(parseInvite(`#${fragment}`)).toEqual(invitation);
    expect(() => parseInvite(b64(encode({ ...invitation, nonce: "AAAA" })))).toThrow("field");
    expect(() => parseInvite(b64(domain("enrol")))).toThrow("field");
    expect(() => parseInvite(`${fragment}=`)).toThrow("base64");
  });
});
