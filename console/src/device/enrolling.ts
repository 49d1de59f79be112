// The keys of a new device, as every way to get one makes them: first start, and joining. Private halves that must outlive this
// page leave it wrapped; the deny key stays in this browser, non-extractable.
import { encode, oid, type Bytes } from "../protocol/encoding";
import { generatePair } from "../protocol/hpke";
import { generateKey } from "../protocol/keys";
import type { Key, Kem, Signed } from "../protocol/objects";
import { wrap as wrapSigned } from "../protocol/signed";
import { b64 } from "../protocol/text";
import { signatureOf } from "./account";
import { lockOf, scalarOf, wrap, type Lock } from "./custody";
import { DeviceFault } from "./fault";
import { Memory, rememberIdentity, type Identity, type Wrapped } from "./memory";
import { assert, type NewPasskey } from "./passkey";
import { device as texts } from "../texts/device";

interface Half {
  pair: CryptoKeyPair;
  public: Bytes;
}

export class DeviceKeys {
  private constructor(
    readonly kemHalf: Half,
    readonly denyHalf: Half,
    readonly clientHalf: Half,
  ) {}

  static async generate(): Promise<DeviceKeys> {
    const [kem, deny, client] = await Promise.all([generatePair(true), generateKey("es256"), generateKey("es256", true)]);
    return new DeviceKeys(kem, deny, client);
  }

  get kem(): Kem {
    return { suite: "p256", public: b64(this.kemHalf.public) };
  }
  get deny(): Key {
    return { alg: "es256", public: b64(this.denyHalf.public) };
  }
  get client(): Key {
    return { alg: "es256", public: b64(this.clientHalf.public) };
  }

  /** The private halves under the passkey's lock. */
  async wrapped(lock: Lock, owner: { org: string; person: string; credential: string }): Promise<Wrapped[]> {
    return [
      await wrap(lock, owner, "kem", this.kemHalf.pair.privateKey, this.kemHalf.public),
      await wrap(lock, owner, "client", this.clientHalf.pair.privateKey, this.clientHalf.public),
    ];
  }
}

/** One signed object by a passkey that no roster lists yet, and the lock that came out of the same ceremony. */
export async function signNew(
  passkey: Pick<NewPasskey, "credential" | "key">, org: string, name: "roster" | "enrol" | "client-cert", value: object,
): Promise<{ signed: Signed; lock: Lock }> {
  const payload = encode(value);
  const made = await assert(await oid(name, payload), { org, rpId: passkey.key.rp_id ?? "", credentials: [passkey.credential] });
  if (!made.prf) throw new DeviceFault("no-prf", texts.noPrfDetail, texts.noPrfRemedy);
  const lock = await lockOf(made.prf, org);
  const signature = await signatureOf(made, passkey.key.public);
  return { signed: wrapSigned(name, payload, [signature]), lock };
}

/** Writes down who this browser is from now on: before the relay is told, or once the roster has said so. */
export async function keep(identity: Identity, wrapped: Wrapped[], deny?: Half): Promise<Memory> {
  const memory = new Memory(identity.org, identity.person, identity.device);
  await memory.addWrapped(wrapped);
  if (deny) await memory.setDenyKey({ pair: deny.pair, public: b64(deny.public) });
  await rememberIdentity(identity);
  return memory;
}

/** The 32 bytes of an extractable P-256 or Ed25519 private key, as they stand on a recovery kit. The caller wipes them. */
export async function rawPrivate(key: CryptoKey): Promise<Bytes> {
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
  if (key.algorithm.name !== "Ed25519") return scalarOf(pkcs8);
  const raw = pkcs8.slice(-32);
  pkcs8.fill(0);
  return raw;
}
