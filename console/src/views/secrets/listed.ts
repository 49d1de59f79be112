import { useEffect, useState } from "preact/hooks";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import { hidden, listed, type Entry } from "../../work/sealing";

interface Found {
  entries: Entry[];
  missing: string[]; // that this browser knows and the relay does not list
  done: boolean;
  error: unknown;
}

/** The list as it comes, page by page; anew when a secret or the roster changes. */
export function useListed(account: Account): Found {
  const [state, setState] = useState<Found>({ entries: [], missing: [], done: false, error: undefined });
  useEffect(() => {
    let turn = 0;
    const load = async (fresh = false) => {
      const mine = ++turn;
      const entries: Entry[] = [];
      try {
        for await (const page of listed(account, await account.trust(fresh))) {
          if (mine !== turn) return;
          entries.push(...page);
          setState((before) => (before.done ? before : { ...before, entries: [...entries], error: undefined }));
        }
        const missing = await hidden(account, entries);
        if (mine === turn) setState({ entries, missing, done: true, error: undefined });
      } catch (error) {
        if (mine === turn) setState((before) => ({ ...before, error }));
      }
    };
    void load();
    const stop = subscribe((event) => {
      if (event.kind === "secret" || event.kind === "roster") void load(event.kind === "roster");
    });
    return () => {
      turn += 1;
      stop();
    };
  }, [account]);
  return state;
}
