// A notification of the operating system while this page is open but out of sight: how many wait, and no names (A26). A tap on it
// opens the newest card and does nothing else (D9).
import { pending as texts } from "../../texts/pending";
import { navigate, path } from "../../app/router";
import { waiting } from "../../app/session";

const PAUSE = 30_000; // milliseconds between two notifications
const AN_HOUR = 3_600_000; // milliseconds
const MOST = 20; // an hour; from then on the number on the badge says it all
const PLACE = /^\/(pending\/[0-9a-f+]{12,})?$/;
export const CHOICE = "stillvault.notify"; // this browser's own switch, on the screen Notifications

let told: number[] = [];

/** `card` came in, the newest of some. Silent where the person did not ask for it, looks at the page anyway, or was told just now. */
export function tell(card: string, at = Date.now()): void {
  if (document.visibilityState === "visible" || localStorage.getItem(CHOICE) !== "on") return;
  if (!("Notification" in window) || Notification.permission !== "granted") return;
  told = told.filter((one) => at - one < AN_HOUR);
  if (told.length >= MOST || at - (told.at(-1) ?? 0) < PAUSE) return;
  told.push(at);
  void show(texts.notify(Math.max(1, waiting.peek())), `/pending/${card}`);
}

/** Takes the taps on notifications that the service worker hears of, for as long as the cards are on this page anyway. */
export function takeTaps(): () => void {
  const tapped = ({ data, ports: [port] }: MessageEvent<{ open?: unknown } | null>) => {
    const to = data?.open;
    if (typeof to !== "string" || !PLACE.test(to) || !PLACE.test(path.peek())) return;
    port?.postMessage(true);
    navigate(to);
  };
  navigator.serviceWorker?.addEventListener("message", tapped);
  return () => navigator.serviceWorker?.removeEventListener("message", tapped);
}

async function show(title: string, place: string): Promise<void> {
  const options = { tag: "stillvault", body: "", data: place };
  const worker = await navigator.serviceWorker?.getRegistration();
  // Phones know only notifications of a service worker, which hears of the tap.
  if (worker?.active) {
    await worker.showNotification(title, options);
    return;
  }
  const shown = new Notification(title, options);
  shown.onclick = () => {
    shown.close();
    window.focus();
    navigate(place);
  };
}
