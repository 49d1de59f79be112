// Shapes: functions that take a value and refuse what is not of the form. `fields` makes one for an object.
import { Refused } from "./error";
import { checkId, checkPath, checkPattern } from "./path";
import { unb64 } from "./text";

export type Shape = (value: unknown) => void;

export function wrong(why: string): Refused {
  return new Refused("field", why);
}

export function text(value: unknown): asserts value is string {
  if (typeof value !== "string") throw wrong("not a string");
}

export function number(value: unknown): asserts value is number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong("not an integer from 0 to 2^53-1");
}

export function fromOne(value: unknown): void {
  number(value);
  if (value < 1) throw wrong("versions begin at 1");
}

export function flag(value: unknown): void {
  if (typeof value !== "boolean") throw wrong("not a boolean");
}

/** Base64url of so many bytes, or of any number where none is given. */
export function raw(length?: number): Shape {
  return (value) => {
    text(value);
    const found = unb64(value).length;
    if (length !== undefined && found !== length) throw wrong(`${found} bytes, not ${length}`);
  };
}

export function oneOf(...choices: readonly string[]): Shape {
  return (value) => {
    text(value);
    if (!choices.includes(value)) throw wrong(`not one of ${choices.join(", ")}`);
  };
}

export function many(shape: Shape, most = Infinity): Shape {
  return (value) => {
    if (!Array.isArray(value)) throw wrong("not a list");
    if (value.length > most) throw wrong(`more than ${most}`);
    for (const item of value) shape(item);
  };
}

/** A list of fixed length: a pair, a recipient, a stanza. */
export function row(...shapes: readonly Shape[]): Shape {
  return (value) => {
    if (!Array.isArray(value) || value.length !== shapes.length) throw wrong(`not a list of ${shapes.length}`);
    shapes.forEach((shape, at) => shape(value[at]));
  };
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An object of exactly these fields. A name that ends in `?` may be absent; only own fields count. */
export function fields(shapes: Readonly<Record<string, Shape>>): Shape {
  const known = new Map(Object.entries(shapes).map(([name, shape]) => [name.replace(/\?$/, ""), shape]));
  const needed = Object.keys(shapes).filter((name) => !name.endsWith("?"));
  return (value) => {
    if (!isObject(value)) throw wrong("not an object");
    for (const name of needed) {
      if (!Object.hasOwn(value, name)) throw wrong(`${name} is missing`);
    }
    for (const name of Object.keys(value)) {
      const shape = known.get(name);
      if (!shape) throw wrong(`${name} is unknown`);
      shape(value[name]);
    }
  };
}

export const path: Shape = (value) => checkPath(value);
export const pattern: Shape = (value) => checkPattern(value);
export const id: Shape = (value) => checkId(value);
