// What approvers' freezes put on clients at the relay. That a freeze still stands is the relay's word; who froze whom, and until
// when at the latest, counts where the signed decision verifies.
import type { Account } from "../device/account";
import { verifyDecision } from "../protocol/approver";
import { Refused } from "../protocol/error";
import type { Signed } from "../protocol/objects";
import { oidOf, peek } from "../protocol/signed";
import { b64 } from "../protocol/text";
import type { Trust } from "../protocol/trust";

/** One line of GET /v1/holds. */
export interface GivenFreeze {
  subject: string;
  until: number;
  decision?: Signed;
  request?: Signed;
}

/** A freeze as it may be shown. `by` where the decision verified; else `check`: what refused it, or "relay" where the relay
 * itself stopped the client after denied cards. */
export interface Freeze {
  subject: string;
  until: number;
  by?: { person: string; device: string; since: number };
  check?: string;
}

/** The freezes in force. `subjectOf`: oid of a certificate to its subject. */
export async function freezesOf(account: Account, trust: Trust, subjectOf: ReadonlyMap<string, string>): Promise<Freeze[]> {
  const { holds } = await account.api.get<{ holds: GivenFreeze[] }>("/v1/holds");
  return Promise.all(holds.map((one) => judged(trust, one, subjectOf, account.now())));
}

/** Pure but for the hashing. */
export async function judged(
  trust: Trust, given: GivenFreeze, subjectOf: ReadonlyMap<string, string>, now: number,
): Promise<Freeze> {
  const { subject, until } = given;
  if (!given.decision) return { subject, until, check: "relay" };
  try {
    const { expires, ...by } = await decided(trust, given.decision, given, subjectOf, now);
    return { subject, until: Math.min(until, expires), by };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { subject, until, check: error.code };
  }
}

/** Who froze this very client, and until when it was signed. */
async function decided(
  trust: Trust, signed: Signed, given: GivenFreeze, subjectOf: ReadonlyMap<string, string>, now: number,
): Promise<NonNullable<Freeze["by"]> & { expires: number }> {
  // 1. A rostered approver's device in date signed it (8), and it is a freeze.
  const { payload } = await verifyDecision(trust, signed, now);
  if (payload.verdict !== "freeze") throw new Refused("verdict", "the decision freezes nothing");
  // 2. It names the request that came with it, by hash.
  const request = given.request && b64(await oidOf(given.request));
  if (!given.request || !payload.items.some((one) => one.request === request)) {
    throw new Refused("item", "the decision does not name this request");
  }
  // 3. That request names a certificate of this subject, by hash.
  if (subjectOf.get(peek("request", given.request).client) !== given.subject) {
    throw new Refused("cert", "the request is another client's");
  }
  return { person: payload.person, device: payload.device, since: payload.issued, expires: payload.expires };
}
