// Confirming: the administrator's half of protocol 11. The five words that the joiner's screen shows bind the joiner's keys to
// the nonce: a relay that swaps a key changes the words (A20). A KEM key must prove itself by opening a challenge before
// anything is signed; a second passkey proves itself by opening the key that was handed over.
import type { Account } from "../device/account";
import { domain } from "../protocol/encoding";
import { enrolWords, HAND_OVER_WORDS, inviteTerms, parseInvite, proofInfo, verifyEnrol } from "../protocol/enrol";
import { Refused } from "../protocol/error";
import { kemSeal } from "../protocol/hpke";
import type { Device, Enrol } from "../protocol/objects";
import { b64, equal, unb64, utf8 } from "../protocol/text";
import type { Verified } from "../protocol/signed";
import { invitingText } from "../texts/inviting";
import { forgetInvite, invitesOf, type Granted, type InviteRow } from "./invites";
import { adminKey, newCert, publish, signCert } from "./publish";
import { deviceId, DEVICE_LIFE, withDevice, withPasskey } from "./roster";
import { Stopped } from "./stopped";

const PROOF_WAIT = 60_000; // milliseconds
const POLL = 400; // milliseconds
const WORDS = 5;
const MOST_NAME = 64; // characters of a device's name

export type Confirmed =
  | { kind: "person"; subject: string; device: string; roster: number }
  | { kind: "passkey"; subject: string; device: string; roster: number }
  | { kind: "client"; subject: string; host: string; expires: number };

/** Checks the words and the proof, then signs the roster or the certificate. */
export async function confirm(account: Account, given: Granted, words: readonly string[], handOver = false): Promise<Confirmed> {
  const trust = await account.trust(true);
  adminKey(account, trust);
  const row = await rowOf(account, given);
  const enrol = await checked(account, row, unb64(given.nonce), words);
  let confirmed: Confirmed;
  if (given.kind === "client") confirmed = await confirmClient(account, given, enrol);
  else if (given.device) {
    // The machine that has the key may be this one: then the hand-over comes first, so that nobody is listed without a key.
    const own = given.subject === account.person && given.device === account.device;
    if (handOver && own && !row.transferred) await transfer(account, given.invite, enrol);
    else if (!row.transferred) throw new Stopped("transfer", invitingText.notHandedOver(given.subject));
    confirmed = await confirmPasskey(account, { ...given, device: given.device }, enrol);
  } else confirmed = await confirmDevice(account, given, enrol);
  await forgetInvite(account, given.invite);
  return confirmed;
}

async function rowOf(account: Account, given: Granted): Promise<InviteRow> {
  const row = (await invitesOf(account)).find((one) => one.invite === given.invite);
  if (!row || ["confirmed", "cancelled", "expired"].includes(row.state)) throw new Stopped("no-invite", invitingText.gone());
  if (row.subject !== given.subject || row.kind !== given.kind) throw new Stopped("invite", invitingText.subject());
  if (!row.enrol) throw new Stopped("not-joined", invitingText.notJoined(given.subject));
  return row;
}

/** 1. The enrolment is of this organisation and this invite, signed by its own key. 2. The words bind its keys to the nonce. */
async function checked(
  account: Account, row: InviteRow, nonce: Uint8Array, words: readonly string[], count = WORDS,
): Promise<Verified<Enrol>> {
  if (words.length !== count) throw new Stopped("words", invitingText.wordCount(words.length, count), "words");
  const trust = await account.trust();
  const enrol = await verifyEnrol(trust.pin, trust.root.origins, row.enrol, unb64(row.invite));
  const expected = await enrolWords(enrol.oid, nonce, count);
  if (!equal(utf8(expected.join(" ")), utf8(words.join(" ")))) throw new Stopped("words", invitingText.wrongWords(), "words");
  return enrol;
}

async function confirmDevice(
  account: Account,
  given: Granted & { kind: "person" },
  { payload: enrol, oid }: Verified<Enrol>,
): Promise<Confirmed> {
  if (!enrol.kem) throw new Stopped("enrol", invitingText.noKem());
  // 3. The KEM key proves itself.
  await prove(account, given.invite, enrol.kem.public);
  const now = account.now();
  const { roster } = await account.trust(true);
  const name = [...enrol.name].slice(0, MOST_NAME).join(""); // the joiner chose it, and everybody reads the roster
  const device: Device = {
    id: deviceId(roster, given.subject, name),
    name,
    tier: enrol.auth.alg === "webauthn-es256" ? "synced" : "soft",
    kem: enrol.kem,
    auth: [enrol.auth],
    ...(enrol.deny ? { deny: enrol.deny } : {}),
    added: now,
    expires: now + DEVICE_LIFE,
  };
  const certs = [];
  if (enrol.client) {
    const cert = newCert(
      account.org,
      { subject: `person/${given.subject}`, host: device.id, key: enrol.client, scopes: ["**"], grade: "user" },
      now,
    );
    certs.push(await signCert(account, cert));
  }
  const trust = await publish(account, withDevice(given.subject, given.roles, device), { certs, enrol: b64(oid) });
  return { kind: "person", subject: given.subject, device: device.id, roster: trust.pair[1] };
}

