// Passkeys: creation and assertion. Every option is fixed here: the relying party, required user verification, the salt of the
// PRF extension. Nothing of it comes from the relay, so that a relay cannot weaken a ceremony (A19). The PRF output of a
// ceremony with user verification is the secret that wraps this device's keys; an authenticator without it is refused.
import { b64, domain, equal, sha256, unb64, utf8, type Bytes } from "../protocol/encoding";
import type { Key } from "../protocol/objects";
import { device as texts } from "../texts/device";
import { DeviceFault } from "./fault";

const ES256 = -7; // COSE
const PATIENCE = 120_000; // milliseconds of one ceremony
const PRESENT = 0x01;
const VERIFIED = 0x04;
const ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const ATTESTED = 0x40;
const CREDENTIAL_AT = 55; // bytes of authenticator data before the credential id
const ANCHOR = 32; // bytes at the head of a user handle

export interface NewPasskey {
  credential: string;
  key: Key;
  /** 32 bytes or more; whoever gets them wipes them. */
  prf: Bytes;
}

/** An assertion as it goes into a signature, and what came with it. */
export interface Assertion {
  credential: string;
  auth_data: string;
  client_data: string;
  sig: string;
  /** Empty where the authenticator gave none (a credential that was named needs none). */
  userHandle: Bytes;
  /** Absent where the authenticator gave no PRF output. */
  prf?: Bytes;
}

/** The salt of the PRF extension (protocol 7.5). `org` is the pin. */
export function prfSalt(org: string): Promise<Bytes> {
  return sha256(domain("prf-input", org));
}

/** The anchor of the founder's passkey, which exists before the organisation has an id: the root lists the passkey, so the id
 * follows from it. The hash of the root key stands in for it; that key signs one root of version 1 and is then forgotten. */
export function founderAnchor(rootKey: string): Promise<Bytes> {
  return sha256(domain("meta", "founder", rootKey));
}

/** The first 32 bytes of a user handle: what a synced passkey carries to a browser that knows nothing. The organisation's id,
 * or the founder's anchor. */
export function anchorOf(handle: Uint8Array): string {
  return handle.length >= ANCHOR ? b64(handle.subarray(0, ANCHOR)) : "";
}

/** Makes a passkey in one ceremony (a second one where the authenticator gives PRF output only at use). `org` is the pin, or the
 * founder's anchor: it heads the user handle and salts the PRF. Refuses with `no-uv`, `no-prf`. */
export async function create(given: { org: string; rpId: string; person: string; label: string }): Promise<NewPasskey> {
  available();
  const salt = await prfSalt(given.org);
  const handle = new Uint8Array(2 * ANCHOR);
  handle.set(unb64(given.org));
  // Random behind the anchor: another passkey of the same person does not replace this one.
  handle.set(crypto.getRandomValues(new Uint8Array(ANCHOR)), ANCHOR);
  const made = (await ceremony(() => navigator.credentials.create({
    publicKey: {
      rp: { id: given.rpId, name: "Stillvault" },
      user: { id: handle, name: given.label, displayName: given.person },
      challenge: crypto.getRandomValues(new Uint8Array(32)), // nobody judges the attestation, so nothing rests on it
      pubKeyCredParams: [{ type: "public-key", alg: ES256 }],
      authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
      attestation: "none",
      timeout: PATIENCE,
      extensions: { prf: { eval: { first: salt } } },
    },
  }))) as PublicKeyCredential;
  const response = made.response as AuthenticatorAttestationResponse;
  const auth = new Uint8Array(response.getAuthenticatorData());
  const backup = await checkFlags(auth, given.rpId, ATTESTED);
  const credential = new Uint8Array(made.rawId);
  if (!equal(auth.subarray(CREDENTIAL_AT, CREDENTIAL_AT + credential.length), credential)) throw wrongForm();
  const key: Key = {
    alg: "webauthn-es256", public: await publicKey(response), credential: b64(credential), rp_id: given.rpId, backup,
  };
  const prf = prfOf(made) ?? (enabled(made) ? await prfAtUse(given.org, given.rpId, b64(credential)) : undefined);
  if (!prf) throw new DeviceFault("no-prf", texts.noPrfDetail, texts.noPrfRemedy);
  return { credential: b64(credential), key, prf };
}

