// The operations of the test vectors on encoding, signatures, paths, roster, enrolment and cards.
import { checkForm, decode, limitOf, nameOf, oid } from "./encoding";
import type { Json, Name } from "./encoding";
import { group } from "./cards";
import { enrolWordIndices, inviteTerms, proofInfo, verifyEnrol } from "./enrol";
import { Refused } from "./error";
import { checkKey, hash, parseObject, policy } from "./objects";
import type { Policy } from "./objects";
import { checkPath, checkPattern, matches, select } from "./path";
import { isObject, many, number, text, wrong } from "./shapes";
import type { Shape } from "./shapes";
import { count, peek, verify } from "./signed";
import { b64, hex, unb64, visible } from "./text";
import { trustOf } from "./vectors_sealed";

type Given = Record<string, any>; // each operation looks at its own
type Operation = (given: Record<string, unknown>) => Promise<Json>;

const anything: Shape = () => undefined; // looked at by the operation itself, with a code of its own

/** What an operation is given, looked at before it runs; what else is there is not looked at. */
function given(shapes: Readonly<Record<string, Shape>>, run: (input: Given) => Promise<Json> | Json): Operation {
  return async (input) => {
    for (const [name, shape] of Object.entries(shapes)) {
      if (!isObject(input) || input[name] === undefined || input[name] === null) throw wrong(`${name} is missing`);
      shape(input[name]);
    }
    return run(input);
  };
}

const key: Shape = (value) => checkKey(value);
const texts = many(text);

function formed(shape: Shape): Shape {
  return (value) => {
    checkForm(value);
    shape(value);
  };
}

async function named(name: Name, payload: Uint8Array): Promise<Json> {
  return { oid: b64(await oid(name, payload)) };
}

async function enrol(input: Given): Promise<Json> {
  const [pin, nonce] = [unb64(input.pin), unb64(input.nonce)];
  const { invite, bearer } = await inviteTerms(pin, nonce);
  const found = await verifyEnrol(pin, input.origins, input.enrol, invite);
  const words = await enrolWordIndices(found.oid, nonce);
  return { oid: b64(found.oid), invite: b64(invite), bearer, words, proof_info: b64(proofInfo()) };
}

async function counted(input: Given): Promise<Json> {
  const found = await count(input.object, input.signed, input.keys, input.origins);
  if (input.threshold < 1 || found < input.threshold) throw new Refused("threshold");
  peek(input.object, input.signed); // verified above
  return { count: found };
}

export const signedOperations: Readonly<Record<string, Operation>> = {
  decode: given({ type: text, payload: text }, (input) => {
    const payload = unb64(input.payload);
    const name = nameOf(input.type);
    decode(payload, limitOf(name));
    return named(name, payload);
  }),
  parse: given({ object: text, payload: text }, (input) => {
    const payload = unb64(input.payload);
    parseObject(input.object, payload);
    return named(input.object, payload);
  }),
  base64: given({ text }, (input) => ({ hex: hex(unb64(input.text)) })),
  visible: given({ bytes: text }, (input) => ({ text: visible(unb64(input.bytes)) })),
  verify: given({ signed: anything, object: text, key, origins: texts }, async (input) => {
    return { oid: b64((await verify(input.object, input.signed, [input.key], input.origins)).oid) };
  }),
  count: given({ signed: anything, object: text, keys: many(key), origins: texts, threshold: number }, counted),
  path: given({ path: text }, (input) => {
    checkPath(input.path);
    return {};
  }),
  pattern: given({ pattern: text }, (input) => {
    checkPattern(input.pattern);
    return {};
  }),
  match: given({ pattern: text, path: text }, ({ pattern, path }) => {
    checkPattern(pattern);
    checkPath(path);
    if (!matches(pattern, path)) throw new Refused("no-match");
    return {};
  }),
  select: given({ policies: formed(many(policy)), path: text }, (input) => {
    return { policy: select(input.policies as Policy[], input.path).id };
  }),
  trust: async (input) => {
    const trust = await trustOf(input);
    return { pair: trust.pair, oid: b64(trust.oid) };
  },
  cert: given({ client_cert: anything, now: number }, async (input) => {
    const trust = await trustOf(input);
    return { subject: (await trust.verifyCert(input.client_cert, input.now)).payload.subject };
  }),
  enrol: given({ pin: hash, origins: texts, nonce: hash, enrol: anything }, enrol),
  cards: given({ requests: many(anything) }, (input) => {
    return { cards: group((input.requests as unknown[]).map((request) => peek("request", request))) };
  }),
};