async function confirmPasskey(
  account: Account,
  given: Granted & { kind: "person"; device: string },
  enrol: Verified<Enrol>,
): Promise<Confirmed> {
  const trust = await publish(account, withPasskey(given.subject, given.device, enrol.payload.auth), { enrol: b64(enrol.oid) });
  return { kind: "passkey", subject: given.subject, device: given.device, roster: trust.pair[1] };
}

async function confirmClient(
  account: Account,
  given: Granted & { kind: "client" },
  { payload: enrol, oid }: Verified<Enrol>,
): Promise<Confirmed> {
  const trust = await account.trust();
  const { subject, host, scopes, grade } = given;
  const cert = newCert(account.org, { subject, host, key: enrol.auth, scopes, grade }, account.now());
  const signed = await signCert(account, cert);
  await trust.verifyCert(signed, account.now());
  await account.api.post("/v1/clients", { cert: signed, enrol: b64(oid) });
  return { kind: "client", subject, host, expires: cert.expires };
}

/** Seals 32 random bytes to the joiner's KEM key and wants them back. */
async function prove(account: Account, name: string, kem: string): Promise<void> {
  const challenge = crypto.getRandomValues(new Uint8Array(32));
  const { enc, ct } = await kemSeal(unb64(kem), proofInfo(), challenge);
  await account.api.post(`/v1/invites/${name}/challenge`, { enc: b64(enc), ct: b64(ct) });
  for (const deadline = Date.now() + PROOF_WAIT; Date.now() < deadline;) {
    const row = (await invitesOf(account)).find((one) => one.invite === name);
    if (row?.proof) {
      if (equal(unb64(row.proof), challenge)) return;
      throw new Stopped("proof", invitingText.proof());
    }
    await new Promise((resolve) => setTimeout(resolve, POLL));
  }
  throw new Stopped("proof", invitingText.silent());
}

// ---- handing a synced key over -----------------------------------------------------------------------------------------

/** On the machine that has the key: the link that the other one opened, and the twelve words that it shows. Rosters nothing.
 *
 * Five words would do against a relay, which does not know the nonce. Whoever made this link does, and could look for keys of
 * their own with the same 55 bits; with 132 there is nothing to be found. */
export async function handKeyOver(account: Account, link: string, words: readonly string[]): Promise<void> {
  const trust = await account.trust(true);
  const nonce = unb64(nonceOf(link, trust.org));
  const { invite } = await inviteTerms(trust.pin, nonce);
  const row = (await invitesOf(account)).find((one) => one.invite === b64(invite));
  if (!row || row.device !== account.device) throw new Stopped("link", invitingText.linkOther(), "link");
  if (!row.enrol) throw new Stopped("not-joined", invitingText.notJoined(row.subject));
  await transfer(account, b64(invite), await checked(account, row, nonce, words, HAND_OVER_WORDS));
}

function nonceOf(link: string, org: string): string {
  let found: ReturnType<typeof parseInvite>;
  try {
    const url = new URL(link.trim());
    if (url.pathname !== "/join/person") throw new Stopped("link", invitingText.linkForm(), "link");
    found = parseInvite(url.hash);
  } catch (error) {
    if (error instanceof Refused || error instanceof TypeError) throw new Stopped("link", invitingText.linkForm(), "link");
    throw error;
  }
  if (found.org !== org || found.relay !== location.origin) throw new Stopped("link", invitingText.linkOrg(), "link");
  return found.nonce;
}

/** Seals this device's KEM scalar to the joiner's key for it (section 11). The scalar leaves this function only sealed. */
async function transfer(account: Account, name: string, { payload, oid }: Verified<Enrol>): Promise<void> {
  if (!payload.kem) throw new Stopped("enrol", invitingText.noKem());
  const ceremony = await account.ceremony(crypto.getRandomValues(new Uint8Array(32)));
  const scalar = await ceremony.scalar();
  if (!scalar) throw new Stopped("no-key", invitingText.noKey());
  try {
    const { enc, ct } = await kemSeal(unb64(payload.kem.public), domain("enrol", "transfer", b64(oid)), scalar);
    await account.api.post(`/v1/invites/${name}/transfer`, { enc: b64(enc), ct: b64(ct) });
  } finally {
    scalar.fill(0);
  }
}
