// One clock for every relative time on the screen: unix seconds, once a second while the page is visible.
import { signal } from "@preact/signals";

const seconds = () => Math.floor(Date.now() / 1000);
export const now = signal(seconds());

const tick = () => {
  if (document.visibilityState === "visible") now.value = seconds();
};
setInterval(tick, 1000);
document.addEventListener("visibilitychange", tick);
