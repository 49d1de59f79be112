// What runs beside the screens while somebody is signed in. One line each, lazy: none of it delays the first screen.
import { whileSignedIn } from "./session";

export function startBackground(): void {
  whileSignedIn((account) => {
    // Keys and marks of what was seen should outlive a full disk; the browser decides.
    void navigator.storage?.persist?.();
    void account.shareWrapped().catch(() => {});
  });
  whileSignedIn(() => {
    let stop: (() => void) | undefined;
    let over = false;
    void import("./shortcuts").then(({ startShortcuts }) => {
      if (!over) stop = startShortcuts();
    });
    return () => {
      over = true;
      stop?.();
    };
  });
  whileSignedIn((account) => {
    let stop: (() => void) | undefined;
    let over = false;
    void import("../views/pending/store").then(({ watch }) => {
      if (!over) stop = watch(account);
    });
    return () => {
      over = true;
      stop?.();
    };
  });
}
