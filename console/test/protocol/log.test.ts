// The log as a reader sees it: roots, consistency, checkpoints, and two parties who compare what they saw.
import { describe, expect, test } from "vitest";
import { generateKey } from "../../src/protocol/keys";
import { sha256 } from "../../src/protocol/encoding";
import { agree, continues, leafHash, nodeHash, rootOf, verifyCheckpoint, verifyConsistency } from "../../src/protocol/log";
import type { Head } from "../../src/protocol/log";
import { concat, hex, unb64, utf8 } from "../../src/protocol/text";
import type { Bytes } from "../../src/protocol/text";

const refusal = (code: string) => expect.objectContaining({ name: "Refused", code }) as Error;
const unhex = (text: string): Bytes => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const leavesOf = (count: number): Bytes[] => Array.from({ length: count }, (_, at) => utf8(`row ${at}`));
const rootOver = async (leaves: Bytes[]): Promise<Bytes> => rootOf(await Promise.all(leaves.map(leafHash)));
const headOf = async (leaves: Bytes[]): Promise<Head> => ({ size: leaves.length, root: await rootOver(leaves) });

/** PROOF of RFC 6962, 2.1.2, as the relay would make it. */
async function proofOf(old: number, leaves: Bytes[], whole = true): Promise<Bytes[]> {
  if (old === leaves.length) return whole ? [] : [await rootOver(leaves)];
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  if (old <= split) return [...(await proofOf(old, left, whole)), await rootOver(right)];
  return [...(await proofOf(old - split, right, false)), await rootOver(left)];
}

describe("the root", () => {
  // The eight leaves and roots of the test data that came with RFC 6962's first implementation.
  const known: [string, string][] = [
    ["", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"],
    ["00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ["10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"],
    ["2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"],
    ["3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"],
    ["40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"],
    ["5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"],
    ["606162636465666768696a6b6c6d6e6f", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"],
  ];

  test("is that of RFC 6962 for each number of leaves", async () => {
    const leaves = known.map(([leaf]) => unhex(leaf));
    for (const [at, [, root]] of known.entries()) expect(hex(await rootOver(leaves.slice(0, at + 1)))).toBe(root);
    expect(await rootOf([])).toEqual(await sha256(new Uint8Array()));
  });
});

describe("consistency", () => {
  test("holds for every pair of sizes up to 20, with that proof and no other", async () => {
    const leaves = leavesOf(20);
    const heads = await Promise.all(Array.from({ length: 21 }, (_, size) => headOf(leaves.slice(0, size))));
    for (let old = 1; old <= 20; old++) {
      for (let size = old; size <= 20; size++) {
        const proof = await proofOf(old, leaves.slice(0, size));
        await verifyConsistency(heads[old]!, heads[size]!, proof);
        const other = { size: old, root: await nodeHash(heads[old]!.root, heads[old]!.root) };
        await expect(verifyConsistency(other, heads[size]!, proof)).rejects.toEqual(refusal("log-fork"));
        const wrong = [[...proof, heads[1]!.root], ...(proof.length ? [proof.slice(1)] : [])];
        for (const path of wrong) {
          await expect(verifyConsistency(heads[old]!, heads[size]!, path)).rejects.toEqual(refusal("log-fork"));
        }
      }
    }
    await expect(verifyConsistency(heads[9]!, heads[8]!, [])).rejects.toEqual(refusal("log-rollback"));
  });

  test("a fork and a log that went back are told apart, by one's own head or by another's", async () => {
    const [leaves, forked] = [leavesOf(12), [...leavesOf(7), ...leavesOf(5)]];
    const proof = (old: number, size: number) => proofOf(old, leaves.slice(0, size));
    const now = await headOf(leaves);
    await continues(undefined, now, proof);
    await continues(await headOf(leaves.slice(0, 7)), now, proof);
    await agree(now, [await headOf(leaves.slice(0, 3)), now, { size: 0, root: new Uint8Array(32) }], proof);
    await expect(continues(await headOf(forked.slice(0, 9)), now, proof)).rejects.toEqual(refusal("log-fork"));
    await expect(agree(now, [await headOf(forked)], proof)).rejects.toEqual(refusal("log-fork"));
    await expect(agree(now, [await headOf(leavesOf(13))], proof)).rejects.toEqual(refusal("log-rollback"));
  });
});

describe("a checkpoint", () => {
  const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
  const root = new Uint8Array(32).fill(3);

  async function noted(text: string, origin = "log.test") {
    const { pair, public: key } = await generateKey("ed25519");
    const id = (await sha256(concat(utf8(`${origin}\n`), Uint8Array.of(1), key))).subarray(0, 4);
    const sig = new Uint8Array(await crypto.subtle.sign("Ed25519", pair.privateKey, utf8(text)));
    return { key, note: `${text}\n— ${origin} ${base64(concat(id, sig))}\n` };
  }

  test("gives size and root where the log key signed it", async () => {
    const { key, note } = await noted(`log.test\n42\n${base64(root)}\n`);
    expect(await verifyCheckpoint(note, "log.test", key)).toEqual({ size: 42, root });
    const others = note.replace("\n— ", `\n— witness.test ${base64(root)}\n— `);
    expect((await verifyCheckpoint(others, "log.test", key)).size).toBe(42);
    await expect(verifyCheckpoint(note, "other.test", key)).rejects.toEqual(refusal("log-signature"));
    await expect(verifyCheckpoint(note.replace("42", "43"), "log.test", key)).rejects.toEqual(refusal("log-signature"));
    const { public: stranger } = await generateKey("ed25519");
    await expect(verifyCheckpoint(note, "log.test", stranger)).rejects.toEqual(refusal("log-signature"));
  });

  test.each(["042", "-1", "1e3", "9007199254740992", ""])("has no size %j", async (size) => {
    const { key, note } = await noted(`log.test\n${size}\n${base64(root)}\n`);
    await expect(verifyCheckpoint(note, "log.test", key)).rejects.toEqual(refusal("log-signature"));
  });

  test("made by the relay of this project is read", async () => {
    // LogKey(bytes(range(32)), "vault.example/log").checkpoint(7, bytes(32)) of stillvault.relay.log
    const key = unb64("A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg");
    const note = "vault.example/log\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" +
      "— vault.example/log 1j1dzFIxlphv3S+OBhla8VDzjIOCT800NtWTHCJpZpp5Mm6uP9+QY+j2rVaaM05+f8wm9F2Z7Ys14enfulzrlXIiwAw=\n";
    expect(await verifyCheckpoint(note, "vault.example/log", key)).toEqual({ size: 7, root: new Uint8Array(32) });
  });
});
