// Where we are: the path of the address bar as a signal, links taken over by one listener, and the table of screens.
import { signal } from "@preact/signals";

/** Path and fragment. The fragment of a setup or join URL is a bearer: `takeFragment` reads it once and wipes it from the bar. */
export const path = signal(clean(location.pathname));
export const query = signal(new URLSearchParams(location.search));

export function navigate(to: string, replace = false): void {
  const url = new URL(to, location.origin);
  if (replace) history.replaceState(null, "", url);
  else history.pushState(null, "", url);
  arrive();
  window.scrollTo(0, 0);
}

let taken = { path: "", fragment: "" };

/** The fragment without `#`. It stays out of the address bar and the history from then on, and in this page for the same path. */
export function takeFragment(): string {
  if (location.hash.length > 1) {
    taken = { path: location.pathname, fragment: location.hash.slice(1) };
    history.replaceState(null, "", location.pathname + location.search);
  }
  return taken.path === location.pathname ? taken.fragment : "";
}

/** Counts the links with a new fragment that were opened in a page that stood already: a screen that takes it begins anew. */
export const arrivals = signal(0);

export type Params = Record<string, string>;

/** The parameters of `pattern` (`/pending/:card`, `/secrets/*path`) in `at`, or undefined where it does not match. */
export function match(pattern: string, at: string): Params | undefined {
  const wanted = pattern.split("/").filter(Boolean);
  const given = at.split("/").filter(Boolean);
  const params: Params = {};
  for (const [index, part] of wanted.entries()) {
    if (part.startsWith("*")) {
      if (given.length <= index) return undefined;
      params[part.slice(1)] = given.slice(index).map(plain).join("/");
      return params;
    }
    const value = given[index];
    if (value === undefined) return undefined;
    if (part.startsWith(":")) params[part.slice(1)] = plain(value);
    else if (part !== value) return undefined;
  }
  return wanted.length === given.length ? params : undefined;
}

export function startRouter(): void {
  takeFragment(); // before anything is drawn or fetched: nobody copies a bearer out of the address bar
  window.addEventListener("popstate", arrive);
  window.addEventListener("hashchange", () => {
    if (location.hash.length <= 43) return; // a place in the page; a bearer is longer
    takeFragment();
    arrivals.value += 1;
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element | null)?.closest?.("a");
    if (!link || link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
    if (link.hash && link.pathname === location.pathname) return;
    event.preventDefault();
    navigate(link.href);
  });
}

function arrive(): void {
  path.value = clean(location.pathname);
  query.value = new URLSearchParams(location.search);
}

function clean(pathname: string): string {
  return pathname.replace(/\/+$/, "") || "/";
}

function plain(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
