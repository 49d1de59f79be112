// Light, dark, or as the system says: a preference of this browser.
export type Theme = "system" | "light" | "dark";
const KEY = "theme";

export function theme(): Theme {
  const kept = localStorage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function applyTheme(wanted: Theme = theme()): void {
  if (wanted === "system") {
    localStorage.removeItem(KEY);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(KEY, wanted);
    document.documentElement.dataset["theme"] = wanted;
  }
}
