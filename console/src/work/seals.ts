// The newest seal of every path as it verifies for opening by a reseal, and whether a seal made now would differ from it.
import type { Account } from "../device/account";
import { keyHint } from "../protocol/keys";
import { comparePairs, type Pair, type Secret, type Signed } from "../protocol/objects";
import { trustedSecret, type VerifiedSecret } from "../protocol/secret";
import { peek } from "../protocol/signed";
import { unb64 } from "../protocol/text";
import type { Trust } from "../protocol/trust";
import { removalText } from "../texts/removal";
import type { Sealed } from "./removal-plan";
import { order, same } from "./compare";
import { Stopped } from "./stopped";

const PAGE = 200;

/** A seal that verified, with the bytes that did. */
export interface Seal extends Sealed {
  signed: Signed;
  secret: VerifiedSecret;
  version: Pair;
}

/** Every newest seal below a prefix, in order of path: not verified. */
export async function listed(account: Account, prefix = ""): Promise<Signed[]> {
  const found: Signed[] = [];
  for (let after = ""; ;) {
    const page = await account.api.get<{ secrets: Signed[]; next?: string }>("/v1/secrets", { prefix, after, limit: PAGE });
    found.push(...page.secrets);
    if (!page.next || page.next <= after) return found;
    after = page.next;
  }
}

/** The newest seals, verified, and none left out that this browser knows to exist (A11). Raises where the relay went back. */
export async function findSeals(account: Account, trust: Trust): Promise<Seal[]> {
  const highest = (await account.memory.read<Map<string, Pair>>("highest")) ?? new Map<string, Pair>();
  const seals = new Map<string, Seal>();
  for (const signed of await listed(account)) {
    const seal = await verified(trust, signed, account.now());
    const seen = highest.get(seal.path);
    if (seen && comparePairs(seal.version, seen) < 0) throw new Stopped("version", removalText.older(seal.path));
    if (seals.has(seal.path)) throw new Stopped("bad-answer", removalText.twice(seal.path));
    seals.set(seal.path, seal);
  }
  const hidden = [...highest.keys()].filter((path) => !seals.has(path)).sort(order)[0];
  if (hidden !== undefined) throw new Stopped("version", removalText.unlisted(hidden));
  return [...seals.values()];
}

async function verified(trust: Trust, signed: Signed, now: number): Promise<Seal> {
  const path = peek("secret", signed).core.path;
  const secret = await trustedSecret(trust, signed, path, [], now, { reseal: true });
  const { core } = secret.payload;
  return {
    path,
    signed,
    secret,
    payload: secret.payload,
    version: [core.version, core.revision],
    signer: await signerOf(trust, signed, core.by),
  };
}

/** Which of the device's keys made the (verified) signature. */
async function signerOf(trust: Trust, signed: Signed, by: { person: string; device: string }): Promise<string> {
  for (const key of trust.device(by.person, by.device)?.auth ?? [])
    if (signed.signatures[0]?.key === (await keyHint(unb64(key.public)))) return key.public;
  return "";
}

/** Whether a seal made now would have other recipients or another policy. */
export function stale(trust: Trust, path: string, secret: Secret, now: number): boolean {
  try {
    const policy = trust.selectPolicy(path);
    const sorted = (list: readonly unknown[]) => list.map((one) => JSON.stringify(one)).sort(order);
    return !same(sorted(secret.core.recipients), sorted(trust.recipients(path, now))) || !same(secret.core.policy, policy);
  } catch {
    return false;
  }
}
