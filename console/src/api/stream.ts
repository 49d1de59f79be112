// Server-sent events over fetch, so that a line that went quiet or a laptop that slept is taken up again from the last event
// seen. (EventSource can resume only the connection that it lost itself.)

export interface Event {
  id: number;
  kind: "prompt" | "withdrawn" | "state" | "roster" | "purge" | "enrol" | "secret";
  oid?: string;
  request?: string;
  path?: string;
  state?: string;
}

/** `ended`: the session is over, and no further attempt is made. */
export type StreamState = "connecting" | "open" | "offline" | "ended";

type Open = (headers: Record<string, string>, signal: AbortSignal) => Promise<Response>;

const QUIET = 40_000; // milliseconds without a byte (the relay sends a comment every few seconds) until the line counts as dead
const FIRST_PAUSE = 500; // milliseconds before the first new attempt; doubled each time
const LONGEST_PAUSE = 15_000; // milliseconds

export function listen(
  open: Open, onEvent: (event: Event) => void, onState: (state: StreamState) => void, after?: number,
): () => void {
  let last = after;
  let stopped = false;
  let heard = 0;
  let failures = 0;
  let attempt: AbortController | undefined;
  let wake = () => {};

  const alive = () => {
    heard = Date.now();
  };
  const quiet = setInterval(() => {
    if (Date.now() - heard > QUIET) attempt?.abort();
  }, 5_000);
  // After sleep the timers are late and the socket may be dead without knowing: begin anew at once.
  const returned = () => {
    if (document.visibilityState !== "visible") return;
    if (Date.now() - heard > QUIET / 2) attempt?.abort();
    failures = 0;
    wake();
  };
  // The socket of a network that went may look alive for minutes: said at once instead.
  const lost = () => attempt?.abort();
  document.addEventListener("visibilitychange", returned);
  window.addEventListener("online", returned);
  window.addEventListener("offline", lost);

  const one = async () => {
    attempt = new AbortController();
    onState("connecting");
    alive();
    const resume: Record<string, string> = last === undefined ? {} : { "Last-Event-ID": String(last) };
    const answer = await open({ Accept: "text/event-stream", ...resume }, attempt.signal);
    if (answer.status === 401 || answer.status === 403) {
      stopped = true;
      onState("ended");
      return;
    }
    if (!answer.ok || !answer.body) throw new Error("no stream");
    failures = 0;
    onState("open");
    for await (const event of events(answer.body, alive)) {
      last = event.id;
      if (!stopped) onEvent(event);
    }
  };

  const run = async () => {
    while (!stopped) {
      try {
        await one();
      } catch {
        failures += 1;
      }
      if (stopped) break;
      onState(failures > 0 ? "offline" : "connecting");
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** Math.min(failures, 6));
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, pause * (0.5 + Math.random() / 2));
      });
    }
  };
  void run();

  return () => {
    stopped = true;
    clearInterval(quiet);
    document.removeEventListener("visibilitychange", returned);
    window.removeEventListener("online", returned);
    window.removeEventListener("offline", lost);
    attempt?.abort();
    wake();
  };
}

async function* events(body: ReadableStream<Uint8Array>, alive: () => void): AsyncGenerator<Event> {
  const reader = body.getReader();
  const text = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      alive();
      rest += text.decode(value, { stream: true });
      const blocks = rest.split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = block.split("\n").find((line) => line.startsWith("data: "));
        if (data) yield JSON.parse(data.slice(6)) as Event;
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
