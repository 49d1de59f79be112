// What a screen fetches: the last good answer stays while the next one is on its way, and an answer that came too late is dropped.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

export interface Loaded<T> {
  data: T | undefined;
  error: unknown;
  busy: boolean;
  again: () => void;
}

/** Calls `load` at first and whenever one of `keys` changes. */
export function useLoad<T>(load: () => Promise<T> | undefined, keys: readonly unknown[]): Loaded<T> {
  const [state, setState] = useState<{ data: T | undefined; error: unknown; busy: boolean }>({ data: undefined, error: undefined, busy: true });
  const turn = useRef(0);
  const again = useCallback(() => {
    const mine = ++turn.current;
    const started = load();
    if (!started) {
      setState({ data: undefined, error: undefined, busy: false });
      return;
    }
    setState((before) => ({ ...before, busy: true }));
    started.then(
      (data) => mine === turn.current && setState({ data, error: undefined, busy: false }),
      (error: unknown) => mine === turn.current && setState((before) => ({ ...before, error, busy: false })),
    );
  }, keys);
  useEffect(() => {
    again();
    return () => {
      turn.current += 1;
    };
  }, [again]);
  return { ...state, again };
}
