// Every operation of the test vectors, by a line of JSON `{op, input}`: an answer `{kind, value | code}`. For Node (`vectors`)
// and for a page of the tests; never in a build of the console.
import { Refused } from "./error";
import { parseForeign } from "./json";
import type { Json } from "./json";
import { isObject, wrong } from "./shapes";
import { utf8 } from "./text";
import { makingOperations } from "./vectors_making";
import { sealedOperations } from "./vectors_sealed";
import { signedOperations } from "./vectors_signed";

const OPERATIONS = new Map(Object.entries({ ...signedOperations, ...sealedOperations }));
const MAKING = new Map(Object.entries(makingOperations));
const DEPTH = 64; // of a line: objects in lists in inputs, and room for what is too deep to be an object

async function run(line: string): Promise<Json> {
  const { op, input } = asked(parseForeign(utf8(line), DEPTH));
  if (op === "operations") return [...OPERATIONS.keys()];
  const operation = OPERATIONS.get(op) ?? MAKING.get(op);
  if (!operation) throw new Error(`no operation ${op}`);
  return operation(input);
}

function asked(value: Json): { op: string; input: Record<string, unknown> } {
  if (!isObject(value) || typeof value.op !== "string" || !isObject(value.input)) throw wrong("not a case");
  return { op: value.op, input: value.input };
}

export async function answer(line: string): Promise<Json> {
  try {
    return { kind: "accept", value: await run(line) };
  } catch (error) {
    if (error instanceof Refused) return { kind: "refuse", code: error.code };
    return { kind: "crash", code: String(error) };
  }
}