/** Some authenticators give the output only when a passkey is used. What is signed here is random and goes nowhere. */
async function prfAtUse(org: string, rpId: string, credential: string): Promise<Bytes | undefined> {
  return (await assert(crypto.getRandomValues(new Uint8Array(32)), { org, rpId, credentials: [credential] })).prf;
}

/** One ceremony with user verification over `challenge`. Without `credentials` any passkey of this relying party may answer. */
export async function assert(
  challenge: Uint8Array, given: { org: string; rpId: string; credentials?: string[] },
): Promise<Assertion> {
  available();
  const salt = await prfSalt(given.org);
  const allowed = given.credentials?.map((one) => ({ type: "public-key" as const, id: unb64(one) }));
  const made = (await ceremony(() => navigator.credentials.get({
    publicKey: {
      rpId: given.rpId,
      challenge: Uint8Array.from(challenge),
      userVerification: "required",
      timeout: PATIENCE,
      ...(allowed ? { allowCredentials: allowed } : {}),
      extensions: { prf: { eval: { first: salt } } },
    },
  }))) as PublicKeyCredential;
  const response = made.response as AuthenticatorAssertionResponse;
  const auth = new Uint8Array(response.authenticatorData);
  await checkFlags(auth, given.rpId, 0);
  const credential = b64(new Uint8Array(made.rawId));
  if (given.credentials && !given.credentials.includes(credential)) throw wrongForm();
  const prf = prfOf(made);
  return {
    credential,
    auth_data: b64(auth),
    client_data: b64(new Uint8Array(response.clientDataJSON)),
    sig: b64(new Uint8Array(response.signature)),
    userHandle: new Uint8Array(response.userHandle ?? new ArrayBuffer(0)),
    ...(prf ? { prf } : {}),
  };
}

function available(): void {
  if (typeof PublicKeyCredential === "undefined" || !window.isSecureContext) {
    throw new DeviceFault("no-passkeys", texts.unsupported, texts.unsupportedRemedy);
  }
}

async function ceremony(start: () => Promise<Credential | null>): Promise<Credential> {
  let made: Credential | null;
  try {
    made = await start();
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "SecurityError") throw new DeviceFault("rp-id", texts.rpId, texts.rpIdRemedy);
    if (name === "InvalidStateError") throw new DeviceFault("passkey-exists", texts.exists, texts.existsRemedy);
    if (name === "NotSupportedError") throw new DeviceFault("no-passkeys", texts.unsupported, texts.unsupportedRemedy);
    throw new DeviceFault("passkey-refused", texts.refused, texts.refusedRemedy);
  }
  if (!made) throw new DeviceFault("passkey-refused", texts.refused, texts.refusedRemedy);
  return made;
}

/** Present, verified, of this relying party, no backup without eligibility (protocol 2). Returns whether it can be backed up. */
async function checkFlags(auth: Uint8Array, rpId: string, more: number): Promise<boolean> {
  const flags = auth[32] ?? 0;
  if (!equal(auth.subarray(0, 32), await sha256(utf8(rpId)))) throw wrongForm();
  if ((flags & (PRESENT | VERIFIED)) !== (PRESENT | VERIFIED)) throw new DeviceFault("no-uv", texts.noUv, texts.noUvRemedy);
  if ((flags & more) !== more) throw wrongForm();
  const eligible = (flags & ELIGIBLE) !== 0;
  if (flags & BACKED_UP && !eligible) throw wrongForm();
  return eligible;
}

async function publicKey(response: AuthenticatorAttestationResponse): Promise<string> {
  const spki = response.getPublicKey();
  if (!spki || response.getPublicKeyAlgorithm() !== ES256) throw wrongForm();
  const key = await crypto.subtle.importKey("spki", spki, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"]);
  return b64(new Uint8Array(await crypto.subtle.exportKey("raw", key)));
}

function enabled(made: PublicKeyCredential): boolean {
  return made.getClientExtensionResults().prf?.enabled === true;
}

function prfOf(made: PublicKeyCredential): Bytes | undefined {
  const first = made.getClientExtensionResults().prf?.results?.first;
  if (!first) return undefined;
  const view = ArrayBuffer.isView(first);
  const bytes = view ? new Uint8Array(first.buffer, first.byteOffset, first.byteLength) : new Uint8Array(first);
  return bytes.length >= 32 ? Uint8Array.from(bytes) : undefined;
}

const wrongForm = () => new DeviceFault("passkey-form", texts.wrongForm, texts.wrongFormRemedy);
