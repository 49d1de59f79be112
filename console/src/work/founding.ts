// First start: the same organisation as `stillvault org create`, with a passkey where that has a key file. In two halves with
// the paper between them: `prepare` makes the passkey, the root key and the kit; `found` signs and asks the relay. The root key
// signs one root and is then in the kit alone.
import { Api, ApiError } from "../api";
import type { Environment } from "../app/session";
import { DeviceKeys, keep, rawPrivate, signNew } from "../device/enrolling";
import { DeviceFault } from "../device/fault";
import { Memory } from "../device/memory";
import { create, founderAnchor, type NewPasskey } from "../device/passkey";
import { b64, sha256, unb64 } from "../protocol/encoding";
import { generatePair } from "../protocol/hpke";
import { generateKey, sign, softSigner } from "../protocol/keys";
import type { ClientCert, Recovery, Roster, Signed } from "../protocol/objects";
import { oidOf } from "../protocol/signed";
import { Trust } from "../protocol/trust";
import { setup as texts } from "../texts/setup";
import { CERT_LIFE, DEVICE_LIFE, deviceId, ROLES, ROOT_LIFE, ROSTER_LIFE } from "./roster";

const RECOVERY_KEYS = 3;
const RECOVERY_THRESHOLD = 2;

/** The fields of the command line's kit, under the same names. */
export interface Kit {
  org_id: string;
  name: string;
  relay: string;
  fingerprint: string;
  root_key: string;
  recovery_threshold?: number;
  recovery_keys?: { id: string; secret: string }[];
}

export interface Draft {
  org: string;
  name: string;
  person: string;
  label: string;
  root: Signed;
  passkey: Pick<NewPasskey, "credential" | "key">;
  recovery?: Recovery;
  made: number;
  /** Filled by `found`, so that a second attempt with a new setup link needs no further ceremony. */
  signed?: { roster: Signed; cert: Signed; device: string };
}

export interface Names {
  name: string;
  person: string;
  label: string;
  recovery: boolean;
}

/** Whether the relay takes the token. */
export async function checkToken(token: string): Promise<boolean> {
  try {
    await new Api({ bearer: token }).get("/v1/setup/log");
    return true;
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) return false;
    throw error;
  }
}

export async function prepare(token: string, names: Names): Promise<{ draft: Draft; kit: Kit }> {
  const log = await new Api({ bearer: token }).get<{ origin: string; public: string }>("/v1/setup/log");
  // The origin goes into the root for good: the relay must call itself what the address bar calls it.
  if (![location.host, location.hostname].includes(log.origin.replace(/\/log.*$/, ""))) {
    throw new DeviceFault("public-url", texts.sign.strange, texts.sign.strangeRemedy);
  }
  const rootKey = await generateKey("ed25519", true);
  const anchor = b64(await founderAnchor(b64(rootKey.public)));
  const { name, person, label } = names;
  const { credential, key, prf } = await create({ org: anchor, rpId: location.hostname, person, label });
  prf.fill(0); // it proved that there is one; the keys are wrapped under that of the organisation's salt, in the first signature
  const now = Math.floor(Date.now() / 1000);
  const signer = softSigner("ed25519", rootKey.pair, rootKey.public);
  const root = await sign("root", {
    name, version: 1, root: { keys: [signer.key], threshold: 1 }, admin: { keys: [key], threshold: 1 },
    log: { origin: log.origin, public: log.public }, rp_id: location.hostname, origins: [location.origin],
    issued: now, expires: now + ROOT_LIFE,
  }, signer);
  const org = b64(await oidOf(root));
  const spare = names.recovery ? await recoveryKeys() : undefined;
  const seed = await rawPrivate(rootKey.pair.privateKey);
  const kit: Kit = {
    org_id: org, name, relay: location.origin, fingerprint: await fingerprint(), root_key: b64(seed),
    ...(spare ? { recovery_threshold: RECOVERY_THRESHOLD, recovery_keys: spare.secrets } : {}),
  };
  seed.fill(0);
  const draft: Draft = {
    org, name, person, label, root, passkey: { credential, key }, made: now, ...(spare ? { recovery: spare.recovery } : {}),
  };
  return { draft, kit };
}

