// What has to hold of a sealed secret before anybody uses it: protocol 7.3 without self. Approver and client check it alike.
//
// Public-key encryption proves no author: everybody can seal to a public key. Authorship is the sealer's signature, freshness
// what was seen before and the floors, and the form that of sections 4 and 5.
//
// Left to the caller: remembering the highest version of each path.
import { domain, encode, sha256 } from "./encoding";
import { Refused } from "./error";
import type { Opener } from "./hpke";
import { comparePairs } from "./objects";
import type { Core, Pair, Recipient, Secret } from "./objects";
import { checkPolicy, RECOVERY_BASE } from "./roster";
import { peek, verify } from "./signed";
import type { Verified } from "./signed";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import { SKEW } from "./trust";
import type { Trust } from "./trust";

export type VerifiedSecret = Verified<Secret>;

/** A `Trust` may have been verified long ago: is it in date still? */
export function checkInDate(trust: Trust, now: number): void {
  if (now >= trust.expires) throw new Refused("expired", `root or roster expired ${trust.expires}, now ${now}`);
}

export const pairOf = (core: Core): Pair => [core.version, core.revision];

/** The first half of 7.3: sealed by a rostered sealer's device while it was in date, for this organisation and path. */
export async function verifyAuthorship(trust: Trust, wrapper: unknown, path: string): Promise<VerifiedSecret> {
  // Unverified until the next step: only `by` is read, to choose the key.
  const { by } = peek("secret", wrapper).core;
  const device = trust.hasRole(by.person, "sealer") ? trust.device(by.person, by.device) : undefined;
  if (!device) throw new Refused("sealer", `${by.person}/${by.device} is no rostered sealer`);
  // The deny key is not among `auth`: it signs deny and freeze and nothing else.
  const secret = await verify("secret", wrapper, device.auth, trust.origins);
  const { core } = secret.payload;
  trust.checkOrg(core);
  if (core.path !== path) throw new Refused("path-mismatch", "the secret of another path");
  // A retired device stays listed, so that what it sealed before holds.
  if (!(device.added <= core.sealed && core.sealed < device.expires)) {
    throw new Refused("sealer", `${device.id} was not in date when this was sealed`);
  }
  return secret;
}

/** A secret served for `path`; `lowest` are the pairs that it may not undercut (remembered, minimum). With `reseal` the threshold
 * of the current policy is not asked: a re-seal serves to bring an old sealing up to it. */
export async function trustedSecret(
  trust: Trust,
  wrapper: unknown,
  path: string,
  lowest: readonly Pair[],
  now: number,
  { reseal = false }: { reseal?: boolean } = {},
): Promise<VerifiedSecret> {
  // 1. Who sealed it, of which organisation, for which path.
  const secret = await verifyAuthorship(trust, wrapper, path);
  const { core } = secret.payload;
  // 2. Not in the future, as far as clocks may differ.
  if (core.sealed > now + SKEW) throw new Refused("future", `sealed ${core.sealed}, now ${now}`);
  // 3. Not older than remembered, than the floor of that exact path, than asked for.
  const least = [...lowest, ...floorsOf(trust, path)];
  if (least.some((pair) => comparePairs(pairOf(core), pair) < 0)) {
    throw new Refused("version", "older than a version seen or asked for");
  }
  // 4. Sealed for as many people as the policy of today wants.
  if (!reseal && core.policy.threshold < trust.selectPolicy(path).threshold) {
    throw new Refused("threshold", `sealed with a threshold of ${core.policy.threshold}`);
  }
  // 5. Its form: that of sections 4 and 5.
  checkSealedForm(secret.payload);
  return secret;
}

export function floorsOf(trust: Trust, path: string): Pair[] {
  return trust.roster.floors.filter(([at]) => at === path).map(([, version, revision]) => [version, revision]);
}

/** Recipients, commitments and stanzas as in sections 4 and 5, judged by the sealed policy alone. */
function checkSealedForm(secret: Secret): void {
  const { core, stanzas } = secret;
  const { policy, recipients } = core;
  const demand = (holds: boolean, why: string) => {
    if (!holds) throw new Refused("recipients", why);
  };
  // 1. The policy stood in a roster once, so it keeps the rules of one.
  checkPolicy(policy, "recipients");
  demand(!policy.people.includes("recovery"), "a person is called recovery");
  // 2. Sorted by (index, device), none twice.
  const sorted = recipients.every((to, at) => at === 0 || isBefore(recipients[at - 1]!, to));
  demand(sorted, "recipients are not sorted, or one stands twice");
  // 3. People under their own index, as many of them as the threshold.
  const people = recipients.filter(([index]) => index <= RECOVERY_BASE);
  const own = people.every(([index, person]) => policy.people.indexOf(person) + 1 === index);
  demand(own && people.every(([index]) => index >= 1), "a recipient under an index that is not theirs");
  const indices = [...new Set(people.map(([index]) => index))];
  demand(indices.length >= policy.threshold, "fewer people than the threshold");
  // 4. Every recovery key of the policy, in its order, and nothing else.
  const keys = (policy.recovery?.keys ?? []).map((key, at): Recipient => [RECOVERY_BASE + at + 1, "recovery", key.id]);
  demand(sameJson(recipients.slice(people.length), keys), "not the recovery keys of the policy");
  // 5. A commitment for exactly the indices with a share: people share from two on, recovery keys always.
  const shared = [...(policy.threshold > 1 ? indices : []), ...keys.map(([index]) => index)];
  const committed = core.share_commitments.map(([index]) => index);
  demand(sameJson(committed, shared), "share commitments of other indices than those with a share");
  // 6. A stanza each; each of the one length that opens, or it would not have been read.
  demand(stanzas.length === recipients.length, "not one stanza for each recipient");
}

function isBefore(one: Recipient, other: Recipient): boolean {
  return one[0] !== other[0] ? one[0] < other[0] : one[2] < other[2];
}

function sameJson(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** The `info` of a stanza: bound to the whole core and to its place. */
export function stanzaInfo(coreHash: string, position: number): Bytes {
  return domain("stanza", coreHash, position);
}

/** The stanza at `position`: the data key at threshold 1 of people, else a share. The caller wipes it. */
export async function openStanza(secret: Secret, position: number, kem: Opener): Promise<Bytes> {
  const stanza = secret.stanzas[position];
  if (!stanza) throw new Refused("stanza", "no such stanza");
  const hash = b64(await sha256(encode(secret.core)));
  return openAs("stanza", kem, stanzaInfo(hash, position), stanza);
}

/** HPKE's refusal by the name of the place where it happened. */
export async function openAs(
  code: "stanza" | "release",
  kem: Opener,
  info: Bytes,
  sealed: readonly [string, string],
): Promise<Bytes> {
  try {
    return await kem.open(info, unb64(sealed[0]), unb64(sealed[1]));
  } catch (error) {
    throw error instanceof Refused ? new Refused(code, error.detail) : error;
  }
}
