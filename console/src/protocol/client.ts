// What the party that asked checks before it uses a value (protocol section 8): here the browser that re-seals. And how it
// knows a real denial.
//
// `openReleases` takes everything as it came from the relay, trusts none of it, and gives a value only after the last check. The
// first check that fails names the refusal; nothing of the plaintext leaves this function before that.
//
// Left to the caller: wiping the value, forgetting the ephemeral key, the receipt, remembering the version.
import { checkApprover, checkEphemeral, governing, isItemOf, verifyDecision } from "./approver";
import { encode, WRAPPER_LIMIT } from "./encoding";
import { Refused } from "./error";
import type { Opener } from "./hpke";
import { leaseTerms } from "./lease";
import type { Terms } from "./lease";
import { releaseWrapper } from "./objects";
import type { Decision, Item, Pair, Policy, Release, Request } from "./objects";
import { checkDek, openPayload } from "./payload";
import { checkCommitted, releaseInfo } from "./release";
import { checkInDate, openAs, trustedSecret, verifyAuthorship } from "./secret";
import type { VerifiedSecret } from "./secret";
import { join } from "./shares";
import type { Share } from "./shares";
import { oidOf, opened as openWrapper, peek } from "./signed";
import type { Verified } from "./signed";
import { b64 } from "./text";
import type { Bytes } from "./text";
import type { Trust } from "./trust";

export interface Opened {
  /** The plaintext. The caller wipes it. */
  value: Bytes;
  secret: VerifiedSecret;
  /** The lease that a delivery would start; a reseal starts none. */
  terms: Terms;
  /** Person and device of each decision. */
  approvers: [string, string][];
}

/** An approval that passed every check, and the sealed entries that came with it. */
interface Approval {
  decision: Verified<Decision>;
  item: Item;
  sealed: Release["sealed"];
}

/** Every check of section 8, in its order; then the plaintext. `remembered` is the highest version seen here. */
export async function openReleases(
  trust: Trust,
  wrapper: unknown,
  ephemeral: Opener,
  sealed: unknown,
  ciphertext: Bytes,
  releases: readonly unknown[],
  remembered: Pair | undefined,
  now: number,
): Promise<Opened> {
  // 1. Roster in date; one's own request, under no newer roster, unexpired.
  const request = await ownRequest(trust, wrapper, now);
  const { path, minimum, purpose, expires } = request.payload;
  if (now >= expires) throw new Refused("expired", `the request expired ${expires}, now ${now}`);
  checkEphemeral(request.payload);
  // 2. The secret, as 7.3 without self.
  const least = [...(remembered ? [remembered] : []), minimum];
  const secret = await trustedSecret(trust, sealed, path, least, now, { reseal: purpose === "reseal" });
  const { core } = secret.payload;
  // 3. Each decision. One that fails is not skipped: a relay that mixes in a bad one is found out.
  const policy = governing(trust, request.payload, secret.payload);
  const approvals: Approval[] = [];
  for (const release of releases) approvals.push(await checkRelease(trust, policy, request, secret, release, now));
  // 4. Distinct people under distinct indices, as many as were sealed for.
  checkQuorum(approvals, core.policy.threshold);
  // 5. Open, check each part against the signed core, join, compare the data key. 6. The payload.
  const dek = await openAll(approvals, request, secret, ephemeral);
  try {
    const value = await openPayload(core, dek, ciphertext);
    // 7. What follows a delivery.
    const items = approvals.map((one) => one.item);
    const terms = leaseTerms(trust.selectPolicy(path), core.policy, items, request.payload);
    return { value, secret, terms, approvers: approvals.map(({ decision: { payload } }) => [payload.person, payload.device]) };
  } finally {
    dek.fill(0);
  }
}

/** A denial that ends a request: one deny or freeze that verifies as a decision does. Tier, secret and quorum are not asked;
 * `sealed` counts for a reseal alone, where it says who the people are. With `deny: count` the caller counts distinct people. */
export async function verifyDenial(
  trust: Trust,
  wrapper: unknown,
  sealed: unknown,
  signed: unknown,
  now: number,
): Promise<Verified<Decision>> {
  const request = await ownRequest(trust, wrapper, now);
  const decision = await verifyDecision(trust, signed, now);
  if (decision.payload.verdict === "approve") throw new Refused("verdict", "an approve denies nothing");
  // The relay cannot name the people: they are the current policy's, or stand in a secret that a sealer signed.
  const policy = await denialPolicy(trust, request.payload, sealed);
  if (!policy.people.includes(decision.payload.person)) {
    throw new Refused("not-approver", `${decision.payload.person} is not in the policy`);
  }
  ownItem(decision.payload, request.oid);
  return decision;
}

/** Who denied, where enough people did: one freeze, one deny under `veto`, else as many as leave fewer than the threshold. Nothing
 * where signatures do not back the relay's word, which by itself makes a request unavailable and never denied. */
