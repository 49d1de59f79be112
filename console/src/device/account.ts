// A person at work in this browser: pin, device, trust, and one ceremony at a time. `trust()` is what every decision begins with.
import type { Api } from "../api";
import { b64, oid, unb64, type Bytes } from "../protocol/encoding";
import { Refused } from "../protocol/error";
import type { Opener } from "../protocol/hpke";
import { keyHint, softSigner, verifySignature, type Signer } from "../protocol/keys";
import type { Device, Key, Pair, Signature } from "../protocol/objects";
import { wrap as wrapSigned } from "../protocol/signed";
import { Trust } from "../protocol/trust";
import { device as texts } from "../texts/device";
import { lockOf, unwrapClient, unwrapKem, unwrapScalar, type Lock, type Owner } from "./custody";
import { DeviceFault } from "./fault";
import { identities, Memory, type Identity, type Wrapped } from "./memory";
import { assert, type Assertion } from "./passkey";

/** What a ceremony gave: the signature over its challenge, and the keys that its PRF output opens. Good for one decision. */
export interface Ceremony {
  readonly signature: Signature;
  kem(): Promise<Opener>;
  /** The key of the `person/<id>` certificate, where this person has one. */
  clientKey(): Promise<Signer | undefined>;
  /** The KEM scalar, for the transfer to a further passkey alone. The caller wipes it. */
  scalar(): Promise<Bytes>;
}

interface Seen {
  roster: Pair;
  oid: string;
}

export class Account {
  readonly memory: Memory;
  #trust: Trust | undefined;
  #fetching: Promise<Trust> | undefined;
  #forgotten = 0; // how often: an answer asked for before the last time is not kept

  constructor(
    readonly api: Api,
    readonly identity: Identity,
  ) {
    this.memory = new Memory(identity.org, identity.person, identity.device);
  }

  /** The pin, as it stands in objects. */
  get org(): string {
    return this.identity.org;
  }
  get person(): string {
    return this.identity.person;
  }
  get device(): string {
    return this.identity.device;
  }
  get credential(): string {
    return this.identity.credential;
  }
  /** [person, device]. */
  get own(): [string, string] {
    return [this.person, this.device];
  }

  /** Unix seconds. */
  now(): number {
    return Math.floor(Date.now() / 1000);
  }

  /** The relying party: of the verified root once it is known, before that the name in the address bar. */
  get rpId(): string {
    return this.#trust?.root.rp_id ?? location.hostname;
  }

