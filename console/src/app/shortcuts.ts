// Keys that go somewhere. None of them decides anything; none works while somebody types, in a dialog, or where they were turned off.
import { navigate } from "./router";

/** `g` and then the key. */
export const PLACES = {
  p: "/", s: "/secrets", e: "/people", c: "/clients", o: "/policies", l: "/leases", a: "/audit", n: "/notifications", h: "/help",
} as const;
export const SEARCH = "/";
export const HELP = "?";

const SWITCH = "stillvault.shortcuts"; // this browser's own: single keys trouble people who steer by voice
const PAUSE = 1_500; // milliseconds between `g` and its key

export function shortcutsOn(): boolean {
  return localStorage.getItem(SWITCH) !== "off";
}

export function turnShortcuts(on: boolean): void {
  if (on) localStorage.removeItem(SWITCH);
  else localStorage.setItem(SWITCH, "off");
}

export function startShortcuts(): () => void {
  let begun = 0;
  const pressed = (event: KeyboardEvent): void => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || !shortcutsOn()) return;
    if (taken(event.target) || document.querySelector("dialog[open], [popover]:popover-open")) return;
    const second = Date.now() - begun < PAUSE;
    begun = 0;
    const place = second ? PLACES[event.key as keyof typeof PLACES] : undefined;
    if (place) navigate(place);
    else if (event.key === "g") begun = Date.now();
    else if (event.key === HELP) navigate("/help");
    else if (event.key === SEARCH) {
      const field = document.querySelector<HTMLInputElement>("main input[type=search]");
      if (!field) return;
      field.focus();
    } else return;
    event.preventDefault();
  };
  document.addEventListener("keydown", pressed);
  return () => document.removeEventListener("keydown", pressed);
}

/** Whether the key belongs to what has the focus. */
function taken(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}
