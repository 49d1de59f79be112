// Calls to the relay of this origin. The session travels in a cookie that no script can read; a few callers (joining, re-sealing,
// first start) carry a bearer of their own and then send no cookie. What comes back is unverified: the protocol checks it.
import { api as texts } from "../texts/api";
import { listen, type Event, type StreamState } from "./stream";

export type Query = Record<string, string | number | undefined>;

/** The relay said no, or could not be reached (status 0). `code` is stable; `detail` and `remedy` are for people. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly remedy = "",
    readonly field = "",
  ) {
    super(detail);
  }

  get offline(): boolean {
    return this.status === 0;
  }
}

export class Api {
  readonly #bearer: string | undefined;
  readonly #onExpired: () => void;

  /** `onExpired` hears of each 401 in a cookie session. */
  constructor(options: { bearer?: string; onExpired?: () => void } = {}) {
    this.#bearer = options.bearer;
    this.#onExpired = options.onExpired ?? (() => {});
  }

  /** The same relay with `Authorization: Bearer` and without the cookie. */
  withBearer(bearer: string): Api {
    return new Api({ bearer });
  }

  get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
    return this.#call("GET", path + search, undefined, signal).then((answer) => read<T>(answer));
  }

  post<T>(path: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
    return this.#call("POST", path, sorted(body), signal).then((answer) => read<T>(answer));
  }

  /** The bytes of an answer that is not JSON (tiles of the log). */
  async bytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.#call("GET", path, undefined)).arrayBuffer());
  }

  /** Events from behind `after` (a cursor of an earlier answer), for as long as the returned function is not called. */
  stream(onEvent: (event: Event) => void, onState: (state: StreamState) => void, after?: number): () => void {
    return listen((headers, signal) => this.#fetch("GET", "/v1/stream", undefined, signal, headers), onEvent, (state) => {
      if (state === "ended") this.#onExpired();
      onState(state);
    }, after);
  }

  async #call(method: string, path: string, body: string | undefined, signal?: AbortSignal): Promise<Response> {
    let answer: Response;
    try {
      answer = await this.#fetch(method, path, body, signal);
    } catch (error) {
      if (signal?.aborted) throw error;
      throw new ApiError(0, "unreachable", texts.unreachable, texts.unreachableRemedy);
    }
    if (answer.ok) return answer;
    if (answer.status === 401 && this.#bearer === undefined) this.#onExpired();
    throw await problem(answer);
  }

  #fetch(method: string, path: string, body: string | undefined, signal?: AbortSignal, more: Record<string, string> = {}) {
    const headers: Record<string, string> = { ...more };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (this.#bearer !== undefined) headers["Authorization"] = `Bearer ${this.#bearer}`;
    return fetch(path, {
      method,
      headers,
      cache: "no-store",
      redirect: "error",
      credentials: this.#bearer === undefined ? "same-origin" : "omit",
      ...(body === undefined ? {} : { body }),
      ...(signal ? { signal } : {}),
    });
  }
}

async function read<T>(answer: Response): Promise<T> {
  try {
    return (await answer.json()) as T;
  } catch {
    throw new ApiError(0, "answer", texts.strange, texts.strangeRemedy);
  }
}

async function problem(answer: Response): Promise<ApiError> {
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  try {
    const body = (await answer.json()) as Record<string, unknown>;
    return new ApiError(answer.status, text(body["code"]) || `http-${answer.status}`, text(body["detail"]) || text(body["title"]),
      text(body["remedy"]), text(body["field"]));
  } catch {
    return new ApiError(answer.status, `http-${answer.status}`, texts.strange, texts.strangeRemedy);
  }
}

/** JSON with sorted names: the relay takes signed objects as the exact bytes of their canonical form (protocol 2). */
function sorted(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    part && typeof part === "object" && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
