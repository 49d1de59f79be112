// What expires, a quarter of its life before, and the one signature that renews it: the roster (90 days), devices and
// certificates (1 year). The root (5 years) needs its own key, which this console never holds.
import type { Account } from "../device/account";
import type { ClientCert, Roster, Signed } from "../protocol/objects";
import type { Trust } from "../protocol/trust";
import { adminKey, allClients, publish, signCert } from "./publish";
import { CERT_LIFE, DEVICE_LIFE, ROOT_LIFE, ROSTER_LIFE, unchanged, withFreshDevices } from "./roster";

export interface Expiry {
  kind: "roster" | "root" | "device" | "client";
  /** Device id or client subject; empty for roster and root. */
  name: string;
  expires: number;
}

/** What is in the last quarter of its life, soonest first. What has ended is not renewed by a warning. */
export function expiring(trust: Pick<Trust, "root" | "roster">, certs: readonly ClientCert[], now: number): Expiry[] {
  const found: Expiry[] = [
    { kind: "root" as const, name: "", expires: trust.root.expires, life: ROOT_LIFE },
    { kind: "roster" as const, name: "", expires: trust.roster.expires, life: ROSTER_LIFE },
    ...trust.roster.people.flatMap((one) =>
      one.devices.map((each) => ({ kind: "device" as const, name: each.id, expires: each.expires, life: DEVICE_LIFE })),
    ),
    ...newest(certs).map((one) => ({ kind: "client" as const, name: one.subject, expires: one.expires, life: CERT_LIFE })),
  ].filter((one) => now < one.expires && one.expires - now <= one.life / 4);
  return found.sort((a, b) => a.expires - b.expires);
}

/** The newest certificate of each key: an older one of the same key was renewed. */
function newest(certs: readonly ClientCert[]): ClientCert[] {
  const byKey = new Map<string, ClientCert>();
  for (const one of certs) {
    const known = byKey.get(one.key.public);
    if (!known || known.expires < one.expires) byKey.set(one.key.public, one);
  }
  return [...byKey.values()];
}

/** What a renewal would sign: devices and certificates in the second half of their life, and the roster always. */
export function renewable(roster: Roster, certs: readonly ClientCert[], now: number): { devices: string[]; certs: ClientCert[] } {
  const fresh = withFreshDevices(now)(roster);
  const devices = roster.people.flatMap((one, at) =>
    one.devices.filter((each, which) => fresh.people[at]?.devices[which]?.expires !== each.expires),
  );
  return {
    devices: devices.map((one) => one.id),
    certs: newest(certs).filter((one) => now < one.expires && one.expires < now + CERT_LIFE / 2),
  };
}

/** The certificates that stand, each verified: a forged row of the relay must not become a true one by a renewal. */
export async function standingCerts(account: Account, trust: Trust): Promise<ClientCert[]> {
  const found: ClientCert[] = [];
  for (const one of await allClients(account)) {
    try {
      found.push((await trust.verifyCert(one.cert, account.now())).payload);
    } catch {
      continue; // over, revoked or not ours: the page of clients says so
    }
  }
  return found;
}

/** One ceremony for the roster and one for each certificate. */
export async function renew(account: Account, told: (done: number, total: number) => void): Promise<Trust> {
  const trust = await account.trust(true);
  adminKey(account, trust);
  const now = account.now();
  const { devices, certs } = renewable(trust.roster, await standingCerts(account, trust), now);
  const signed: Signed[] = [];
  for (const cert of certs) {
    told(signed.length, certs.length + 1);
    signed.push(await signCert(account, { ...cert, issued: now, expires: now + CERT_LIFE }));
  }
  told(certs.length, certs.length + 1);
  return publish(account, devices.length ? withFreshDevices(now) : unchanged, { certs: signed });
}
