// The browser's offer to install the console, kept until somebody asks for it in the settings.
import { signal } from "@preact/signals";

interface InstallPrompt extends Event {
  prompt(): Promise<unknown>;
}

export const installOffer = signal<InstallPrompt | undefined>(undefined);

window.addEventListener("beforeinstallprompt", (event) => {
  event.preventDefault();
  installOffer.value = event as InstallPrompt;
});
window.addEventListener("appinstalled", () => {
  installOffer.value = undefined;
});
