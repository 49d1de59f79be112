// The log as people read it: the sentences of `stillvault audit tail`, word for word.
import type { Row } from "../work/auditing";
import { plain } from "../protocol/text";

const text = (row: Row, name: string, otherwise = ""): string => {
  const value = row[name];
  return value === undefined || value === "" ? otherwise : typeof value === "string" ? value : JSON.stringify(value);
};
const NOT_SHOWN = ["index", "time", "kind", "actor", "secret", "oid", "request", "chain", "v"];

/** A length of time as people write it: 15m, 1h30m, 45s. */
export function span(seconds: number): string {
  const parts: string[] = [];
  let rest = seconds;
  for (const [name, size] of [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]] as const) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count}${name}`);
  }
  return parts.slice(0, 2).join("") || "0s";
}

const window = (row: Row): string => span(typeof row["window"] === "number" ? row["window"] : 0);
const after = (row: Row, word: string): string => {
  const said = text(row, "outcome");
  return said.startsWith(word) ? said.slice(word.length) : said;
};
const because = (row: Row): string => (text(row, "outcome") ? `: ${text(row, "outcome")}` : "");

const copied = (row: Row): string =>
  text(row, "outcome") === "counter-back" ? "; the counter of its passkey went back: it may have been copied" : "";

/** What a line says of one or two rows (an approval that completes its quorum and the release that it causes). */
export interface Told {
  rows: Row[];
  text: string;
}

/** Turns rows, in order, into lines. Remembers what the rows of one request have in common. */
export class Teller {
  readonly #needed = new Map<string, string>();
  #complete: Row | undefined;

  /** The lines that this row completes. */
  tell(row: Row): Told[] {
    const approved = this.#complete;
    this.#complete = undefined;
    if (row.kind === "released" && approved && approved["request"] === row["request"]) {
      const lease = row["window"] ? window(row) : "none";
      return [{ rows: [approved, row], text: plain(`${row.actor} approved ${text(row, "secret")}: released, lease ${lease}`) }];
    }
    const told = approved ? [this.#one(approved)] : [];
    if (row.kind === "requested") this.#needed.set(text(row, "request"), text(row, "people").split("/").at(-1) ?? "");
    const [have, needed] = text(row, "people").split("/");
    if (row.kind === "approved" && needed !== undefined && have === needed && !copied(row)) this.#complete = row; // its release comes next
    else told.push(this.#one(row));
    return told;
  }

  /** What still waited for a row after it. */
  rest(): Told[] {
    const approved = this.#complete;
    this.#complete = undefined;
    return approved ? [this.#one(approved)] : [];
  }

  #one(row: Row): Told {
    return { rows: [row], text: plain(row.kind === "prompted" ? this.#prompted(row) : sentence(row)).trimEnd() };
  }

  #prompted(row: Row): string {
    const said = text(row, "outcome", "sent") === "sent" ? "" : `: ${text(row, "outcome")}`;
    const whom = `${row.actor} ${text(row, "device")}`.trim();
    return `prompted ${whom} (${text(row, "channel", "?")}) ${this.#quorum(row)}${said}`;
  }

  /** `1 of any-of-2`, `1 of 2-of-3`: which prompt this is, and who of how many must answer. */
  #quorum(row: Row): string {
    const people = text(row, "people");
    const [first, asked] = people.split(" of ");
    const needed = this.#needed.get(text(row, "request")) ?? "";
    if (!needed || !asked || !/^[0-9]+$/.test(asked)) return people;
    return `${first} of ${needed === "1" ? "any" : needed}-of-${asked}`;
  }
}

function sentence(row: Row): string {
  const { kind, actor } = row;
  const secret = text(row, "secret");
  const host = text(row, "host");
  const people = text(row, "people");
  switch (kind) {
    case "requested":
      return `${actor}${host ? ` on ${host}` : ""} requested ${secret} uid=${text(row, "uid", "?")} exe=${text(row, "exe", "?")}`;
    case "approved":
      return `${actor} approved ${secret}: ${text(row, "people")}${copied(row)}`;
    case "released":
      return `${secret} released to ${text(row, "host", actor)}, lease ${window(row)}`;
    case "sealed":
      return `${actor} sealed ${secret} version ${text(row, "version", "?")}.${after(row, "revision ") || "0"}`;
    case "roster":
      return `${actor} roster ${after(row, "root ") || "?"}.${text(row, "version", "?")}`;
    case "enrolled":
      return `${people || actor} ${text(row, "outcome", "enrolled")}${actor === people ? "" : ` by ${actor}`}`;
    case "signed-in":
      return `${actor} signed in from ${text(row, "device") || text(row, "host", "?")}${copied(row)}`;
    case "delivered":
    case "failed":
      return `${secret} ${kind} to ${text(row, "exe", "?")} on ${text(row, "host", "?")}${because(row)}`;
    case "signed-out":
      return `${actor} signed out of ${text(row, "count", "?")} sessions`;
    case "denied":
    case "frozen":
      return `${actor} ${kind === "denied" ? "denied" : "froze"} ${secret}${because(row)}`;
    case "lease-used":
      return `${text(row, "exe", actor)} on ${text(row, "host", "?")} used ${secret} from its lease, ${text(row, "count", "1")} times`;
    case "policy":
      return `${actor} policy ${text(row, "outcome")}${people ? `: ${people}, lease ${window(row)}` : ""}`;
    case "cancelled":
    case "revoked":
      if (!secret) return `${actor} ${kind} ${text(row, "device")}${because(row)}`;
      return `${secret} ${kind}${because(row)}`;
    case "lease-ended":
      return secret ? `${secret} lease ended${because(row)}` : `${actor} ended every lease`;
    case "expired":
      return `${secret} expired${because(row)}`;
    case "suppressed":
      return `${text(row, "count", "?")} prompts of ${actor} suppressed${because(row)}`;
    default: {
      const rest = Object.keys(row).filter((name) => !NOT_SHOWN.includes(name)).map((name) => `${name}=${text(row, name)}`);
      return [actor, kind, secret, rest.join(" ")].filter(Boolean).join(" ");
    }
  }
}
