// The console's side of the test vectors, for Node: one JSON line in, one JSON line out. Built by `vite build --mode vectors`.
import { createInterface } from "node:readline";
import { answer } from "./vectors_table";

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(`${JSON.stringify(await answer(line))}\n`);
}
