// Cards as if they had been verified: what the pure parts and the screen are tested with.
import type { Prompt } from "../../src/protocol/approver";
import type { Claimed, ClientCert, Observed, Policy, Request, Secret } from "../../src/protocol/objects";
import { type Card, type Fact, factOf } from "../../src/work/approving/card";
import { EMPTY, type Program, type State } from "../../src/work/approving/memory";

const bytes = (seed: string) => Uint8Array.from({ length: 32 }, (_, at) => seed.charCodeAt(at % seed.length));

export const POLICY: Policy = {
  id: "prod", match: ["prod/**"], threshold: 1, people: ["alice", "bob"], tier: "synced", window: 900, scope: "process", uses: 0,
  ttl: 300, code: false, deny: "veto",
};

interface Given {
  path?: string;
  policy?: Partial<Policy>;
  sealed?: Partial<Policy>;
  observed?: Partial<Observed>;
  claimed?: Claimed;
  request?: Partial<Request>;
  cert?: Partial<ClientCert>;
  prompt?: Partial<Prompt>;
  approvedBy?: string[];
}

export function fact(given: Given = {}): Fact {
  const policy = { ...POLICY, ...given.policy };
  const path = given.path ?? "prod/db";
  const observed: Observed = {
    host: "db-1", uid: 1001, user: "agent", exe: "/usr/bin/claude", exe_sha256: "p8xxtCov2JPtYXZOJsFHzW1wcjCAu2rXNt9JuIia8ms",
    chain: [{ exe: "/usr/bin/bash", exe_sha256: "x" }], grade: "system", ...given.observed,
  };
  const request = {
    org: "org", id: `id-${path}`, client: "client", path, minimum: [1, 0], suite: "p256", ephemeral: "", issued: 1000,
    expires: 1300, window: 900, uses: 0, roster: [1, 1], purpose: "use", observed, claimed: given.claimed ?? {}, ...given.request,
  } as Request;
  const secret = {
    core: {
      path, version: 3, revision: 0, sealed: 900, by: { person: "alice", device: "d" }, policy: { ...policy, ...given.sealed },
    },
    stanzas: [],
  } as unknown as Secret;
  const cert = { subject: "host/db-1", host: "db-1", scopes: ["prod/**"], grade: "system", ...given.cert } as ClientCert;
  const prompt = {
    request: { oid: bytes(`r${path}`), payload: request }, secret: { oid: bytes(`s${path}`), payload: secret },
    cert: { oid: bytes("c"), payload: cert }, code: "123456", index: 2, position: 0, host: cert.host,
    own: ["bob", "phone"], window: 900, outside: [], ...given.prompt,
  } as unknown as Prompt;
  return factOf(prompt, policy, given.approvedBy ?? []);
}

export const card = (id: string, ...facts: Fact[]): Card => ({ id, facts: [facts[0] ?? fact(), ...facts.slice(1)] });

export const program = (given: Partial<Program> = {}): Program => ({
  subject: "host/db-1", uid: 1001, exe: "/usr/bin/claude", digest: "p8xxtCov2JPtYXZOJsFHzW1wcjCAu2rXNt9JuIia8ms", path: "prod/db",
  count: 1, last: 500, ...given,
});

export const state = (given: Partial<State> = {}): State => ({ ...EMPTY, ...given });