/** Signs roster and certificate (a ceremony each) and creates the organisation at the relay. May be called again after a
 * failure. */
export async function found(draft: Draft, token: string): Promise<void> {
  draft.signed ??= await signAll(draft);
  const { roster, cert, device } = draft.signed;
  try {
    await new Api({ bearer: token }).post("/v1/setup", { root: draft.root, roster, certs: [cert] });
  } catch (error) {
    // An answer may have been lost: the relay knows whether it took ours.
    if (!(error instanceof ApiError) || !(error.offline || error.status === 409)) throw error;
    const now = await new Api().get<Environment>("/v1/environment");
    if (now.org_id !== draft.org) {
      if (now.organisation) throw new DeviceFault("organisation-exists", texts.sign.taken, texts.sign.takenRemedy);
      throw error;
    }
  }
  const memory = new Memory(draft.org, draft.person, device);
  if (draft.recovery) await memory.change("recovery", () => draft.recovery);
}

async function signAll(draft: Draft): Promise<NonNullable<Draft["signed"]>> {
  const now = Math.floor(Date.now() / 1000);
  const { org, person, label, passkey } = draft;
  const keys = await DeviceKeys.generate();
  const empty: Roster = {
    org, root: org, version: 1, issued: now, expires: now + ROSTER_LIFE,
    people: [], policies: [], floors: [], revoked: [], holds: [],
  };
  const device = deviceId(empty, person, label);
  const value: Roster = {
    ...empty,
    people: [{ id: person, name: person, roles: [...ROLES], devices: [{
      id: device, name: label, tier: "synced", kem: keys.kem, auth: [passkey.key], deny: keys.deny,
      added: now, expires: now + DEVICE_LIFE,
    }] }],
  };
  const { signed: roster, lock } = await signNew(passkey, org, "roster", value);
  const terms: ClientCert = {
    org, subject: `person/${person}`, host: device, key: keys.client, scopes: ["**"], grade: "user",
    issued: now, expires: now + CERT_LIFE,
  };
  const { signed: cert } = await signNew(passkey, org, "client-cert", terms);
  // As every reader will, before anybody is told.
  const trust = await Trust.verify(unb64(org), [draft.root], roster, now);
  await trust.verifyCert(cert, now);
  // The keys are on disk before the relay hears of them: a lost answer never costs a key.
  const wrapped = await keys.wrapped(lock, { org, person, credential: passkey.credential });
  const { credential, key } = passkey;
  const memory = await keep({ org, person, device, credential, public: key.public }, wrapped, keys.denyHalf);
  const own = [terms.subject, b64(await oidOf(cert)), terms.expires, terms.host];
  await memory.change("issued", () => [own]);
  return { roster, cert, device };
}

async function recoveryKeys(): Promise<{ recovery: Recovery; secrets: { id: string; secret: string }[] }> {
  const pairs = await Promise.all(Array.from({ length: RECOVERY_KEYS }, () => generatePair(true)));
  const secrets = [];
  for (const [at, { pair }] of pairs.entries()) {
    const raw = await rawPrivate(pair.privateKey);
    secrets.push({ id: `recovery-${at + 1}`, secret: b64(raw) });
    raw.fill(0);
  }
  const keys = pairs.map((one, at) => ({ id: `recovery-${at + 1}`, kem: { suite: "p256" as const, public: b64(one.public) } }));
  return { recovery: { threshold: RECOVERY_THRESHOLD, keys }, secrets };
}

/** `SHA256:` and the hash of the relay's CA certificate: what a command line on another machine pins. */
async function fingerprint(): Promise<string> {
  const pem = new TextDecoder().decode(await new Api().bytes("/ca.pem"));
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)?.[1] ?? "";
  return `SHA256:${b64(await sha256(Uint8Array.from(atob(body.replace(/\s+/g, "")), (char) => char.charCodeAt(0))))}`;
}
