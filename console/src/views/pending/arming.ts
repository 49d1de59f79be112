// When approving arms: some time after the last change of anything that the decision is about, after the card was opened, and
// after the page came (back) to the front. A click that was meant for something else finds an unarmed button (X11).
import { useEffect, useState } from "preact/hooks";
import type { Entry } from "../../work/approving/entries";

export const ARM_DELAY = 1500; // milliseconds

/** Milliseconds as by Date.now() from which a click counts. */
export function armedFrom(changes: readonly number[], since: number): number {
  return Math.max(since, ...changes) + ARM_DELAY;
}

/** As above, for these entries and this page; draws again when the time has come. `also` is any other reason to wait anew. */
export function useArming(shown: readonly Entry[], also: string): { from: number; armed: boolean } {
  const [since, setSince] = useState(() => Date.now());
  const [, draw] = useState(0);
  useEffect(() => setSince(Date.now()), [also]);
  useEffect(() => {
    const again = () => setSince(Date.now());
    document.addEventListener("visibilitychange", again);
    window.addEventListener("focus", again);
    return () => {
      document.removeEventListener("visibilitychange", again);
      window.removeEventListener("focus", again);
    };
  }, []);
  const from = armedFrom(shown.map((one) => one.changed), since);
  useEffect(() => {
    const timer = setTimeout(() => draw((count) => count + 1), Math.max(0, from - Date.now()) + 5);
    return () => clearTimeout(timer);
  }, [from]);
  return { from, armed: Date.now() >= from };
}
