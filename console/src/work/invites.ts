// Invites as this browser keeps them: the nonce, and what was granted with it. The nonce is here and in the link, and never
// reaches the relay; the relay's copy of what was granted is not believed.
import type { Account } from "../device/account";
import { sha256 } from "../protocol/encoding";
import { inviteFragment, inviteTerms, type Invitation } from "../protocol/enrol";
import type { Signed } from "../protocol/objects";
import { isId, isPath } from "../protocol/path";
import { b64, utf8 } from "../protocol/text";
import { invitingText } from "../texts/inviting";
import { rules } from "../texts/rules";
import { adminKey } from "./publish";
import { deviceOf, isPattern, personOf } from "./roster";
import { Stopped } from "./stopped";

export const INVITE_LIFE = 1800; // seconds
const RECORD = "invites";
const NONCE = 32; // bytes

/** What an administrator grants. `device`: a second passkey for that synced key. */
export type Terms =
  | { kind: "person"; subject: string; roles: string[]; device?: string }
  | { kind: "client"; subject: string; host: string; grade: "system" | "user"; scopes: string[] };

export type Granted = Terms & { invite: string; nonce: string; created: number; url: string };

/** One line of the relay's list: states and what the joiner sent, unverified. */
export interface InviteRow {
  invite: string;
  kind: "person" | "client";
  subject: string;
  created: number;
  expires: number;
  state: "open" | "joined" | "challenged" | "proved" | "confirmed" | "cancelled" | "expired";
  device?: string;
  transferred?: boolean;
  enrol?: Signed;
  proof?: string;
}

export async function granted(account: Account): Promise<Granted[]> {
  return (await account.memory.read<Granted[]>(RECORD)) ?? [];
}

/** Opens an invite for half an hour. The link's fragment is the only copy of the nonce outside of this browser. */
export async function invite(account: Account, wanted: Terms): Promise<Granted> {
  const trust = await account.trust(true);
  adminKey(account, trust);
  const terms = checkTerms(
    wanted,
    trust.roster.people.map((one) => one.id),
    (person, device) => deviceOf(trust.roster, person, device).tier,
  );
  if (terms.kind === "person" && !terms.roles.length && !terms.device) terms.roles = rolesOf(terms.subject, trust.roster);
  const nonce = crypto.getRandomValues(new Uint8Array(NONCE));
  const { invite: name, bearer } = await inviteTerms(trust.pin, nonce);
  const invitation: Invitation = { org: trust.org, relay: location.origin, ca: await fingerprint(account), nonce: b64(nonce) };
  const made: Granted = {
    ...terms,
    invite: b64(name),
    nonce: b64(nonce),
    created: account.now(),
    url: `${location.origin}/join/${terms.kind}#${inviteFragment(invitation)}`,
  };
  await account.memory.change<Granted[]>(RECORD, (old = []) => [
    ...old.filter((one) => account.now() < one.created + 2 * INVITE_LIFE),
    made,
  ]);
  try {
    await account.api.post("/v1/invites", { ...terms, invite: made.invite, bearer_hash: b64(await sha256(utf8(bearer))) });
  } catch (error) {
    await forgetInvite(account, made.invite);
    throw error;
  }
  return made;
}

function rolesOf(person: string, roster: Parameters<typeof personOf>[0]): string[] {
  const standing = roster.people.find((one) => one.id === person)?.roles ?? [];
  if (!standing.length) throw new Stopped("roles", invitingText.noRole(person), "roles");
  return [...standing];
}

/** Names and patterns of the protocol's form; roles or scopes that say something. Pure. */
export function checkTerms(terms: Terms, known: readonly string[], tierOf: (person: string, device: string) => string): Terms {
  if (terms.kind === "person") {
    if (!isId(terms.subject)) throw new Stopped("person", rules.idForm(), "subject");
    if (terms.subject === "recovery") throw new Stopped("person", rules.recoveryName(), "subject");
    if (!terms.roles.length && !known.includes(terms.subject))
      throw new Stopped("roles", invitingText.noRole(terms.subject), "roles");
    if (terms.device && tierOf(terms.subject, terms.device) !== "synced")
      throw new Stopped("tier", invitingText.notSynced(terms.device), "device");
    return { ...terms, roles: [...new Set(terms.roles)].sort() };
  }
  const { subject, host, scopes } = terms;
  if (!isPath(subject) || !subject.includes("/")) throw new Stopped("subject", rules.subjectForm(), "subject");
  if (subject.split("/")[0] === "person") throw new Stopped("subject", rules.subjectPerson(), "subject");
  if (!isId(host)) throw new Stopped("host", rules.hostForm(), "host");
  if (!scopes.length) throw new Stopped("scope", rules.noScope(), "scopes");
  for (const one of scopes) if (!isPattern(one)) throw new Stopped("scope", rules.scopeForm(one), "scopes");
  return { ...terms, scopes: [...new Set(scopes)].sort() };
}

/** The host that a subject names by itself: `host/db-1` is db-1, an agent names none. */
export function hostOf(subject: string): string {
  return subject.startsWith("host/") ? (subject.split("/").at(-1) ?? "") : "";
}

/** `SHA256:` and the hash of the relay's CA certificate, which a command-line joiner pins. */
async function fingerprint(account: Account): Promise<string> {
  const pem = new TextDecoder().decode(await account.api.bytes("/ca.pem"));
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(pem)?.[1];
  if (!body) throw new Stopped("fingerprint", invitingText.noFingerprint());
  const der = Uint8Array.from(atob(body.replace(/\s+/g, "")), (char) => char.charCodeAt(0));
  return `SHA256:${b64(await sha256(der))}`;
}

export async function forgetInvite(account: Account, name: string): Promise<void> {
  await account.memory.change<Granted[]>(RECORD, (old = []) => old.filter((one) => one.invite !== name));
}

/** The relay's list. */
export async function invitesOf(account: Account): Promise<InviteRow[]> {
  return (await account.api.get<{ invites: InviteRow[] }>("/v1/invites")).invites;
}

export async function cancelInvite(account: Account, name: string): Promise<void> {
  await account.api.post(`/v1/invites/${name}/cancel`);
  await forgetInvite(account, name);
}

/** The five words as somebody typed them. */
export function typedWords(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s,.]+/)
    .filter(Boolean);
}