export async function verifyDenied(
  trust: Trust,
  wrapper: unknown,
  sealed: unknown,
  decisions: readonly unknown[],
  now: number,
): Promise<string[] | undefined> {
  const { payload: request } = await ownRequest(trust, wrapper, now);
  const policy = await denialPolicy(trust, request, sealed);
  const [people, frozen] = [new Set<string>(), new Set<string>()];
  for (const signed of decisions) {
    try {
      const { verdict, person } = (await verifyDenial(trust, wrapper, sealed, signed, now)).payload;
      (verdict === "freeze" ? frozen : people).add(person);
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // one that does not verify is nobody's word
    }
  }
  const enough = policy.deny === "veto" ? people.size > 0 : policy.people.length - people.size < policy.threshold;
  return frozen.size > 0 || enough ? [...new Set([...frozen, ...people])].sort() : undefined;
}

async function denialPolicy(trust: Trust, request: Request, sealed: unknown): Promise<Policy> {
  if (request.purpose === "use") return trust.selectPolicy(request.path);
  if (sealed === undefined) throw new Refused("sealer", "a reseal is judged with its secret");
  return (await verifyAuthorship(trust, sealed, request.path)).payload.core.policy;
}

/** One's own request: made here, so its signature is not asked; what it asks is held against the roster of now. */
async function ownRequest(trust: Trust, wrapper: unknown, now: number): Promise<Verified<Request>> {
  checkInDate(trust, now);
  const { signed } = openWrapper("request", wrapper);
  const payload = peek("request", wrapper);
  trust.checkOrg(payload);
  trust.notNewer(payload.roster);
  return { oid: await oidOf(signed), payload };
}

/** One release: its decision by section 8. */
async function checkRelease(
  trust: Trust,
  policy: Policy,
  request: Verified<Request>,
  secret: VerifiedSecret,
  wrapper: unknown,
  now: number,
): Promise<Approval> {
  releaseWrapper(wrapper);
  if (encode(wrapper).length > WRAPPER_LIMIT) throw new Refused("size", "the release is too large");
  // 1. Signed by a rostered approver's device in date, in date itself, under no newer roster.
  const decision = await verifyDecision(trust, wrapper.decision, now);
  const { person, device, verdict } = decision.payload;
  // 2. Of the policy, and of its tier.
  checkApprover(trust, policy, [person, device], now);
  // 3. It approves.
  if (verdict !== "approve") throw new Refused("verdict", "not an approve");
  // 4. One item with this request's oid, and in it this secret by oid and by name.
  const item = ownItem(decision.payload, request.oid);
  if (!isItemOf(item, secret)) throw new Refused("item", "approves another secret, path or version");
  // 5. Under the index that the sealer gave to this very device.
  const listed = secret.payload.core.recipients.some((to) => to[0] === item.index && to[1] === person && to[2] === device);
  if (!listed) throw new Refused("index", "no recipient under this index");
  return { decision, item, sealed: wrapper.sealed };
}

/** Exactly one item with this request's oid. */
function ownItem(decision: Decision, request: Bytes): Item {
  const [item, ...more] = decision.items.filter((one) => one.request === b64(request));
  if (!item || more.length > 0) throw new Refused("item", "not one item for this request");
  return item;
}

function checkQuorum(approvals: Approval[], wanted: number): void {
  const distinct = (of: (one: Approval) => unknown) => new Set(approvals.map(of)).size === approvals.length;
  if (!distinct((one) => one.decision.payload.person)) throw new Refused("same-person", "a quorum counts people");
  if (!distinct((one) => one.item.index)) throw new Refused("index", "an index stands twice");
  if (approvals.length < wanted) throw new Refused("quorum", `${approvals.length} of ${wanted} people`);
}

/** The data key, from parts of which each was checked: any m of them join, more are checked too. The caller wipes it. */
async function openAll(
  approvals: Approval[],
  request: Verified<Request>,
  secret: VerifiedSecret,
  ephemeral: Opener,
): Promise<Bytes> {
  const { core } = secret.payload;
  const parts: Share[] = [];
  let dek: Bytes | undefined;
  try {
    for (const { decision, item, sealed } of approvals) {
      // Entries of other requests are other people's business; of this one there is exactly one.
      const [entry, ...more] = sealed.filter(([of]) => of === b64(request.oid));
      if (!entry || more.length > 0) throw new Refused("release", "not one sealed entry for this request");
      const info = releaseInfo(request.oid, decision.oid, secret.oid, item.index);
      parts.push({ index: item.index, value: await openAs("release", ephemeral, info, [entry[1], entry[2]]) });
    }
    if (core.policy.threshold === 1) {
      // Every part is the data key itself: a second one that is not is a lie of somebody's.
      for (const part of parts) await checkDek(part.value, core);
      dek = parts[0]?.value.slice();
      if (!dek) throw new Refused("quorum", "no part");
      return dek;
    }
    for (const part of parts) await checkCommitted(secret.payload, part);
    dek = join(parts); // `openPayload` compares it with the commitment before it is used
    return dek;
  } finally {
    for (const part of parts) part.value.fill(0);
  }
}
