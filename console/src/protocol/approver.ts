// What an approver's device checks before it shows anything: protocol 7.1 to 7.3, in that order; and decisions by section 8.
//
// `checkPrompt` alone makes a `Prompt`, and a `Prompt` is the only thing that `release` takes. What is shown comes out of it and
// of nothing else: the host from the certificate, the facts from the verified request.
//
// Left to the caller: the local rate budget, remembering (client, id) and versions on disk *before* signing, and showing what the
// caller of the client claims apart from what was observed.
import { requestCode } from "./encoding";
import { Refused } from "./error";
import { SUITE } from "./hpke";
import { isPoint } from "./keys";
import { comparePairs, GRADES } from "./objects";
import type { ClientCert, Decision, Device, Item, Pair, Policy, Recipient, Request, Secret } from "./objects";
import { matches } from "./path";
import { RECOVERY_BASE } from "./roster";
import { checkInDate, floorsOf, pairOf, trustedSecret } from "./secret";
import type { VerifiedSecret } from "./secret";
import { oidOf, opened, peek, verify } from "./signed";
import type { Verified } from "./signed";
import { b64, unb64 } from "./text";
import type { Bytes } from "./text";
import { deviceInDate, inDate, SKEW, tierAtLeast } from "./trust";
import type { Cert, Trust } from "./trust";

declare const checked: unique symbol;

/** A request that may be shown and decided about on one device. */
export interface Prompt {
  /** Only `checkPrompt` makes one. */
  readonly [checked]: true;
  readonly request: Verified<Request>;
  readonly secret: VerifiedSecret;
  readonly cert: Cert;
  /** The six digits that the requester's terminal shows. */
  readonly code: string;
  /** The index of one's own share, and where one's own stanza stands. */
  readonly index: number;
  readonly position: number;
  readonly host: string;
  /** Person and device. */
  readonly own: readonly [string, string];
  /** The most seconds of lease that a decision may give. */
  readonly window: number;
  /** Recipients whom the current policy does not name: shown. */
  readonly outside: Recipient[];
}

const PERSON = "person/";

/** Every check of 7.1 to 7.3. `decided`: whether this (client, id) was decided here before; `lowest`: the highest version of the
 * path seen here. */
export async function checkPrompt(
  trust: Trust,
  own: readonly [string, string],
  certificate: unknown,
  wrapper: unknown,
  sealed: unknown,
  decided: boolean,
  lowest: Pair | undefined,
  now: number,
): Promise<Prompt> {
  // 7.1 Roster valid, no newer one seen by the client; then the certificate that the request names.
  checkInDate(trust, now);
  const claimed = peek("request", wrapper);
  trust.checkOrg(claimed);
  trust.notNewer(claimed.roster);
  if (b64(await oidOf(opened("client-cert", certificate).signed)) !== claimed.client) {
    throw new Refused("cert", "not the certificate that the request names");
  }
  const cert = await trust.verifyCert(certificate, now);
  // 7.1 signature and grade, 7.2
  const request = await checkRequest(trust, wrapper, cert.payload, now, decided);
  const { path, minimum, purpose } = request.payload;
  // 7.3 the secret
  const least = [...(lowest ? [lowest] : []), minimum];
  const secret = await trustedSecret(trust, sealed, path, least, now, { reseal: purpose === "reseal" });
  const { recipients } = secret.payload.core;
  // 7.3 self
  checkApprover(trust, governing(trust, request.payload, secret.payload), own, now);
  const position = recipients.findIndex(([index, ...who]) => index <= RECOVERY_BASE && who[0] === own[0] && who[1] === own[1]);
  if (position < 0) throw new Refused("not-recipient", "the secret was not sealed to this device");
  const prompt: Omit<Prompt, typeof checked> = {
    request,
    secret,
    cert,
    code: requestCode(request.oid),
    index: recipients[position]![0],
    position,
    host: cert.payload.host,
    own: [own[0], own[1]],
    window: longestWindow(trust, request.payload, secret.payload),
    outside: outsideOf(trust, trust.selectPolicy(path), recipients),
  };
  return Object.freeze(prompt) as Prompt;
}

/** 7.1 from the signature on, and 7.2; organisation, roster and certificate are checked. */
async function checkRequest(
  trust: Trust,
  wrapper: unknown,
  cert: ClientCert,
  now: number,
  decided: boolean,
): Promise<Verified<Request>> {
  // 7.1 Nothing below reads bytes that the client did not sign.
  const verified = await verify("request", wrapper, [cert.key], []);
  const request = verified.payload;
  if (GRADES.indexOf(request.observed.grade) > GRADES.indexOf(cert.grade)) {
    throw new Refused("grade", "observed by a better grade than the certificate's");
  }
  // 7.2 Scope, then who may ask for what, then holds.
  if (!cert.scopes.some((scope) => matches(scope, request.path))) {
    throw new Refused("scope", `${request.path} is not in the scopes of ${cert.subject}`);
  }
  checkPurpose(trust, cert.subject, request);
  checkHolds(trust, cert, request, now);
  // 7.2 Its time. The ttl is the current policy's, for a reseal too.
  if (request.issued > now + SKEW) throw new Refused("clock", `issued ${request.issued}, now ${now}`);
  if (now >= request.expires) throw new Refused("expired", `expired ${request.expires}, now ${now}`);
  const { ttl } = trust.selectPolicy(request.path);
  const life = request.expires - request.issued;
  if (!(life > 0 && life <= ttl)) throw new Refused("ttl", `a request lives at most ${ttl} seconds`);
  // 7.2 Once.
  if (decided) throw new Refused("replay", "this request was decided here before");
  // 7.2 A key that exists, under a suite that is spoken.
  checkEphemeral(request);
  return verified;
}

