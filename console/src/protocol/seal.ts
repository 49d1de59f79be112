// Sealing (protocol section 5). The public keys come from a verified roster and from nowhere else.
//
// A re-seal is the same with `revision` grown by one and the same value: a fresh data key, salt and polynomials, so that nothing
// of an earlier sealing opens the new one.
//
// Left to the caller: showing the roster changes since this sealer's last seal, naming `missing`, wiping the value.
import { encode, sha256 } from "./encoding";
import { Refused } from "./error";
import { kemSeal } from "./hpke";
import { sign } from "./keys";
import type { Signer } from "./keys";
import type { Core, Pair, Policy, Recipient, Secret, Signed } from "./objects";
import { dekCommitment, encryptPayload, paddedLength } from "./payload";
import { RECOVERY_BASE } from "./roster";
import { checkInDate, stanzaInfo } from "./secret";
import { commitment, split } from "./shares";
import type { Random, Share } from "./shares";
import { oidOf } from "./signed";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import { deviceInDate } from "./trust";
import type { Trust } from "./trust";

export interface Sealed {
  secret: Signed;
  /** Travels apart. */
  ciphertext: Bytes;
  oid: Bytes;
  recipients: Recipient[];
  /** People of the policy without a usable device, in the policy's order. */
  missing: string[];
}

const DEK_LENGTH = 32;

/** Seals `value` for the people of the policy that covers `path`. `previous` is the oid of the seal before. */
export async function seal(
  trust: Trust,
  signer: Signer,
  by: readonly [string, string],
  path: string,
  value: Bytes,
  version: Pair,
  previous: string | undefined,
  now: number,
  random: Random,
): Promise<Sealed> {
  // 1. Roster in date, a sealer who may, the policy of the path, who can open (5.1).
  checkInDate(trust, now);
  checkSealer(trust, signer, by, now);
  const policy = trust.selectPolicy(path);
  const recipients = trust.recipients(path, now);
  const missing = policy.people.filter((person) => !recipients.some((to) => to[1] === person));
  if (policy.people.length - missing.length < policy.threshold) {
    throw new Refused("recipients", `no usable device: ${missing.join(", ")}; ${policy.threshold} people are wanted`);
  }
  paddedLength(value.length); // too long a value is refused before anything is drawn
  // 2. Data key and salt (5.2), shares (5.4).
  const dek = random(DEK_LENGTH);
  const salt = random(DEK_LENGTH);
  let shares: Share[] = [];
  try {
    shares = deal(dek, policy, recipients, random);
    // 3. The core, with the payload bound to it (5.3).
    const named = { org: trust.org, path, version: version[0], revision: version[1], salt: b64(salt) };
    const ciphertext = await encryptPayload(named, dek, value);
    const core: Core = {
      ...named,
      ...(previous === undefined ? {} : { previous }),
      sealed: now,
      by: { person: by[0], device: by[1] },
      policy,
      dek_commitment: b64(await dekCommitment(dek, salt)),
      ciphertext_hash: b64(await sha256(ciphertext)),
      length: ciphertext.length,
      recipients,
      share_commitments: await commitments(salt, shares),
    };
    // 4. A stanza for each recipient (5.5), and the signature (5.6).
    const secret: Secret = { core, stanzas: await stanzas(trust, core, dek, shares) };
    const signed = await sign("secret", secret, signer);
    return { secret: signed, ciphertext, oid: await oidOf(signed), recipients, missing };
  } finally {
    for (const bytes of [dek, ...shares.map((share) => share.value)]) bytes.fill(0);
  }
}

/** Refuses early what every verifier would refuse later: a sealer without the role, device or key. */
function checkSealer(trust: Trust, signer: Signer, [person, id]: readonly [string, string], now: number): void {
  const device = trust.hasRole(person, "sealer") ? trust.device(person, id) : undefined;
  if (!device) throw new Refused("sealer", `${person}/${id} is no rostered sealer`);
  if (!deviceInDate(device, now)) throw new Refused("sealer", `${person}/${id} is not in date`);
  const listed = device.auth.some((key) => key.alg === signer.key.alg && key.public === signer.key.public);
  if (!listed) throw new Refused("sealer", `${person}/${id} has another key on the roster`);
}

/** The shares by ascending index: of the people where the threshold is above 1, of the recovery keys always, from a second
 * polynomial, so that people and recovery keys cannot be mixed to a quorum. */
function deal(dek: Bytes, policy: Policy, recipients: Recipient[], random: Random): Share[] {
  const indices = [...new Set(recipients.map(([index]) => index))];
  const people = indices.filter((index) => index <= RECOVERY_BASE);
  const recovery = indices.filter((index) => index > RECOVERY_BASE);
  return [
    ...(policy.threshold > 1 ? split(dek, policy.threshold, people, random) : []),
    ...(policy.recovery ? split(dek, policy.recovery.threshold, recovery, random) : []),
  ];
}

async function commitments(salt: Bytes, shares: Share[]): Promise<[number, string][]> {
  const hashes = await Promise.all(shares.map((share) => commitment(salt, share)));
  return shares.map((share, at) => [share.index, b64(hashes[at]!)]);
}

async function stanzas(trust: Trust, core: Core, dek: Bytes, shares: Share[]): Promise<[string, string][]> {
  const hash = b64(await sha256(encode(core))); // once: with many recipients the core is the larger part of the work
  const one = async (to: Recipient, position: number): Promise<[string, string]> => {
    const part = shares.find((share) => share.index === to[0])?.value ?? dek;
    const { enc, ct } = await kemSeal(kemOf(trust, core.policy, to), stanzaInfo(hash, position), part);
    return [b64(enc), b64(ct)];
  };
  return Promise.all(core.recipients.map(one));
}

/** The key of a recipient, from the verified roster or the policy in it. */
function kemOf(trust: Trust, policy: Policy, [index, person, device]: Recipient): Bytes {
  const kem = index > RECOVERY_BASE ? policy.recovery?.keys[index - RECOVERY_BASE - 1]?.kem : trust.device(person, device)?.kem;
  if (!kem) throw new Refused("recipients", `${person}/${device} has no key on the roster`);
  return unb64(kem.public);
}
