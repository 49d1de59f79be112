// A notification of the operating system while this page is open but out of sight: how many wait, and no names (A26). A tap on it
// opens the screen and does nothing else (D9).
import { pending as texts } from "../../texts/pending";
import { navigate } from "../../app/router";
import { waiting } from "../../app/session";

const PAUSE = 30_000; // milliseconds between two notifications
const AN_HOUR = 3_600_000; // milliseconds
const MOST = 20; // an hour; from then on the number on the badge says it all
export const CHOICE = "stillvault.notify"; // this browser's own switch, on the screen Notifications

let told: number[] = [];

/** `fresh` cards came in. Silent where the person did not ask for it, looks at the page anyway, or was told just now. */
export function tell(fresh: number, at = Date.now()): void {
  if (!fresh || document.visibilityState === "visible" || localStorage.getItem(CHOICE) !== "on") return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  told = told.filter((one) => at - one < AN_HOUR);
  if (told.length >= MOST || at - (told.at(-1) ?? 0) < PAUSE) return;
  told.push(at);
  void show(texts.notify(Math.max(1, waiting.peek())));
}

async function show(title: string): Promise<void> {
  const options = { tag: "stillvault", body: "" };
  const worker = await navigator.serviceWorker?.getRegistration();
  // Phones know only notifications of a service worker; its handler brings this page to the front.
  if (worker?.active) {
    await worker.showNotification(title, options);
    return;
  }
  const shown = new Notification(title, options);
  shown.onclick = () => {
    shown.close();
    window.focus();
    navigate("/");
  };
}
