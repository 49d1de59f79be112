import { beforeAll, describe, expect, it } from "vitest";

import { encode } from "../src/protocol/encoding";
import { leafHash, rootOf } from "../src/protocol/log";
import type { Head } from "../src/protocol/log";
import { concat, fromUtf8, utf8 } from "../src/protocol/text";
import type { Bytes } from "../src/protocol/text";
import { leafOf, rowOf, tilePath, verifyLog, wanted } from "../src/work/auditing";
import type { Row, Source } from "../src/work/auditing";

const ORIGIN = "vault.corp.internal/log";
const SIZE = 300; // more than a tile, more than a page
let pair: CryptoKeyPair;
let log: { origin: string; public: Bytes };

beforeAll(async () => {
  pair = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
  log = { origin: ORIGIN, public: new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey)) };
});

const leaf = (at: number): string =>
  fromUtf8(encode({ kind: "sealed", actor: "alice", time: 1000 + at, detail: { secret: `prod/s-${at}`, version: 1 } }));
const leaves = (count: number): string[] => Array.from({ length: count }, (_, at) => leaf(at));
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
const rootOver = async (all: string[]): Promise<Bytes> => rootOf(await Promise.all(all.map((one) => leafHash(utf8(one)))));
const sha = async (bytes: Bytes): Promise<Bytes> => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

async function note(all: string[], key = pair): Promise<string> {
  const body = `${ORIGIN}\n${all.length}\n${base64(await rootOver(all))}\n`;
  const id = (await sha(concat(utf8(`${ORIGIN}\n`), Uint8Array.of(1), log.public))).subarray(0, 4);
  const signature = new Uint8Array(await crypto.subtle.sign("Ed25519", key.privateKey, utf8(body)));
  return `${body}\n— ${ORIGIN} ${base64(concat(id, signature))}\n`;
}

/** A relay with these rows; `shown` is what it serves in their place. */
async function relay(all: string[], shown = all, checkpoint?: string): Promise<Source> {
  const signed = checkpoint ?? (await note(all));
  return {
    page: async (after) => ({ first: after, leaves: shown.slice(after, after + 200), checkpoint: signed }),
    proof: async () => [],
    tile: async (path) => {
      const first = Number(path.slice(2, 5)) * 256;
      const hashes = all.slice(first, first + 256).map((one) => sha(concat(Uint8Array.of(0), utf8(one))));
      return concat(...(await Promise.all(hashes)));
    },
  };
}

const head = async (all: string[]): Promise<Head> => ({ size: all.length, root: await rootOver(all) });

describe("the log", () => {
  it("verifies", async () => {
    const seen: number[] = [];
    const found = await verifyLog(await relay(leaves(SIZE)), log, undefined, (rows) => seen.push(rows));
    expect(found.head.size).toBe(SIZE);
    expect(seen).toEqual([200, 300, 300]);
    await verifyLog(await relay([]), log, undefined);
    await verifyLog(await relay(leaves(5)), log, await head(leaves(5)));
  });

  it.each([0, 7, 199, 200, 255, 256, SIZE - 1])("names row %i when it was changed", async (at) => {
    const shown = leaves(SIZE).with(at, leaf(at).replace("alice", "mallory").replace("mallory", "alicf"));
    await expect(verifyLog(await relay(leaves(SIZE), shown), log, undefined)).rejects.toMatchObject({ code: "log-root", row: at });
  });

  it("refuses a row taken out, one added, two in another order, and the last ones hidden", async () => {
    const all = leaves(SIZE);
    const shown = [all.toSpliced(10, 1), all.toSpliced(10, 0, leaf(999)), all.with(3, leaf(4)).with(4, leaf(3)), all.slice(0, -1)];
    const codes = [["log-leaf", SIZE - 1], ["log-root", 10], ["log-root", 3], ["log-leaf", SIZE - 1]];
    for (const [at, one] of shown.entries()) {
      const [code, row] = codes[at]!;
      await expect(verifyLog(await relay(all, one), log, undefined)).rejects.toMatchObject({ code, row });
    }
  });

  it("refuses another signer, a shorter log than seen, and another history", async () => {
    const other = (await crypto.subtle.generateKey("Ed25519", true, ["sign", "verify"])) as CryptoKeyPair;
    const forged = await relay(leaves(5), leaves(5), await note(leaves(5), other));
    await expect(verifyLog(forged, log, undefined)).rejects.toMatchObject({ code: "log-signature" });
    await expect(verifyLog(await relay(leaves(5)), log, await head(leaves(6)))).rejects.toMatchObject({ code: "log-rollback" });
    const elsewhere = await head(leaves(5).with(0, leaf(9)));
    await expect(verifyLog(await relay(leaves(5)), log, elsewhere)).rejects.toMatchObject({ code: "log-fork" });
    await expect(verifyLog(await relay(leaves(6)), log, elsewhere)).rejects.toMatchObject({ code: "log-fork" });
  });

  it("names a row that is not of the form", async () => {
    const shown = leaves(5).with(2, '{"kind":"sealed" ,"actor":"alice"}');
    await expect(verifyLog(await relay(leaves(5), shown), log, undefined)).rejects.toMatchObject({ code: "log-leaf", row: 2 });
  });

  it("refuses all the same where the tiles lie too", async () => {
    const shown = leaves(5).with(2, leaf(77));
    const source = { ...(await relay(leaves(5), shown)), tile: async () => new Uint8Array(160) };
    await expect(verifyLog(source, log, undefined)).rejects.toMatchObject({ code: "log-root", row: undefined });
  });
});

describe("a row", () => {
  it("is its leaf laid flat, and gives it back", () => {
    const row = rowOf(3, leaf(3));
    expect(row).toMatchObject({ index: 3, kind: "sealed", actor: "alice", time: 1003, secret: "prod/s-3", version: 1 });
    expect(fromUtf8(leafOf(row))).toBe(leaf(3));
  });

  it.each([
    '{"actor":"a","detail":{"kind":"x"},"kind":"k","time":1}',
    '{"actor":"a","detail":{"index":7},"kind":"k","time":1}',
    '{"actor":"a","detail":{"__proto__":{"x":1}},"kind":"k","time":1}',
    '{"actor":"a","detail":[],"kind":"k","time":1}',
    '{"actor":"a","kind":"k","time":1}',
    '{"actor":"a","actor":"b","detail":{},"kind":"k","time":1}',
    '{"actor":"a","detail":{},"kind":"k","more":1,"time":1}',
    "null",
  ])("is refused: %s", (text) => expect(() => rowOf(0, text)).toThrow("log-leaf"));
});

it("is found by kind, actor, secret, host and time", () => {
  const row = { index: 0, kind: "delivered", actor: "host/db-1", time: 100, secret: "prod/db", host: "db-1" } as Row;
  const all = { kind: "", actor: "", secret: "", host: "", from: 0, until: 0 };
  for (const part of [{}, { kind: "delivered" }, { actor: "db" }, { secret: "prod/" }, { host: "db-1" }, { from: 100 }, { until: 101 }]) {
    expect(wanted(row, { ...all, ...part })).toBe(true);
  }
  for (const part of [{ kind: "denied" }, { actor: "bob" }, { secret: "dev" }, { host: "db-2" }, { from: 101 }, { until: 100 }]) {
    expect(wanted(row, { ...all, ...part })).toBe(false);
  }
});

it("spells tiles as C2SP does", () => {
  expect([tilePath(0, 256), tilePath(0, 5), tilePath(1234, 256), tilePath(1234067, 1)]).toEqual([
    "0/000", "0/000.p/5", "0/x001/234", "0/x001/x234/067.p/1",
  ]);
});
