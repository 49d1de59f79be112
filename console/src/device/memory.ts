// What this browser must not forget, in IndexedDB: what it pinned, the newest roster, the highest version of each path, its
// answers, and its keys in their wrapped form. A change is one strict transaction: it is on disk before whoever asked for it
// goes on, and two tabs cannot interleave. Nothing here opens anything without the passkey (D1).
import { comparePairs, type Pair, type Roster } from "../protocol/objects";
import { device as texts } from "../texts/device";
import { DeviceFault } from "./fault";

const NAME = "stillvault";
const STORE = "records";

let opening: Promise<IDBDatabase> | undefined;

function database(): Promise<IDBDatabase> {
  opening ??= new Promise<IDBDatabase>((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(STORE);
    asked.onsuccess = () => {
      // Another tab with a newer console may want to change the form; ours reopens when it is needed again.
      asked.result.onversionchange = () => {
        asked.result.close();
        opening = undefined;
      };
      resolve(asked.result);
    };
    asked.onerror = () => reject(lost());
    asked.onblocked = () => reject(lost());
  }).catch((error: unknown) => {
    opening = undefined;
    throw error;
  });
  return opening;
}

const lost = () => new DeviceFault("storage", texts.storage, texts.storageRemedy);

/** One record of the browser, in one transaction: `step` sees the old value and returns the new one (undefined removes it).
 * What it throws aborts the transaction and comes out here. */
async function record<T>(key: string, step?: (old: T | undefined) => T | undefined): Promise<T | undefined> {
  const transaction = (await database()).transaction(STORE, step ? "readwrite" : "readonly", { durability: "strict" });
  const store = transaction.objectStore(STORE);
  return new Promise<T | undefined>((resolve, reject) => {
    let value: T | undefined;
    let thrown: unknown;
    transaction.oncomplete = () => resolve(value);
    transaction.onabort = () => reject(thrown ?? lost());
    const asked = store.get(key) as IDBRequest<T | undefined>;
    asked.onsuccess = () => {
      value = asked.result;
      if (!step) return;
      try {
        value = step(asked.result);
        if (value === undefined) store.delete(key);
        else store.put(value, key);
      } catch (error) {
        thrown = error;
        transaction.abort();
      }
    };
  });
}

/** Whom this browser has been: found before anybody is signed in. */
export interface Identity {
  org: string;
  person: string;
  device: string;
  /** The passkey that signed in here, and its public key. */
  credential: string;
  public: string;
}

const IDENTITIES = "identities";

/** Newest first. */
export async function identities(): Promise<Identity[]> {
  return (await record<Identity[]>(IDENTITIES)) ?? [];
}

export async function rememberIdentity(found: Identity): Promise<void> {
  await record<Identity[]>(IDENTITIES, (old = []) => [found, ...old.filter((one) => one.credential !== found.credential)]);
}

const JOINING = "joining";

/** A joining that was begun here and may be interrupted. */
export async function joiningBegun<T>(): Promise<T | undefined> {
  return record<T>(JOINING);
}

export async function keepJoining<T>(begun: T | undefined): Promise<void> {
  await record<T>(JOINING, () => begun);
}

/** A key wrapped under a passkey's PRF output (protocol 11), as the relay keeps it too. */
export interface Wrapped {
  credential: string;
  kind: "kem" | "client";
  public: string;
  blob: string;
}

/** A copy of the relay's never takes the place of one that is here: ours may be the last good one. */
export function withGiven(kept: readonly Wrapped[], given: readonly Wrapped[]): Wrapped[] {
  const same = (one: Wrapped, other: Wrapped) =>
    one.credential === other.credential && one.kind === other.kind && one.public === other.public;
  return given.reduce<Wrapped[]>((all, one) => (all.some((other) => same(one, other)) ? all : [...all, one]), [...kept]);
}

/** The highest of each path; `known` itself where nothing is higher. */
export function raised(
  known: Map<string, Pair>, found: readonly (readonly [path: string, pair: Pair])[],
): Map<string, Pair> {
  return found.reduce((all, [path, pair]) => {
    const seen = all.get(path);
    return seen && comparePairs(seen, pair) >= 0 ? all : new Map(all).set(path, pair);
  }, known);
}

const headOf = (origin: string) => (origin.endsWith("/log") ? "log-head" : `log-head ${origin}`);

/** The records of one person's device in one organisation. */
export class Memory {
  readonly #prefix: string;

  constructor(org: string, person: string, device: string) {
    this.#prefix = `${org}/${person}/${device}/`;
  }

  read<T>(key: string): Promise<T | undefined> {
    return record<T>(this.#prefix + key);
  }

  /** Resolves when the new value is on disk. `change` is synchronous and pure. */
  async change<T>(key: string, change: (old: T | undefined) => T): Promise<T> {
    return (await record<T>(this.#prefix + key, change)) as T;
  }

  async forget(key: string): Promise<void> {
    await record(this.#prefix + key, () => undefined);
  }

  async highest(path: string): Promise<Pair | undefined> {
    return (await this.read<Map<string, Pair>>("highest"))?.get(path);
  }

  /** Remembers (version, revision) of a path; never goes back. */
  sawHighest(path: string, pair: Pair): Promise<void> {
    return this.sawAll([[path, pair]]);
  }

  /** As `sawHighest`, for a page of a list: written only where something is new. */
  async sawAll(found: readonly (readonly [path: string, pair: Pair])[]): Promise<void> {
    const known = (await this.read<Map<string, Pair>>("highest")) ?? new Map<string, Pair>();
    if (raised(known, found) === known) return;
    await this.change<Map<string, Pair>>("highest", (old = new Map()) => raised(old, found));
  }

  /** The head last seen of the log with this origin: a root that names another log begins it anew (protocol 12). */
  logHead(origin: string): Promise<[number, string] | undefined> {
    return this.read(headOf(origin));
  }

  /** A head that was checked against the one before; a shorter one never replaces a longer. */
  async setLogHead(origin: string, head: [number, string]): Promise<void> {
    await this.change<[number, string]>(headOf(origin), (old) => (old && old[0] > head[0] ? old : head));
  }

  /** The roster at this sealer's last seal. */
  lastSeal(): Promise<Roster | undefined> {
    return this.read("last-seal");
  }

  async setLastSeal(roster: Roster): Promise<void> {
    await this.change("last-seal", () => roster);
  }

  /** The deny key of this browser: non-extractable, without user verification, good for deny and freeze alone. */
  denyKey(): Promise<{ pair: CryptoKeyPair; public: string } | undefined> {
    return this.read("deny-key");
  }

  async setDenyKey(key: { pair: CryptoKeyPair; public: string }): Promise<void> {
    await this.change("deny-key", () => key);
  }

  async wrapped(): Promise<Wrapped[]> {
    return (await this.read<Wrapped[]>("wrapped")) ?? [];
  }

  /** Copies that the relay gave. */
  async addGiven(found: readonly Wrapped[]): Promise<void> {
    await this.change<Wrapped[]>("wrapped", (old = []) => withGiven(old, found));
  }

  /** Keys of our own making. */
  async addWrapped(found: readonly Wrapped[]): Promise<void> {
    const same = (one: Wrapped, other: Wrapped) => one.credential === other.credential && one.kind === other.kind;
    const stays = (one: Wrapped) => !found.some((other) => same(one, other));
    await this.change<Wrapped[]>("wrapped", (old = []) => [...old.filter(stays), ...found]);
  }
}
