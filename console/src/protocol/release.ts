// Releasing (protocol 7.5): the share or data key of one's own stanza, sealed again to the requester's ephemeral key.
//
// `release` takes prompts that passed every check and a decision that the person signed, compares the two, and only then touches
// the private key. The secret's value never comes to this device: the payload ciphertext is not among the inputs.
import { checkApprover, checkEphemeral, checkStill, governing, isItemOf, verifyDecision } from "./approver";
import type { Prompt } from "./approver";
import { domain } from "./encoding";
import { Refused } from "./error";
import { kemSeal } from "./hpke";
import type { Opener } from "./hpke";
import type { Decision, Item, Pair, Release, Secret, Signed } from "./objects";
import { checkDek } from "./payload";
import { checkInDate, openStanza } from "./secret";
import { checkShare } from "./shares";
import type { Share } from "./shares";
import type { Verified } from "./signed";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import type { Trust } from "./trust";

/** The highest version of a path that a device has met. */
export type Highest = (path: string) => Pair | undefined;

/** The release of every item of an approving decision. `highest`: the highest version of a path that this device has met by now,
 * which may be above the one that was shown. */
export async function release(
  trust: Trust,
  prompts: readonly Prompt[],
  signed: Signed,
  kem: Opener,
  now: number,
  highest: Highest = () => undefined,
): Promise<Release> {
  // 1. The decision: who signed it, with which key, in date, and that it approves.
  checkInDate(trust, now);
  const decision = await verifyDecision(trust, signed, now);
  if (decision.payload.verdict !== "approve") throw new Refused("verdict", "only an approve releases anything");
  // 2. It names what was shown: one item for each prompt and nothing else, all of one client.
  if (prompts.length === 0 || prompts.length !== decision.payload.items.length) {
    throw new Refused("item", "one item for each prompt, and at least one");
  }
  if (new Set(prompts.map((prompt) => b64(prompt.cert.oid))).size !== 1) throw new Refused("item", "the items are of one client");
  // A prompt given twice would leave an item over that nobody was shown.
  if (new Set(prompts.map((prompt) => b64(prompt.request.oid))).size !== prompts.length) {
    throw new Refused("item", "a prompt stands twice");
  }
  const items = prompts.map((prompt) => checkItem(trust, prompt, decision.payload, kem, now, highest));
  // 3. Only now the private key: open one's own stanza, seal to the requester, wipe.
  const sealed: Release["sealed"] = [];
  for (const [at, prompt] of prompts.entries()) sealed.push(await sealItem(prompt, items[at]!, decision, kem));
  return { decision: signed, sealed };
}

/** Compares one prompt with its item, and the device with the roster of now. */
function checkItem(
  trust: Trust, prompt: Prompt, decision: Decision, kem: Opener, now: number, highest: Highest,
): Item {
  const { request, secret, own } = prompt;
  if (decision.person !== own[0] || decision.device !== own[1]) {
    throw new Refused("device", "signed for another device than the one that was asked");
  }
  const item = decision.items.find((one) => one.request === b64(request.oid));
  if (!item) throw new Refused("item", "no item for a request that was shown");
  if (!isItemOf(item, secret) || item.index !== prompt.index) {
    throw new Refused("item", `the item does not name ${secret.payload.core.path} as it was shown`);
  }
  // The window may only shrink.
  if (item.window > request.payload.window) throw new Refused("lease-window", "a longer window than was asked for");
  // An approve expires no later than its requests.
  if (decision.expires > request.payload.expires || now >= request.payload.expires) {
    throw new Refused("expired", "an approve expires no later than its requests");
  }
  checkStill(trust, prompt, now, highest(secret.payload.core.path));
  const listed = checkApprover(trust, governing(trust, request.payload, secret.payload), own, now);
  if (listed.kem.public !== b64(kem.public)) throw new Refused("device", "the key is not that of the device");
  return item;
}

async function sealItem(
  prompt: Prompt,
  item: Item,
  decision: Verified<Decision>,
  kem: Opener,
): Promise<[string, string, string]> {
  const part = await openStanza(prompt.secret.payload, prompt.position, kem);
  try {
    await checkPart(prompt.secret.payload, { index: item.index, value: part });
    const info = releaseInfo(prompt.request.oid, decision.oid, prompt.secret.oid, item.index);
    const { enc, ct } = await kemSeal(checkEphemeral(prompt.request.payload), info, part);
    return [b64(prompt.request.oid), b64(enc), b64(ct)];
  } finally {
    part.fill(0);
  }
}

/** A sealer who put something else into a stanza is found here rather than blamed on the approver. */
async function checkPart(secret: Secret, part: Share): Promise<void> {
  if (secret.core.policy.threshold === 1) await checkDek(part.value, secret.core);
  else await checkCommitted(secret, part);
}

/** Refuses with `share` a share that is not the one committed to in the signed core. */
export async function checkCommitted(secret: Secret, share: Share): Promise<void> {
  const committed = secret.core.share_commitments.find(([index]) => index === share.index);
  if (!committed) throw new Refused("share", `no commitment for index ${share.index}`);
  await checkShare(unb64(secret.core.salt), share, unb64(committed[1]));
}

/** The `info` of a release: bound to request, decision, secret and index, so that none of them can be exchanged. */
export function releaseInfo(request: Bytes, decision: Bytes, secret: Bytes, index: number): Bytes {
  return domain("release", b64(request), b64(decision), b64(secret), index);
}
