// Signing the next roster and handing it to the relay. The result is verified here, with this console's own rules, before it
// leaves: a roster that others would refuse is never published. When another administrator was faster, the edit is made again
// on their roster, and asks for one more ceremony: what was signed before is worth nothing then.
import { ApiError } from "../api";
import type { Account } from "../device/account";
import { encode } from "../protocol/encoding";
import { Refused } from "../protocol/error";
import type { Signer } from "../protocol/keys";
import type { ClientCert, Key, Signed } from "../protocol/objects";
import { checkRoster } from "../protocol/roster";
import { oidOf, peek } from "../protocol/signed";
import { b64 } from "../protocol/text";
import { Trust } from "../protocol/trust";
import { rules } from "../texts/rules";
import { CERT_LIFE, successor, type Edit } from "./roster";
import { Stopped } from "./stopped";

const ATTEMPTS = 4;
const OVERTAKEN = ["conflict", "fork", "rollback"]; // how the relay says that another roster came first

/** The relay's list of certificates: not verified. */
export interface Listed {
  cert: Signed;
  oid: string;
  last_seen?: number;
  revoked?: boolean;
}

/** The key of this passkey, if the root names it as an administrator's. One admin signs alone in this version. */
export function adminKey(account: Account, trust: Trust): Key {
  const own = ownKey(account, trust);
  const { admin } = trust.root;
  if (!own || !admin.keys.some((key) => key.public === own.public))
    throw new Stopped("not-admin", rules.notAdmin(account.person));
  if (admin.threshold !== 1) throw new Stopped("admin-threshold", rules.adminThreshold(admin.threshold));
  return own;
}

export function isAdmin(account: Account, trust: Trust): boolean {
  try {
    return Boolean(adminKey(account, trust));
  } catch {
    return false;
  }
}

/** The roster's key of the passkey that this browser signed in with. */
export function ownKey(account: Account, trust: Trust): Key | undefined {
  const device = trust.roster.people.find((one) => one.id === account.person)?.devices.find((one) => one.id === account.device);
  return device?.auth.find((key) => key.credential === account.credential);
}

/** The next roster, its certificates, and the enrolment that it confirms. Returns the trust that stands then. */
export async function publish(account: Account, edit: Edit, more: { certs?: Signed[]; enrol?: string } = {}): Promise<Trust> {
  for (let attempt = 1; ; attempt += 1) {
    const trust = await account.trust(attempt > 1);
    adminKey(account, trust);
    const roster = successor(edit(trust.roster), b64(trust.oid), b64(trust.rootOid), account.now());
    checkRoster(roster); // before anybody is asked to sign it
    const signed = await account.signer().sign("roster", encode(roster));
    await Trust.verify(trust.pin, trust.roots, signed, account.now(), { roster: trust.pair, oid: trust.oid });
    try {
      await account.api.post("/v1/roster", {
        roster: signed,
        certs: more.certs ?? [],
        ...(more.enrol ? { enrol: more.enrol } : {}),
      });
      account.forget(); // also what is on its way: it may be of before
      return await account.trust(true);
    } catch (error) {
      const overtaken = error instanceof ApiError && OVERTAKEN.includes(error.code);
      if (!overtaken || attempt === ATTEMPTS) throw error;
      account.forget();
    }
  }
}

// ---- certificates ------------------------------------------------------------------------------------------------------

/** Subject, oid and expiry of each certificate that this browser signed, so that a relay cannot hide one from a revocation. */
type Issued = [subject: string, oid: string, expires: number, host: string][];

/** A certificate for a year. */
export function newCert(
  org: string,
  terms: Pick<ClientCert, "subject" | "host" | "key" | "scopes" | "grade">,
  now: number,
): ClientCert {
  return { org, ...terms, issued: now, expires: now + CERT_LIFE };
}

/** Signs a certificate, and writes it down before anybody else has it. */
export async function signCert(account: Account, cert: ClientCert, signer: Signer = account.signer()): Promise<Signed> {
  const signed = await signer.sign("client-cert", encode(cert));
  const oid = b64(await oidOf(signed));
  await account.memory.change<Issued>("issued", (known = []) => [
    ...known.filter((one) => cert.issued < one[2] && one[1] !== oid),
    [cert.subject, oid, cert.expires, cert.host],
  ]);
  return signed;
}

export async function allClients(account: Account): Promise<Listed[]> {
  return (await account.api.get<{ clients: Listed[] }>("/v1/clients")).clients;
}

/** Oids of the certificates of a subject that stand: what the relay lists, and what this browser signed. A row counts when an
 * administrator signed it: the relay cannot fill a roster with oids of its own making. */
export async function certsOf(account: Account, subject: string, host = ""): Promise<string[]> {
  const trust = await account.trust();
  const found = new Set<string>();
  for (const [name, oid, , at] of (await account.memory.read<Issued>("issued")) ?? [])
    if (name === subject && (!host || at === host)) found.add(oid);
  for (const one of await allClients(account)) {
    if (!(await isSigned(trust, one, account.now()))) continue;
    const cert = peek("client-cert", one.cert);
    if (cert.subject === subject && (!host || cert.host === host)) found.add(b64(await oidOf(one.cert)));
  }
  return [...found].filter((oid) => !trust.roster.revoked.includes(oid)).sort();
}

/** Whether a listed certificate is an administrator's, and good now or one day. */
async function isSigned(trust: Trust, { cert }: Listed, now: number): Promise<boolean> {
  try {
    await trust.verifyCert(cert, now);
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.code === "future"; // the dates are looked at last
  }
}
