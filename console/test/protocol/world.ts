// A small organisation with keys of its own, for the tests of sealing and releasing: ana, ben and cho approve, sam seals.
import { encode } from "../../src/protocol/encoding";
import { generatePair, opener } from "../../src/protocol/hpke";
import type { Opener } from "../../src/protocol/hpke";
import { generateKey, sign, softSigner } from "../../src/protocol/keys";
import type { Signer } from "../../src/protocol/keys";
import type { ClientCert, Decision, Device, Pair, Policy, Request, Roster, Signed } from "../../src/protocol/objects";
import { seal } from "../../src/protocol/seal";
import type { Sealed } from "../../src/protocol/seal";
import { oidOf } from "../../src/protocol/signed";
import { b64, utf8 } from "../../src/protocol/text";
import type { Bytes } from "../../src/protocol/text";
import { Trust } from "../../src/protocol/trust";

export const NOW = 1_790_000_000;
export const PATH = "prod/db/password";
const DAY = 86_400;
const ZERO = b64(new Uint8Array(32));

export const random = (n: number): Bytes => crypto.getRandomValues(new Uint8Array(n));

export interface Member {
  person: string;
  device: string;
  signer: Signer;
  kem: Opener;
  entry: Device;
}

async function newSigner(): Promise<Signer> {
  const { pair, public: publicBytes } = await generateKey("es256");
  return softSigner("es256", pair, publicBytes);
}

async function newOpener(): Promise<Opener> {
  const { pair, public: publicBytes } = await generatePair();
  return opener(pair, publicBytes);
}

async function member(person: string): Promise<Member> {
  const [signer, kem] = [await newSigner(), await newOpener()];
  const device = `${person}-laptop`;
  const entry: Device = {
    id: device, name: device, tier: "soft", kem: { suite: "p256", public: b64(kem.public) }, auth: [signer.key],
    added: NOW - DAY, expires: NOW + DAY,
  };
  return { person, device, signer, kem, entry };
}

export interface Asked {
  signed: Signed;
  oid: string;
  value: Request;
  ephemeral: Opener;
}

export class World {
  members = new Map<string, Member>();
  admin!: Signer;
  client!: Signer;
  recovery: Opener[] = [];
  rootSigned!: Signed;
  rootOid!: Bytes;
  cert!: Signed;
  trust!: Trust;
  roster!: Roster;

  static async make(policy: Partial<Policy> = {}): Promise<World> {
    const world = new World();
    [world.admin, world.client] = [await newSigner(), await newSigner()];
    for (const person of ["ana", "ben", "cho", "sam"]) world.members.set(person, await member(person));
    world.recovery = [await newOpener(), await newOpener()];
    await world.found(policy);
    await world.certify({});
    return world;
  }

  private async found(policy: Partial<Policy>): Promise<void> {
    const admins = { keys: [this.admin.key], threshold: 1 };
    const root = {
      name: "test", version: 1, root: admins, admin: admins, log: { origin: "log.test", public: ZERO }, rp_id: "test",
      origins: ["https://test"], issued: NOW - DAY, expires: NOW + DAY,
    };
    this.rootSigned = await sign("root", root, this.admin);
    this.rootOid = await oidOf(this.rootSigned);
    const people = [...this.members.values()].map(({ person, entry }) => ({
      id: person, name: person, roles: [person === "sam" ? ("sealer" as const) : ("approver" as const)], devices: [entry],
    }));
    const rule: Policy = {
      id: "prod", match: ["prod/**"], threshold: 2, people: ["ana", "ben", "cho"], tier: "soft", window: 900, scope: "process",
      uses: 0, ttl: 300, code: false, deny: "veto", ...policy,
    };
    await this.publish({
      org: b64(this.rootOid), root: b64(this.rootOid), version: 1, issued: NOW - DAY, expires: NOW + DAY, people,
      policies: [rule], floors: [], revoked: [], holds: [],
    });
  }

  /** The recovery group of this world, for a policy. */
  group(): NonNullable<Policy["recovery"]> {
    const kems = this.recovery.map((kem) => ({ suite: "p256" as const, public: b64(kem.public) }));
    const keys = kems.map((kem, at) => ({ id: `safe-${at + 1}`, kem }));
    return { threshold: 2, keys };
  }

  async publish(roster: Roster): Promise<Trust> {
    this.roster = roster;
    const signed = await sign("roster", roster, this.admin);
    this.trust = await Trust.verify(this.rootOid, [this.rootSigned], signed, NOW);
    return this.trust;
  }

  async certify(edit: Partial<ClientCert>): Promise<Signed> {
    const cert: ClientCert = {
      org: this.trust.org, subject: "host/db-1", host: "db-1", key: this.client.key, scopes: ["prod/**"], grade: "user",
      issued: NOW - DAY, expires: NOW + DAY, ...edit,
    };
    this.cert = await sign("client-cert", cert, this.admin);
    return this.cert;
  }

  member(person: string): Member {
    return this.members.get(person)!;
  }

  async seal(value: Bytes = utf8("hunter2"), { path = PATH, version = [1, 0] as Pair, draw = random } = {}): Promise<Sealed> {
    const sam = this.member("sam");
    return seal(this.trust, sam.signer, ["sam", sam.device], path, value, version, undefined, NOW, draw);
  }

  async ask(edit: Partial<Request> = {}): Promise<Asked> {
    const ephemeral = await newOpener();
    const value: Request = {
      org: this.trust.org, id: b64(random(16)), client: b64(await oidOf(this.cert)), path: PATH, minimum: [1, 0], suite: "p256",
      ephemeral: b64(ephemeral.public), issued: NOW - 10, expires: NOW + 200, window: 600, uses: 0, roster: this.trust.pair,
      purpose: "use", claimed: {},
      observed: { host: "db-1", uid: 1000, user: "app", exe: "/usr/bin/app", exe_sha256: ZERO, chain: [], grade: "user" },
      ...edit,
    };
    const signed = await sign("request", value, this.client);
    return { signed, oid: b64(await oidOf(signed)), value, ephemeral };
  }

  async decide(
    person: string,
    asked: Asked,
    sealed: Sealed,
    edit: (decision: Decision) => void = () => undefined,
  ): Promise<Signed> {
    const { device, signer } = this.member(person);
    const index = this.trust.selectPolicy(PATH).people.indexOf(person) + 1;
    const { path } = asked.value;
    const item = { request: asked.oid, secret: b64(sealed.oid), path, version: 1, revision: 0, index, window: 60, uses: 0 };
    const decision: Decision = {
      org: this.trust.org, verdict: "approve", person, device, issued: NOW, expires: NOW + 100, roster: this.trust.pair,
      items: [item],
    };
    edit(decision);
    return signer.sign("decision", encode(decision));
  }
}
