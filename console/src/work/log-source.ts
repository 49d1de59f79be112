// The relay's log, for `auditing`; the head that this browser saw, and its export.
import type { Account } from "../device/account";
import { encode } from "../protocol/encoding";
import type { Head } from "../protocol/log";
import { b64, fromUtf8, unb64 } from "../protocol/text";
import type { Bytes } from "../protocol/text";
import type { Trust } from "../protocol/trust";
import { LogRefused, pages, rowOf, verifyLog, type Page, type Row, type Source, type Verified } from "./auditing";
import { jsonLine } from "./exporting";

const PAGE = 500; // rows

export function sourceOf({ api }: Account): Source {
  return {
    page: (after) => api.get<Page>("/v1/audit", { after, limit: PAGE }),
    proof: async (before, after) => {
      const { proof } = await api.get<{ proof: string[] }>("/v1/log/consistency", { old: before, new: after });
      return proof.map((one) => unb64(one));
    },
    tile: (path) => api.bytes(`/v1/log/tile/${path}`),
  };
}

/** Some rows, from `after` on. */
export async function rowsFrom({ api }: Account, after: number, limit: number): Promise<Row[]> {
  const page = await api.get<Page>("/v1/audit", { after, limit });
  if (page.leaves.length > 0 && page.first !== after) throw new LogRefused("log-leaf", "a row is missing", after);
  return page.leaves.map((leaf, at) => rowOf(after + at, leaf));
}

/** The log key, as the newest verified root names it. */
export function logKey(trust: Trust): { origin: string; public: Bytes } {
  const { origin, public: key } = trust.root.log;
  return { origin, public: unb64(key) };
}

/** The whole log verified; its head is remembered from then on. */
export async function verifyHere(account: Account, progress: (rows: number) => void): Promise<Verified> {
  const trust = await account.trust();
  const key = logKey(trust);
  const seen = await account.memory.logHead(key.origin);
  const before: Head | undefined = seen && { size: seen[0], root: unb64(seen[1]) };
  const found = await verifyLog(sourceOf(account), key, before, progress);
  await account.memory.setLogHead(key.origin, [found.head.size, b64(found.head.root)]);
  return found;
}

/** The whole log as `stillvault audit export` writes it: what is wrong with it stays in it, for `audit verify --file` to find. */
export async function exported(account: Account, progress: (rows: number) => void): Promise<string> {
  const trust = await account.trust();
  const lines: string[] = [];
  let checkpoint = "";
  for await (const page of pages(sourceOf(account))) {
    checkpoint = page.checkpoint;
    for (const leaf of page.leaves) lines.push(jsonLine(rowOf(lines.length, leaf)));
    progress(lines.length);
  }
  // The signed parts as their exact canonical bytes.
  const roots = trust.roots.map((one) => fromUtf8(encode(one))).join(",");
  const head = `{"v":1,"org_id":${JSON.stringify(account.org)},"checkpoint":${JSON.stringify(checkpoint)}`;
  return `${lines.join("")}${head},"roots":[${roots}],"roster":${fromUtf8(encode(trust.signedRoster))}}\n`;
}
