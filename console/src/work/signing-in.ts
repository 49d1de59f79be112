// Signing in with a passkey, also in a browser that knows nothing. The relay's word is taken for one thing, where to begin; at
// the end the verified roster must list this passkey for this person, and the assertion that was just made must verify under
// that entry.
import { ApiError } from "../api";
import { relay, session, signedIn, environment, account as current, type Environment } from "../app/session";
import { Account, signatureOf } from "../device/account";
import { DeviceFault } from "../device/fault";
import { deviceLabel } from "../device/label";
import { identities, rememberIdentity, type Identity } from "../device/memory";
import { anchorOf, assert, founderAnchor, type Assertion } from "../device/passkey";
import { b64, encode, oid } from "../protocol/encoding";
import { verifySignature } from "../protocol/keys";
import { peek, wrap } from "../protocol/signed";
import type { Trust } from "../protocol/trust";
import { device as deviceTexts } from "../texts/device";
import { signin as texts } from "../texts/signin";

/** Signs in; with `known`, by that passkey and no other. */
export async function signInHere(known: Identity | undefined = current.peek()?.identity): Promise<Account> {
  const standing = await relay.get<Environment>("/v1/environment");
  environment.value = standing;
  if (!standing.org_id) throw new DeviceFault("no-organisation", texts.noOrganisation, "");
  // 1. What this browser pinned outranks what the relay says now.
  const pinned = known?.org ?? (await identities())[0]?.org;
  if (pinned && pinned !== standing.org_id) throw new DeviceFault("org", texts.otherOrgPinned, texts.otherOrgPinnedRemedy);
  const org = pinned ?? standing.org_id;
  // 2. The challenge is the id of a login object that we make: organisation, our own origin, the relay's nonce.
  const { nonce } = await relay.post<{ nonce: string }>("/v1/login/nonce");
  const payload = encode({ org, origin: location.origin, nonce, issued: Math.floor(Date.now() / 1000) });
  const made = await assert(await oid("login", payload), {
    org, rpId: location.hostname, ...(known ? { credentials: [known.credential] } : {}),
  });
  // 3. A passkey says of which organisation it is: a relay cannot lead us into another one. The founder's says it by the root
  // key, which step 4 compares.
  const anchor = pinned ? "" : anchorOf(made.userHandle);
  const identity = await identify(org, made);
  const signature = await signatureOf(made, identity.public);
  await relay.post("/v1/login", {
    login: wrap("login", payload, [signature]), person: identity.person, device: identity.device,
    cookie: true, label: deviceLabel(),
  });
  try {
    // 4. From here on only the roster counts, verified from the pin.
    const account = new Account(relay, identity);
    const trust = await account.trust(true);
    if (!pinned && anchor !== org && !(await isFounders(anchor, trust))) {
      throw new DeviceFault("org", deviceTexts.otherOrg, deviceTexts.otherOrgRemedy);
    }
    const { key } = await account.listed();
    if (key.public !== identity.public || key.rp_id !== location.hostname) {
      throw new DeviceFault("device", texts.mismatch, texts.mismatchRemedy);
    }
    // 5. The assertion of this very sign-in, as everybody else would verify it: user verification, origin, and the backup flag
    // (D6).
    await verifySignature(key, "login", payload, signature, trust.origins);
    await rememberIdentity(identity);
    await signedIn(account);
    return account;
  } catch (error) {
    await relay.post("/v1/logout").catch(() => {});
    if (session.peek() === "signed-in") session.value = "signed-out";
    throw error;
  }
}

/** Whether the first root is signed by the one key that this anchor is the hash of. That key signed one root, so the pin
 * follows. */
async function isFounders(anchor: string, trust: Trust): Promise<boolean> {
  const { root } = peek("root", trust.roots[0]); // verified: its oid is the pin, its signatures are good
  const only = root.keys[0];
  return root.keys.length === 1 && only !== undefined && b64(await founderAnchor(only.public)) === anchor;
}

/** Person, device and public key of a passkey: this browser's own record, else the relay's word, which step 4 tests. */
async function identify(org: string, made: Assertion): Promise<Identity> {
  const kept = (await identities()).find((one) => one.credential === made.credential && one.org === org);
  if (kept) return kept;
  try {
    const { credential } = made;
    const found = await relay.post<Omit<Identity, "org" | "credential">>("/v1/login/credential", { credential });
    return { org, person: found.person, device: found.device, credential, public: found.public };
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) {
      throw new DeviceFault("device", deviceTexts.notRostered, deviceTexts.notRosteredRemedy);
    }
    throw error;
  }
}
