// The log head of this browser: fetched, verified against the log key of the root, consistent with the one seen last, and
// remembered before it is used (protocol 12). And compared with the heads that others carried inside signed objects (A14).
import type { Account } from "../device/account";
import { b64, unb64 } from "../protocol/text";
import { agree, continues, type Head, verifyCheckpoint } from "../protocol/log";
import type { Request } from "../protocol/objects";
import type { Trust } from "../protocol/trust";

export type CarriedHead = [size: number, root: string];

const proofs = (account: Account) => async (before: number, after: number) => {
  const { proof } = await account.api.get<{ proof: string[] }>("/v1/log/consistency", { old: before, new: after });
  return proof.map((one) => unb64(one));
};

/** The head as the relay signs it now. Refuses with `log-signature`, `log-rollback` or `log-fork`. */
export async function freshHead(account: Account, trust: Trust): Promise<Head> {
  const { origin, public: key } = trust.root.log;
  const { checkpoint } = await account.api.get<{ checkpoint: string }>("/v1/log/checkpoint");
  const head = await verifyCheckpoint(checkpoint, origin, unb64(key));
  const seen = await account.memory.logHead(origin);
  await continues(seen && { size: seen[0], root: unb64(seen[1]) }, head, proofs(account));
  const meanwhile = await account.memory.logHead(origin); // another tab may have seen a longer log, which continues ours
  if (!meanwhile || meanwhile[0] < head.size) await account.memory.setLogHead(origin, [head.size, b64(head.root)]);
  return head;
}

/** The head to carry in a decision, after comparing it with those that these requests carry. */
export async function agreedHead(account: Account, trust: Trust, requests: readonly Request[]): Promise<CarriedHead> {
  const own = await freshHead(account, trust);
  const carried = new Map<string, Head>();
  for (const { log_head } of requests)
    if (log_head) carried.set(log_head.join(" "), { size: log_head[0], root: unb64(log_head[1]) });
  await agree(own, [...carried.values()], proofs(account));
  return [own.size, b64(own.root)];
}
