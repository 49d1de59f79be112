// What runs beside the screens while somebody is signed in. One line each, lazy: none of it delays the first screen.
import type { Account } from "../device/account";
import { whileSignedIn } from "./session";

export function startBackground(): void {
  whileSignedIn((account) => {
    // Keys and marks of what was seen should outlive a full disk; the browser decides.
    void navigator.storage?.persist?.();
    void account.shareWrapped().catch(() => {});
  });
  lazily(async () => (await import("./shortcuts")).startShortcuts);
  lazily(async () => (await import("../views/pending/store")).watch);
}

/** Begins when its code is there, unless it is to stop by then. Code that does not come is said by `parts`. */
function lazily(load: () => Promise<(account: Account) => () => void>): void {
  whileSignedIn((account) => {
    let stop: (() => void) | undefined;
    let over = false;
    load().then((begin) => {
      if (!over) stop = begin(account);
    }, () => {});
    return () => {
      over = true;
      stop?.();
    };
  });
}
