// Wrapped keys: they open under their own lock, for their own owner, and come out non-extractable.
import { describe, expect, it } from "vitest";
import { lockOf, unwrapClient, unwrapKem, unwrapScalar, wrap, type Lock, type Owner } from "../src/device/custody";
import type { Wrapped } from "../src/device/memory";
import { b64, unb64, utf8 } from "../src/protocol/encoding";
import { generatePair, kemSeal, pairOfScalar } from "../src/protocol/hpke";
import { generateKey } from "../src/protocol/keys";

const ORG = b64(new Uint8Array(32).fill(7));
const OWNER: Owner = { org: ORG, person: "bob", credential: b64(utf8("passkey")) };
const INFO = utf8("info");

async function given(): Promise<{ lock: Lock; wrapped: Wrapped; public: Uint8Array<ArrayBuffer> }> {
  const { pair, public: publicBytes } = await generatePair(true);
  const lock = await lockOf(new Uint8Array(32).fill(9), ORG);
  return { lock, wrapped: await wrap(lock, OWNER, "kem", pair.privateKey, publicBytes), public: publicBytes };
}

describe("custody", () => {
  it("opens what was sealed to the wrapped key, in another ceremony of the same passkey", async () => {
    const { wrapped, public: publicBytes } = await given();
    const kem = await unwrapKem(await lockOf(new Uint8Array(32).fill(9), ORG), OWNER, wrapped);
    const value = new Uint8Array(32).fill(3);
    const { enc, ct } = await kemSeal(publicBytes, INFO, value);
    expect(await kem.open(INFO, enc, ct)).toEqual(value);
  });

  it("wipes the output of the passkey", async () => {
    const prf = new Uint8Array(32).fill(9);
    await lockOf(prf, ORG);
    expect(prf).toEqual(new Uint8Array(32));
  });

  it("wraps the same key differently each time", async () => {
    const { pair, public: publicBytes } = await generatePair(true);
    const lock = await lockOf(new Uint8Array(32).fill(9), ORG);
    const twice = [await wrap(lock, OWNER, "kem", pair.privateKey, publicBytes), await wrap(lock, OWNER, "kem", pair.privateKey, publicBytes)];
    expect(twice[0]?.blob).not.toBe(twice[1]?.blob);
  });

  it.each([
    ["another organisation", { org: b64(new Uint8Array(32).fill(8)) }],
    ["another person", { person: "eve" }],
    ["another passkey", { credential: b64(utf8("another")) }],
  ])("refuses a blob as that of %s", async (_name, change) => {
    const { lock, wrapped } = await given();
    await expect(unwrapKem(lock, { ...OWNER, ...change }, wrapped)).rejects.toMatchObject({ code: "custody" });
  });

  it("refuses another public key beside the blob, a changed blob, and another passkey's output", async () => {
    const { lock, wrapped } = await given();
    const other = await generatePair();
    await expect(unwrapKem(lock, OWNER, { ...wrapped, public: b64(other.public) })).rejects.toMatchObject({ code: "custody" });
    const blob = unb64(wrapped.blob);
    for (const at of [0, 12, blob.length - 1]) {
      const bent = blob.slice();
      bent[at]! ^= 1;
      await expect(unwrapKem(lock, OWNER, { ...wrapped, blob: b64(bent) })).rejects.toMatchObject({ code: "custody" });
    }
    const foreign = await lockOf(new Uint8Array(32).fill(10), ORG);
    await expect(unwrapKem(foreign, OWNER, wrapped)).rejects.toMatchObject({ code: "custody" });
  });

  it("gives the scalar of the same key for a transfer, and what is made of it wraps again", async () => {
    const { lock, wrapped } = await given();
    const scalar = await unwrapScalar(lock, OWNER, wrapped);
    const { pair, public: publicBytes } = await pairOfScalar(scalar, true);
    expect(b64(publicBytes)).toBe(wrapped.public);
    const second: Owner = { ...OWNER, credential: b64(utf8("second")) };
    const again = await wrap(lock, second, "kem", pair.privateKey, publicBytes);
    const value = new Uint8Array(32).fill(5);
    const { enc, ct } = await kemSeal(publicBytes, INFO, value);
    expect(await (await unwrapKem(lock, second, again)).open(INFO, enc, ct)).toEqual(value);
    // A key whose public half the engine writes into the PKCS#8 must be found at the same place.
    expect(await unwrapScalar(lock, second, again)).toEqual(await unwrapScalar(lock, OWNER, wrapped));
  });

  it("gives the certificate's key as a signer and nothing that can be exported", async () => {
    const { pair, public: publicBytes } = await generateKey("es256", true);
    const lock = await lockOf(new Uint8Array(32).fill(9), ORG);
    expect(lock.extractable).toBe(false);
    const wrapped = await wrap(lock, OWNER, "client", pair.privateKey, publicBytes);
    const signer = await unwrapClient(lock, OWNER, wrapped);
    expect(signer.key).toEqual({ alg: "es256", public: wrapped.public });
    expect(JSON.stringify(signer)).not.toContain("privateKey");
  });
});
