// The relay's own description of its interface, as lines to show. Whatever is not of the expected form is left out, not guessed.

export interface Operation {
  method: string;
  path: string;
  summary: string;
  query: string[];
  body: string; // name of the message, or ""
  answer: string; // name of the message, or the media type
  status: string;
}

export interface Message {
  name: string;
  description: string;
  fields: { name: string; type: string; optional: boolean }[];
}

type Thing = { [name: string]: unknown };

const thing = (value: unknown): Thing =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Thing) : {};
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const order = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0);

export function operations(document: unknown): Operation[] {
  const found: Operation[] = [];
  for (const [path, methods] of Object.entries(thing(thing(document)["paths"]))) {
    for (const [method, given] of Object.entries(thing(methods))) {
      const operation = thing(given);
      const [status = "", response] = Object.entries(thing(operation["responses"])).find(([code]) => /^2/.test(code)) ?? [];
      const [media = "", content] = Object.entries(thing(thing(response)["content"]))[0] ?? [];
      found.push({
        method: method.toUpperCase(),
        path,
        summary: text(operation["summary"]),
        query: list(operation["parameters"]).map(thing).filter((one) => one["in"] === "query").map((one) => text(one["name"])),
        body: nameOf(thing(thing(thing(operation["requestBody"])["content"])["application/json"])["schema"]),
        answer: nameOf(thing(content)["schema"]) || (media === "application/json" ? "" : media),
        status,
      });
    }
  }
  return found.sort((one, other) => order(one.path, other.path) || order(one.method, other.method));
}

export function messages(document: unknown): Message[] {
  const schemas = thing(thing(thing(document)["components"])["schemas"]);
  return Object.entries(schemas).map(([name, given]) => {
    const schema = thing(given);
    const required = list(schema["required"]);
    const fields = Object.entries(thing(schema["properties"])).map(([field, form]) => ({
      name: field, type: typeOf(form), optional: !required.includes(field),
    }));
    return { name, description: text(schema["description"]), fields };
  }).sort((one, other) => order(one.name, other.name));
}

function nameOf(schema: unknown): string {
  return text(thing(schema)["$ref"]).split("/").at(-1) ?? "";
}

function typeOf(given: unknown): string {
  const schema = thing(given);
  if (nameOf(schema)) return nameOf(schema);
  if (Array.isArray(schema["enum"])) return schema["enum"].map((one) => JSON.stringify(one)).join(" | ");
  if (Array.isArray(schema["anyOf"])) return schema["anyOf"].map(typeOf).join(" | ");
  if (schema["type"] === "array") return `[${typeOf(schema["items"])}]`;
  return text(schema["type"]) || "object";
}
