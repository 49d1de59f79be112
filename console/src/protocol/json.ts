// A JSON parser (RFC 8259) whose depth is bounded before a level is entered, and which keeps what `JSON.parse` loses: that a
// name stood twice, and how a number was written.
import { Refused } from "./error";
import { checkFieldName, checkVisible, fromUtf8 } from "./text";

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** The outermost object counts as 1. */
export const DEPTH_LIMIT = 16;
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /(-?)(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\]*/y;
const HEX4 = /[0-9a-fA-F]{4}/y;
const CONTROL = /[\u0000-\u001f]/;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** An object with these fields and no prototype: no name means anything but itself. */
export function bare<T>(): { [name: string]: T } {
  return Object.create(null) as { [name: string]: T };
}

/** The restricted form of section 2. White space, order and escapes are left to the comparison in `decode`. */
export function parse(bytes: Uint8Array): Json {
  return new Parser(fromUtf8(bytes), false, DEPTH_LIMIT).all();
}

/** JSON that others wrote, such as a browser's client data: null is null and a number outside the form NaN; names are free, but
 * none stands twice, because there is no second encoding to compare with. */
export function parseForeign(bytes: Uint8Array, depth = DEPTH_LIMIT): Json {
  return new Parser(fromUtf8(bytes), true, depth).all();
}

class Parser {
  private at = 0;
  private readonly text: string;
  private readonly foreign: boolean;
  private readonly deepest: number;

  constructor(text: string, foreign: boolean, deepest: number) {
    this.text = text;
    this.foreign = foreign;
    this.deepest = deepest;
  }

  all(): Json {
    const value = this.value(0);
    this.space();
    if (this.at !== this.text.length) throw new Refused("json", "more than one value");
    return value;
  }

  private match(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (found) this.at = pattern.lastIndex;
    return found;
  }

  private space(): void {
    this.match(SPACE);
  }

  private word(word: string): boolean {
    const found = this.text.startsWith(word, this.at);
    if (found) this.at += word.length;
    return found;
  }

  private take(char: string, why: string): void {
    if (!this.word(char)) throw new Refused("json", why);
  }

  private deeper(depth: number): number {
    if (depth >= this.deepest) throw new Refused("depth", `more than ${this.deepest} levels`);
    return depth + 1;
  }

  /** `depth` is the number of objects and arrays around this value. */
  private value(depth: number): Json {
    this.space();
    const first = this.text[this.at];
    if (first === "{") return this.object(this.deeper(depth));
    if (first === "[") return this.array(this.deeper(depth));
    if (first === '"') return this.string();
    if (this.word("true")) return true;
    if (this.word("false")) return false;
    if (this.word("null")) {
      if (!this.foreign) throw new Refused("null", "an absent field is left out");
      return null;
    }
    for (const name of ["NaN", "Infinity", "-Infinity"]) {
      if (this.text.startsWith(name, this.at)) throw new Refused("number", "not a number of JSON");
    }
    return this.number();
  }

  private object(depth: number): Json {
    const fields = bare<Json>();
    this.at++;
    this.space();
    if (this.word("}")) return fields;
    for (;;) {
      this.space();
      const name = this.string();
      if (!this.foreign) checkFieldName(name);
      else if (name in fields) throw new Refused("json", "a name stands twice");
      this.space();
      this.take(":", "no colon after a name");
      fields[name] = this.value(depth);
      this.space();
      if (this.word("}")) return fields;
      this.take(",", "an object does not end");
    }
  }

  private array(depth: number): Json {
    const items: Json[] = [];
    this.at++;
    this.space();
    if (this.word("]")) return items;
    for (;;) {
      items.push(this.value(depth));
      this.space();
      if (this.word("]")) return items;
      this.take(",", "an array does not end");
    }
  }

  private number(): number {
    const found = this.match(NUMBER);
    if (!found) throw new Refused("json", "no value");
    if (/[0-9.eE]/.test(this.text[this.at] ?? "")) throw new Refused("json", "no number of JSON");
    const [, sign, whole, fraction, exponent] = found;
    const value = Number(whole);
    const fits = fraction === undefined && exponent === undefined && Number.isSafeInteger(value) && (!sign || value === 0);
    if (fits) return value;
    if (this.foreign) return NaN;
    throw new Refused("number", "not an integer from 0 to 2^53-1");
  }

  private string(): string {
    this.take('"', "no string");
    let out = "";
    for (;;) {
      const run = this.match(PLAIN)![0];
      if (this.at === this.text.length) throw new Refused("json", "a string does not end");
      if (CONTROL.test(run)) throw new Refused(this.foreign ? "json" : "char", "a raw control character");
      out += run;
      if (this.word('"')) break;
      this.at++; // the backslash
      out += this.escape();
    }
    if (!this.foreign) checkVisible(out);
    else if (!out.isWellFormed()) throw new Refused("char", "a lone surrogate");
    return out;
  }

  private escape(): string {
    const letter = this.text[this.at++] ?? "";
    if (letter !== "u") {
      const char = ESCAPES.get(letter);
      if (char === undefined) throw new Refused("json", "an unknown escape");
      return char;
    }
    const digits = this.match(HEX4);
    if (!digits) throw new Refused("json", "an escape without four hexadecimal digits");
    return String.fromCharCode(parseInt(digits[0], 16)); // a pair comes in two escapes; a lone one is refused with the string
  }
}
