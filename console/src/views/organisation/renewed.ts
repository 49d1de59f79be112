// What is loaded from the organisation, and loaded again when an event says that it changed.
import { useEffect } from "preact/hooks";
import type { Event } from "../../api";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import { useLoad } from "../loading";

/** As `useLoad`; again, with the newest roster, at each event that matters. */
export function useRenewed<T>(account: Account, load: () => Promise<T>, matters: (event: Event) => boolean, of: unknown[] = []) {
  const found = useLoad(load, [account, ...of]);
  useEffect(
    () =>
      subscribe((event) => {
        if (!matters(event)) return;
        account.forget();
        found.again();
      }),
    [account, found.again],
  );
  return found;
}
