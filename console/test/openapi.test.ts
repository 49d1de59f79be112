import { expect, it } from "vitest";

import { messages, operations } from "../src/work/openapi";

const DOCUMENT = {
  paths: {
    "/v1/secrets": {
      post: {
        summary: "For a person with the role sealer.",
        requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/NewSecret" } } } },
        responses: { "201": { content: { "application/json": { schema: { $ref: "#/components/schemas/Stored" } } } }, default: {} },
      },
      get: { parameters: [{ in: "query", name: "prefix" }, { in: "path", name: "x" }], responses: { "200": {} } },
    },
    "/ca.pem": { get: { responses: { "200": { content: { "application/x-pem-file": {} } } } } },
  },
  components: {
    schemas: {
      Stored: { description: "What.", required: ["oid"], properties: { oid: { type: "string" }, all: { type: "array", items: { $ref: "#/x/Key" } } } },
      Kind: { properties: { kind: { enum: ["a", "b"] }, either: { anyOf: [{ type: "string" }, { type: "integer" }] } } },
    },
  },
};

it("lists what the relay answers, in order", () => {
  expect(operations(DOCUMENT)).toEqual([
    { method: "GET", path: "/ca.pem", summary: "", query: [], body: "", answer: "application/x-pem-file", status: "200" },
    { method: "GET", path: "/v1/secrets", summary: "", query: ["prefix"], body: "", answer: "", status: "200" },
    { method: "POST", path: "/v1/secrets", summary: "For a person with the role sealer.", query: [], body: "NewSecret", answer: "Stored", status: "201" },
  ]);
});

it("lists the messages and their fields", () => {
  expect(messages(DOCUMENT)).toEqual([
    { name: "Kind", description: "", fields: [{ name: "kind", type: '"a" | "b"', optional: true }, { name: "either", type: "string | integer", optional: true }] },
    { name: "Stored", description: "What.", fields: [{ name: "oid", type: "string", optional: false }, { name: "all", type: "[Key]", optional: true }] },
  ]);
});

it("guesses nothing of another form", () => {
  for (const odd of [null, 7, "x", [], {}, { paths: [], components: 3 }, { paths: { "/x": null } }]) {
    expect([operations(odd), messages(odd)]).toEqual([[], []]);
  }
});
