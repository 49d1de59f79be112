import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import type { Row } from "../../work/auditing";
import { freshHead } from "../../work/heads";
import { rowsFrom } from "../../work/log-source";

export const ENOUGH = 100; // rows drawn at first, and by each "older"
const PAGE = 200; // rows fetched at a time
const PAGES_AT_ONCE = 25; // that one search looks through before it asks to go on
const PAUSE = 1_000; // milliseconds that new rows are gathered before they are fetched

interface State {
  rows: Row[]; // without a gap, from `first` on
  first: number | undefined;
  error: unknown;
  busy: boolean;
}

/** The end of the log, and backwards from there while `hungry` for more rows. New ones come by themselves. */
export function useRows(account: Account, hungry: (rows: readonly Row[]) => boolean): State & { older: () => void } {
  const [state, setState] = useState<State>({ rows: [], first: undefined, error: undefined, busy: true });
  const now = useRef(state);
  const running = useRef(false);
  const wish = useRef(hungry);
  wish.current = hungry;
  const show = (next: State) => {
    now.current = next;
    setState(next);
  };

  const back = useCallback(async (always: boolean) => {
    if (running.current) return;
    running.current = true;
    show({ ...now.current, busy: true, error: undefined });
    try {
      let { rows, first } = now.current;
      // The head comes first: signed, and consistent with what this browser saw.
      first ??= (await freshHead(account, await account.trust())).size;
      for (let pages = 0; first > 0 && pages < PAGES_AT_ONCE && ((always && pages === 0) || wish.current(rows)); pages += 1) {
        const from = Math.max(0, first - PAGE);
        rows = [...(await rowsFrom(account, from, first - from)), ...now.current.rows];
        first = from;
        show({ rows, first, error: undefined, busy: true });
      }
      show({ rows: now.current.rows, first, error: undefined, busy: false });
    } catch (error) {
      show({ ...now.current, error, busy: false });
    } finally {
      running.current = false;
    }
  }, [account]);

  useEffect(() => {
    show({ rows: [], first: undefined, error: undefined, busy: true });
    void back(true);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = subscribe(() => {
      clearTimeout(timer);
      timer = setTimeout(async () => {
        const { rows, first } = now.current;
        if (first === undefined || running.current) return;
        const added = await rowsFrom(account, first + rows.length, PAGE).catch(() => []);
        if (added.length > 0 && now.current.rows === rows) show({ ...now.current, rows: [...rows, ...added] });
      }, PAUSE);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [account, back]);

  // A filter that finds too little looks further back.
  useEffect(() => {
    if (state.first !== undefined && state.first > 0 && !state.busy && !state.error && hungry(state.rows)) void back(false);
  }, [hungry(state.rows)]);

  return { ...state, older: () => void back(true) };
}
