// This person's own client: what raises the logged `reseal` requests and fetches what was released (protocol 6, 11). Its key is
// kept like the KEM key: unwrapped by a ceremony, never extractable, gone with the page.
import type { Api } from "../api";
import type { Account } from "../device/account";
import { encode, sha256 } from "../protocol/encoding";
import { generatePair, opener, type Opener } from "../protocol/hpke";
import type { Signer } from "../protocol/keys";
import type { Observed, Request, Signed } from "../protocol/objects";
import { oidOf } from "../protocol/signed";
import { b64, utf8 } from "../protocol/text";
import type { Cert, Trust } from "../protocol/trust";
import { resealText } from "../texts/resealing";
import { agreedHead } from "./heads";
import { allClients } from "./publish";
import type { Seal } from "./seals";
import { Stopped } from "./stopped";

const NOBODY = 65534; // a browser has no account that it could name
const RANDOM = 32; // bytes

export interface ReleaseClient {
  cert: Cert;
  signedCert: Signed;
  key: Signer;
  api: Api;
}

export interface Raised {
  request: Signed;
  oid: string;
  ephemeral: Opener;
  expires: number;
}

/** One ceremony for the client's key, and a sign-in with it. */
export async function openClient(account: Account): Promise<ReleaseClient> {
  const trust = await account.trust();
  const person = trust.roster.people.find((one) => one.id === account.person);
  if (!person?.roles.includes("sealer")) throw new Stopped("not-sealer", resealText.notSealer(account.person));
  // The challenge is no object's id: this assertion unwraps the key and can mean nothing else.
  const ceremony = await account.ceremony(crypto.getRandomValues(new Uint8Array(RANDOM)));
  const key = await ceremony.clientKey();
  const found = key && (await ownCert(account, trust, key.key.public));
  if (!key || !found) throw new Stopped("no-certificate", resealText.noCertificate());
  return { ...found, key, api: account.api.withBearer(await signIn(account, trust, key, b64(found.cert.oid))) };
}

/** The newest certificate over this key that verifies: the relay's list is not believed. */
async function ownCert(
  account: Account,
  trust: Trust,
  publicKey: string,
): Promise<{ cert: Cert; signedCert: Signed } | undefined> {
  const found: { cert: Cert; signedCert: Signed }[] = [];
  for (const one of await allClients(account)) {
    try {
      const cert = await trust.verifyCert(one.cert, account.now());
      if (cert.payload.subject === `person/${account.person}` && cert.payload.key.public === publicKey)
        found.push({ cert, signedCert: one.cert });
    } catch {
      continue; // over, revoked, or not one of ours
    }
  }
  return found.sort((a, b) => b.cert.payload.expires - a.cert.payload.expires)[0];
}

async function signIn(account: Account, trust: Trust, key: Signer, client: string): Promise<string> {
  const { nonce } = await account.api.post<{ nonce: string }>("/v1/login/nonce");
  const login = { org: trust.org, origin: location.origin, nonce, issued: account.now() };
  return (await account.api.post<{ token: string }>("/v1/login", { login: await key.sign("login", encode(login)), client }))
    .token;
}

/** One card of `reseal` requests for these seals. */
export async function raise(account: Account, client: ReleaseClient, seals: readonly Seal[]): Promise<Raised[]> {
  const trust = await account.trust();
  const now = account.now();
  const expires = now + Math.min(...seals.map((one) => trust.selectPolicy(one.path).ttl));
  const log_head = await agreedHead(account, trust, []);
  const observed = await observedHere(account, client.cert.payload.host);
  const raised: Raised[] = [];
  for (const seal of seals) {
    const ephemeral = await freshOpener();
    const request: Request = {
      org: trust.org,
      id: b64(crypto.getRandomValues(new Uint8Array(16))),
      client: b64(client.cert.oid),
      path: seal.path,
      minimum: seal.version,
      suite: "p256",
      ephemeral: b64(ephemeral.public),
      issued: now,
      expires,
      window: 0,
      uses: 0,
      roster: trust.pair,
      log_head,
      purpose: "reseal",
      observed,
      claimed: { reason: resealText.reason },
    };
    const signed = await client.key.sign("request", encode(request));
    raised.push({ request: signed, oid: b64(await oidOf(signed)), ephemeral, expires });
  }
  await client.api.post("/v1/requests", { requests: raised.map((one) => one.request) });
  return raised;
}

async function freshOpener(): Promise<Opener> {
  const { pair, public: point } = await generatePair();
  return opener(pair, point);
}

/** What this page can say of itself, under the grade `user`: an approver sees that it is a person's own browser. */
async function observedHere(account: Account, host: string): Promise<Observed> {
  return {
    host,
    uid: NOBODY,
    user: resealText.user(account.person),
    exe: resealText.exe,
    exe_sha256: b64(await bundleDigest()),
    chain: [],
    grade: "user",
  };
}

/** The digest of the list of what this console is made of, as the relay serves it; that of its name where there is none. */
async function bundleDigest(): Promise<Uint8Array> {
  try {
    const answer = await fetch("/console.json", { cache: "no-store", credentials: "omit", redirect: "error" });
    if (answer.ok) return await sha256(new Uint8Array(await answer.arrayBuffer()));
  } catch {
    // offline in the middle of a re-seal: the next call says so
  }
  return sha256(utf8(resealText.exe));
}
