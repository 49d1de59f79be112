// Who is signed in here, and the one live line to the relay. Screens read the signals; nobody else opens a stream.
import { signal } from "@preact/signals";
import { Api, ApiError, type Event, type StreamState } from "../api";
import type { Account } from "../device/account";

/** What the relay says about itself before anybody is signed in. Unverified: it helps to begin, and decides nothing. */
export interface Environment {
  public_url: string;
  host_ok: boolean;
  organisation: boolean;
  org_id?: string;
  name?: string;
}

/** GET /v1/session. */
export interface Who {
  person: string;
  device: string;
  roles: string[];
  expires: number;
  cursor: number;
}

export type SessionState = "starting" | "no-organisation" | "signed-out" | "signed-in" | "expired" | "unreachable";

export const session = signal<SessionState>("starting");
export const account = signal<Account | undefined>(undefined);
export const who = signal<Who | undefined>(undefined);
export const environment = signal<Environment | undefined>(undefined);
/** The organisation's name out of the verified root. */
export const organisation = signal("");
/** How many cards wait for this person: the number in the navigation and on the app's badge. */
export const waiting = signal(0);
export const line = signal<StreamState>("connecting");

/** Why the console did not open by itself: shown beside the sign-in. */
export const trouble = signal<unknown>(undefined);

/** The one Api of the cookie session. A 401 moves the session to `expired`; the screen stays as it is under the notice. */
export const relay = new Api({
  onExpired: () => {
    if (session.peek() === "signed-in") {
      session.value = "expired";
      hangUp();
    }
  },
});

type Listener = (event: Event) => void;
const listeners = new Set<Listener>();
let hangUp = () => {};

/** Hears every event of the relay's feed, until the returned function is called. After a gap the missed events come first. */
export function subscribe(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Work that runs beside the screens for as long as somebody is signed in (the count of what waits, notifications). */
type Background = (account: Account) => (() => void) | void;
const background: Background[] = [];
let stopBackground: (() => void)[] = [];

/** Registers such work; begun at once where somebody is signed in already. */
export function whileSignedIn(work: Background): void {
  background.push(work);
  const standing = account.peek();
  if (standing && session.peek() === "signed-in") begin(work, standing);
}

function begin(work: Background, standing: Account): void {
  const stop = work(standing);
  if (stop) stopBackground.push(stop);
}

/** Opens the console: the session of the cookie where there is one, else what the relay says about itself. */
export async function start(): Promise<void> {
  session.value = "starting";
  try {
    environment.value = await relay.get<Environment>("/v1/environment");
    if (!environment.value.organisation) {
      session.value = "no-organisation";
      return;
    }
    const found = await relay.get<Who>("/v1/session");
    const { restore } = await import("../device/account");
    const standing = await restore(relay, found.person, found.device);
    if (standing) await signedIn(standing, found);
    else session.value = "signed-out";
  } catch (error) {
    if (error instanceof ApiError && (error.status === 401 || error.status === 403)) session.value = "signed-out";
    else if (error instanceof ApiError && error.offline) session.value = "unreachable";
    else {
      // The session stands, and what the relay shows does not verify: nothing is drawn of it.
      trouble.value = error;
      session.value = "signed-out";
    }
  }
}

/** After a sign-in whose trust has verified: the screens may draw, the line is opened. Another person than before gets a new page. */
export async function signedIn(standing: Account, found?: Who): Promise<void> {
  const former = account.peek();
  if (former && !(former.org === standing.org && former.person === standing.person && former.device === standing.device)) {
    leave();
    return;
  }
  trouble.value = undefined;
  hangUp();
  endBackground();
  const now = found ?? (await relay.get<Who>("/v1/session"));
  who.value = now;
  account.value = standing;
  session.value = "signed-in";
  organisation.value = (await standing.trust()).root.name;
  hangUp = relay.stream(
    (event) => {
      if (event.kind === "roster") standing.forget(); // before anybody asks for it again
      for (const listener of [...listeners]) listener(event);
    },
    (state) => {
      line.value = state;
    },
    now.cursor,
  );
  for (const work of background) begin(work, standing);
}

/** Ends this session at the relay, and forgets the person here. Keys that this browser holds stay where they are. */
export async function signOut(): Promise<void> {
  await relay.post("/v1/logout").catch((error: unknown) => {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
  });
  history.replaceState(null, "", "/"); // the path may name a secret
  leave();
}

/** Leaves without a call: the session is known to be over. The page begins anew, so that nothing of this person is left in its
 * memory for whoever comes next. */
export function leave(): void {
  hangUp();
  endBackground();
  account.value = undefined;
  who.value = undefined;
  waiting.value = 0;
  session.value = "starting"; // nothing can be pressed in the meantime
  setTimeout(() => location.reload()); // after the screens have gone, with what asks before they are left
}

function endBackground(): void {
  for (const stop of stopBackground) stop();
  stopBackground = [];
}
