// Protocol 2: a WebAuthn assertion as a signature over an object (WebAuthn Level 3, 7.2). The challenge is the oid, so the
// signature over client and authenticator data covers our object. Signature counters and extension outputs are not looked at:
// synced passkeys keep no counter, and nothing rests on the outputs, which the signature covers.
import { fromDer, verifyEs256 } from "./curves";
import { sha256 } from "./encoding";
import { Refused } from "./error";
import { parseForeign } from "./json";
import type { Json } from "./json";
import type { Key } from "./objects";
import { b64, concat, equal, unb64, utf8 } from "./text";
import type { Bytes } from "./text";

// Authenticator data, WebAuthn 6.1
const USER_PRESENT = 0x01;
const USER_VERIFIED = 0x04;
const BACKUP_ELIGIBLE = 0x08;
const BACKED_UP = 0x10;
const MORE = 0x40 | 0x80; // attested credential data, extensions
const FIXED = 37; // bytes: hash of the relying party id, flags, counter

export type Assertion = { authData: Bytes; clientData: Bytes; sig: Bytes };

/** `key` is a listed webauthn-es256 key, `challenge` the oid of the object. */
export async function verifyAssertion(
  key: Key, challenge: Uint8Array, assertion: Assertion, origins: readonly string[],
): Promise<void> {
  // 1. The signature first: nothing below reads bytes that the authenticator did not sign.
  const message = concat(assertion.authData, await sha256(assertion.clientData));
  const sig = fromDer(assertion.sig);
  if (!sig || !(await verifyEs256(unb64(key.public), message, sig))) throw new Refused("signature");
  checkClientData(assertion.clientData, challenge, origins);
  await checkAuthData(assertion.authData, key);
}

/** The browser's own JSON: it may hold more than is known here, but no name twice, for two readers might each take another. */
function clientDataOf(raw: Uint8Array): { [name: string]: Json } {
  let data: Json;
  try {
    data = parseForeign(raw);
  } catch {
    throw new Refused("client-data", "not JSON, or a name stands twice");
  }
  if (typeof data !== "object" || data === null || Array.isArray(data)) throw new Refused("client-data", "not an object");
  return data;
}

function checkClientData(raw: Uint8Array, challenge: Uint8Array, origins: readonly string[]): void {
  const data = clientDataOf(raw);
  // 2. The ceremony: a registration is no assertion.
  if (data.type !== "webauthn.get") throw new Refused("client-data", "not an assertion");
  // 3. The challenge binds the assertion to this object.
  if (data.challenge !== b64(challenge)) throw new Refused("challenge", "made for another object");
  // 4. The whole origin, never a prefix or suffix.
  if (typeof data.origin !== "string" || !origins.includes(data.origin)) throw new Refused("origin");
  // 5. No frame inside somebody else's page.
  if (data.crossOrigin !== undefined && data.crossOrigin !== false) throw new Refused("cross-origin");
}

async function checkAuthData(auth: Uint8Array, key: Key): Promise<void> {
  const flags = auth[32] ?? 0;
  if (auth.length < FIXED || (auth.length > FIXED && !(flags & MORE))) {
    throw new Refused("client-data", "authenticator data of another length");
  }
  // 6. The relying party of the listed credential.
  if (!equal(auth.subarray(0, 32), await sha256(utf8(key.rp_id ?? "")))) throw new Refused("rp-id");
  // 7. A person was there and was verified.
  if (!(flags & USER_PRESENT) || !(flags & USER_VERIFIED)) throw new Refused("flags", "user present and verified, both");
  // 8. The credential can be copied exactly when the roster says so: otherwise its tier would be a lie.
  const eligible = (flags & BACKUP_ELIGIBLE) !== 0;
  if (eligible !== key.backup || (flags & BACKED_UP && !eligible)) throw new Refused("backup", "not as enrolled");
}
