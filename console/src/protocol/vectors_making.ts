// What the cross tests ask the console to make: seals and releases that the core and the reference then open. Beside the vectors'
// operations, and like them only in the build for the vectors: private keys come as inputs.
import { checkPrompt } from "./approver";
import type { PlainAlgorithm } from "./curves";
import { opener, pairOfScalar } from "./hpke";
import type { Json } from "./json";
import { softSigner } from "./keys";
import type { Signer } from "./keys";
import type { Pair, Signed } from "./objects";
import { release } from "./release";
import { seal } from "./seal";
import { b64, concat, unb64 } from "./text";
import type { Bytes } from "./text";
import { trustOf } from "./vectors_sealed";
import type { Given, Operation } from "./vectors_sealed";

/** PKCS#8 around a raw private key, up to the key itself (RFC 8410; RFC 5915 without the public half). */
const PKCS8 = { ed25519: "MC4CAQAwBQYDK2VwBCIEIA", es256: "MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCA" };

async function signerOf(alg: PlainAlgorithm, secret: Bytes): Promise<Signer> {
  const algorithm = alg === "es256" ? { name: "ECDSA", namedCurve: "P-256" } : { name: "Ed25519" };
  const pkcs8 = concat(unb64(PKCS8[alg]), secret);
  const privateKey = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  const { x, y } = await crypto.subtle.exportKey("jwk", privateKey);
  const publicBytes = alg === "es256" ? concat(Uint8Array.of(4), unb64(x), unb64(y)) : unb64(x);
  return softSigner(alg, { privateKey, publicKey: privateKey }, publicBytes);
}

async function makeSeal(given: Given): Promise<Json> {
  const { alg, secret } = given.signer as { alg: PlainAlgorithm; secret: string };
  const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));
  const sealed = await seal(
    await trustOf(given), await signerOf(alg, unb64(secret)), given.by as [string, string], given.path as string,
    unb64(given.value), given.version as Pair, given.previous as string | undefined, given.now as number, random,
  );
  return { secret: sealed.secret, ciphertext: b64(sealed.ciphertext), oid: b64(sealed.oid), missing: sealed.missing };
}

async function makeRelease(given: Given): Promise<Json> {
  const [trust, now] = [await trustOf(given), given.now as number];
  const { pair, public: publicBytes } = await pairOfScalar(unb64(given.secret_key));
  const own = given.own as [string, string];
  const prompt = await checkPrompt(trust, own, given.client_cert, given.request, given.secret, false, undefined, now);
  return { ...(await release(trust, [prompt], given.decision as Signed, opener(pair, publicBytes), now)) };
}

export const makingOperations: Readonly<Record<string, Operation>> = {
  "make-seal": makeSeal,
  "make-release": makeRelease,
  recipients: async (given) => (await trustOf(given)).recipients(given.path as string, given.now as number),
};