  /** Root chain and roster as the relay serves them now, verified against the pin and against what was seen; what was seen is
   * on disk before this returns. Kept until `fresh` or `forget()`; its dates are looked at each time. */
  async trust(fresh = false): Promise<Trust> {
    if (this.#trust && !fresh && this.now() < this.#trust.expires) return this.#trust;
    this.#fetching ??= this.#fetch().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  /** The roster has changed: the next `trust()` fetches it. */
  forget(): void {
    this.#trust = undefined;
    this.#forgotten += 1;
  }

  async #fetch(): Promise<Trust> {
    for (let again = false; ; again = true) {
      const before = this.#forgotten;
      const given = await this.api.get<{ roots: unknown[]; roster: unknown }>("/v1/trust");
      try {
        const trust = await this.#accept(given);
        if (before !== this.#forgotten) continue; // the roster changed while this one was on its way
        this.#trust = trust;
        return trust;
      } catch (error) {
        // Another tab may have seen a newer one while ours was on its way; a relay that went back says the same again.
        if (again || !(error instanceof Refused && error.code === "rollback")) throw error;
      }
    }
  }

  async #accept(given: { roots: unknown[]; roster: unknown }): Promise<Trust> {
    for (;;) {
      const known = await this.memory.read<Seen>("seen");
      const seen = known && { roster: known.roster, oid: unb64(known.oid) };
      const trust = await Trust.verify(unb64(this.org), given.roots, given.roster, this.now(), seen);
      const next: Seen = { roster: trust.pair, oid: b64(trust.oid) };
      let mine = true;
      await this.memory.change<Seen>("seen", (old) => {
        mine = old?.oid === known?.oid; // another tab may have seen a newer one since we read: verify against that
        return mine || !old ? next : old;
      });
      if (mine) return trust;
    }
  }

  /** This device as the verified roster lists it, and the key of this passkey. Refuses with `device`. */
  async listed(): Promise<{ device: Device; key: Key }> {
    const trust = await this.trust();
    const device = trust.device(this.person, this.device);
    const key = device?.auth.find((one) => one.credential === this.credential);
    if (!device || !key) throw new DeviceFault("device", texts.notRostered, texts.notRosteredRemedy);
    return { device, key };
  }

  /** One ceremony with user verification over a 32-byte oid. The assertion is verified here as everybody else will. */
  async ceremony(challenge: Uint8Array): Promise<Ceremony> {
    const { device, key } = await this.listed();
    const made = await assert(challenge, { org: this.org, rpId: key.rp_id ?? this.rpId, credentials: [this.credential] });
    const signature = await signatureOf(made, key.public);
    const lock = made.prf ? await lockOf(made.prf, this.org) : undefined;
    const owner: Owner = { org: this.org, person: this.person, credential: this.credential };
    const find = async (kind: Wrapped["kind"], publicKey?: string): Promise<{ lock: Lock; wrapped: Wrapped } | undefined> => {
      if (!lock) throw new DeviceFault("no-prf", texts.noPrfDetail, texts.noPrfRemedy);
      const match = (one: Wrapped) =>
        one.credential === this.credential && one.kind === kind && (!publicKey || one.public === publicKey);
      const wrapped = (await this.memory.wrapped()).find(match) ?? (await this.fetchWrapped()).find(match);
      return wrapped && { lock, wrapped };
    };
    // Which KEM key counts is the roster's word: a blob over another key is not found.
    const own = async () => {
      const found = await find("kem", device.kem.public);
      if (!found) throw new DeviceFault("no-blob", texts.noBlob, texts.noBlobRemedy);
      return found;
    };
    return {
      signature,
      kem: async () => {
        const found = await own();
        return unwrapKem(found.lock, owner, found.wrapped);
      },
      clientKey: async () => {
        const found = await find("client");
        return found && unwrapClient(found.lock, owner, found.wrapped);
      },
      scalar: async () => {
        const found = await own();
        return unwrapScalar(found.lock, owner, found.wrapped);
      },
    };
  }

  /** Signs as this device: a ceremony for each signature. The trust must have been fetched. */
  signer(): Signer {
    const key = this.#trust?.device(this.person, this.device)?.auth.find((one) => one.credential === this.credential);
    if (!key) throw new DeviceFault("device", texts.notRostered, texts.notRosteredRemedy);
    return {
      key,
      sign: async (name, payload) => {
        const challenge = await oid(name, payload);
        const { signature } = await this.ceremony(challenge);
        await verifySignature(key, name, payload, signature, this.#trust?.origins ?? []);
        return wrapSigned(name as never, payload, [signature]);
      },
    };
  }

  /** What says no without a ceremony: the deny key of this browser where the roster lists it, else the passkey. */
  async denySigner(): Promise<Signer> {
    const { device } = await this.listed();
    const kept = await this.memory.denyKey();
    if (kept && device.deny?.public === kept.public) return softSigner("es256", kept.pair, unb64(kept.public));
    return this.signer();
  }

  /** The relay's copies of this device's wrapped keys, kept here from now on beside those that are here. */
  async fetchWrapped(): Promise<Wrapped[]> {
    const { keys } = await this.api.get<{ keys: Wrapped[] }>("/v1/wrapped");
    await this.memory.addGiven(keys);
    return keys;
  }

  /** Sends the relay what it lacks of our wrapped keys, so that another browser with this synced passkey can work. */
  async shareWrapped(): Promise<void> {
    const own = (await this.memory.wrapped()).filter((one) => one.credential === this.credential);
    const { keys } = await this.api.get<{ keys: Wrapped[] }>("/v1/wrapped");
    for (const one of own) {
      const same = (other: Wrapped) => other.credential === one.credential && other.kind === one.kind;
      if (!keys.some((other) => same(other) && other.public === one.public)) await this.api.post("/v1/wrapped", one);
    }
    if (!own.some((one) => one.kind === "kem")) await this.fetchWrapped();
  }
}

/** The signature object of an assertion by the key with these public bytes. */
export async function signatureOf(made: Assertion, publicKey: string): Promise<Signature> {
  return {
    alg: "webauthn-es256", key: await keyHint(unb64(publicKey)),
    sig: made.sig, auth_data: made.auth_data, client_data: made.client_data,
  };
}

/** The account of a session that the cookie still names, where this browser knows that person. */
export async function restore(api: Api, person: string, device: string): Promise<Account | undefined> {
  const found = (await identities()).find((one) => one.person === person && one.device === device);
  if (!found) return undefined;
  const account = new Account(api, found);
  await account.trust();
  return account;
}
