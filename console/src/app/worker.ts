// Registering the service worker is the one thing here that Trusted Types guard; their one policy lets through one address.
interface Policy {
  createScriptURL(url: string): unknown;
}
interface Factory {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): Policy;
}

const WORKER = "/sw.js";

export async function registerWorker(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  const factory = (globalThis as { trustedTypes?: Factory }).trustedTypes;
  const policy = factory?.createPolicy("stillvault", {
    createScriptURL: (url) => {
      if (url !== WORKER) throw new TypeError("another address than the worker's");
      return url;
    },
  });
  const address = policy ? policy.createScriptURL(WORKER) : WORKER;
  // Without it the console works; only the offline page and Web Push are missing.
  await navigator.serviceWorker.register(address as string, { scope: "/" }).catch(() => {});
}