/** 6: a reseal is raised by the certificate of a rostered sealer, and such a certificate raises nothing else. */
function checkPurpose(trust: Trust, subject: string, request: Request): void {
  const person = subject.startsWith(PERSON) ? subject.slice(PERSON.length) : undefined;
  const reseal = request.purpose === "reseal";
  const allowed = reseal ? person !== undefined && trust.hasRole(person, "sealer") : person === undefined;
  if (!allowed) throw new Refused("purpose", `${subject} may not raise a request to ${request.purpose}`);
}

function checkHolds(trust: Trust, cert: ClientCert, request: Request, now: number): void {
  for (const hold of trust.roster.holds) {
    const covers = hold.match === undefined ? hold.subject === cert.subject : matches(hold.match, request.path);
    if (covers && now < hold.until) throw new Refused("hold", `on hold until ${hold.until}`);
  }
}

/** The key that releases are sealed to. */
export function checkEphemeral(request: Request): Bytes {
  if (request.suite !== SUITE) throw new Refused("suite", "only p256 is spoken");
  const ephemeral = unb64(request.ephemeral);
  if (!isPoint(ephemeral)) throw new Refused("ephemeral", "a p256 public key is 65 bytes, uncompressed, on the curve");
  return ephemeral;
}

/** What may have changed since a prompt was shown: by a newer roster the certificate, holds, the floor, the threshold; and
 * `seen`, the highest version of the path that this device has met by now. */
export function checkStill(trust: Trust, prompt: Prompt, now: number, seen?: Pair): void {
  const { cert, request, secret } = prompt;
  const { core } = secret.payload;
  if (trust.roster.revoked.includes(b64(cert.oid))) {
    throw new Refused("revoked", `the certificate of ${cert.payload.subject} is revoked`);
  }
  inDate(cert.payload, now);
  checkHolds(trust, cert.payload, request.payload, now);
  if (floorsOf(trust, core.path).some((floor) => comparePairs(pairOf(core), floor) < 0)) {
    throw new Refused("version", "below the floor of the path by now");
  }
  if (seen && comparePairs(pairOf(core), seen) < 0) throw new Refused("version", "a newer seal was seen since it was shown");
  if (request.payload.purpose === "use" && core.policy.threshold < trust.selectPolicy(core.path).threshold) {
    throw new Refused("threshold", "the policy wants more people by now");
  }
}

/** 6: people, threshold and tier are the current policy's; for a reseal those of the sealed one. */
export function governing(trust: Trust, request: Request, secret: Secret): Policy {
  return request.purpose === "reseal" ? secret.core.policy : trust.selectPolicy(request.path);
}

/** A rostered approver of the policy, on a device in date and of the tier. */
export function checkApprover(trust: Trust, policy: Policy, [person, id]: readonly [string, string], now: number): Device {
  if (!trust.hasRole(person, "approver") || !policy.people.includes(person)) {
    throw new Refused("not-approver", `${person} is no approver here`);
  }
  const device = trust.device(person, id);
  if (!device || !deviceInDate(device, now)) throw new Refused("device", `${person}/${id} is not in date`);
  if (!tierAtLeast(device.tier, policy.tier)) {
    throw new Refused("tier", `${person}/${id} is ${device.tier}, the policy wants ${policy.tier}`);
  }
  return device;
}

function longestWindow(trust: Trust, request: Request, secret: Secret): number {
  if (request.purpose === "reseal") return 0;
  return Math.min(request.window, trust.selectPolicy(request.path).window, secret.core.policy.window);
}

/** People who have left the policy, devices that are off the roster or below the tier, recovery keys that are not its own. */
function outsideOf(trust: Trust, policy: Policy, recipients: Recipient[]): Recipient[] {
  const named = ([index, person, id]: Recipient) => {
    if (index > RECOVERY_BASE) return (policy.recovery?.keys ?? []).some((key) => key.id === id);
    const device = trust.device(person, id);
    return policy.people.includes(person) && device !== undefined && tierAtLeast(device.tier, policy.tier);
  };
  return recipients.filter((to) => !named(to));
}

// ---- decisions, 8 ------------------------------------------------------------------------------------------------------------

/** A decision, as far as it can be judged without the requests and secrets that it names. */
export async function verifyDecision(trust: Trust, wrapper: unknown, now: number): Promise<Verified<Decision>> {
  // 1. Who claims to have signed, and what kind of word it is: enough to choose the keys.
  const claimed = peek("decision", wrapper);
  trust.checkOrg(claimed);
  // 2. A rostered approver, on a device in date.
  const device = trust.device(claimed.person, claimed.device);
  if (!device || !deviceInDate(device, now)) throw new Refused("device", `${claimed.person}/${claimed.device} is not in date`);
  if (!trust.hasRole(claimed.person, "approver")) throw new Refused("not-approver", `${claimed.person} is no approver`);
  // 3. The signature. The deny key is kept without user verification: it stops things and releases nothing.
  const deny = device.deny && claimed.verdict !== "approve" ? [device.deny] : [];
  const decision = await verify("decision", wrapper, [...device.auth, ...deny], trust.origins);
  // 4. In date, and seen under a roster that we have reached.
  inDate(decision.payload, now);
  trust.notNewer(decision.payload.roster);
  // 5. One item for each request, or a person could be counted for an item that they never looked at.
  const named = decision.payload.items.map((item) => item.request);
  if (new Set(named).size !== named.length) throw new Refused("item", "a request stands twice");
  return decision;
}

/** Whether an item names this secret, by oid and by name. */
export function isItemOf(item: Item, secret: VerifiedSecret): boolean {
  const { core } = secret.payload;
  const named = item.path === core.path && item.version === core.version && item.revision === core.revision;
  return named && item.secret === b64(secret.oid);
}
