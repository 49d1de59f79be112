// Parts of the console that could not be fetched. Screens are fetched when they are needed: after an upgrade of the relay the file
// that an open page asks for is gone, and only a reload gets the new one. Said wherever it happens, also behind the screens.
import { signal } from "@preact/signals";
import { Api } from "../api";

/** `renewed`: the relay serves another console than this page began with. `unreachable`: it does not answer. `failed`: neither. */
export type Lost = "renewed" | "unreachable" | "failed";

export const lost = signal<Lost | undefined>(undefined);

/** Listens for as long as the page lives. The build wraps each lazy import, and says here when one fails. */
export function watchParts(): void {
  window.addEventListener("vite:preloadError", () => {
    void look().then((found) => {
      lost.value = found;
    });
  });
}

/** Why, as the list of files says that the relay serves now. */
async function look(): Promise<Lost> {
  try {
    const { files } = await new Api().get<{ files: Record<string, unknown> }>("/console.json");
    const own = document.querySelector<HTMLScriptElement>('script[type="module"][src]')?.getAttribute("src") ?? "";
    return Object.hasOwn(files, own.replace(/^\//, "")) ? "failed" : "renewed";
  } catch {
    return "unreachable";
  }
}
