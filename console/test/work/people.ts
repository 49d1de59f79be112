// A small roster for tests of pure edits: nothing in it is signed, and the keys are words.
import type { Device, Person, Policy, Roster, Secret } from "../../src/protocol/objects";

export const NOW = 1_700_000_000;

export function device(id: string, more: Partial<Device> = {}): Device {
  return { id, name: id, tier: "synced", kem: { suite: "p256", public: `kem-${id}` },
    auth: [{ alg: "webauthn-es256", public: `auth-${id}`, credential: `cred-${id}`, rp_id: "vault.corp.internal", backup: true }],
    added: NOW - 1000, expires: NOW + 300 * 86400, ...more };
}

export function person(id: string, roles: string[], devices: Device[] = [device(`${id}-laptop`)]): Person {
  return { id, name: id, roles: roles as Person["roles"], devices };
}

export function policy(id: string, people: string[], more: Partial<Policy> = {}): Policy {
  return { id, match: [`${id}/**`], threshold: 1, people, tier: "synced", window: 900, scope: "process", uses: 0, ttl: 300,
    code: false, deny: "veto", ...more };
}

export function roster(people: Person[], policies: Policy[] = [], more: Partial<Roster> = {}): Roster {
  return { org: "org", root: "root", version: 3, previous: "before", issued: NOW - 10, expires: NOW + 86400, people, policies,
    floors: [], revoked: [], holds: [], ...more };
}

export function secret(path: string, by: [string, string], rule: Policy, recipients: [number, string, string][]): Secret {
  return { core: { org: "org", path, version: 1, revision: 0, sealed: NOW - 100, by: { person: by[0], device: by[1] }, policy: rule,
    salt: "salt", dek_commitment: "c", ciphertext_hash: "h", length: 80, recipients, share_commitments: [] }, stanzas: [] };
}
