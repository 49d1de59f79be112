// What this browser makes for a notification target: a webhook's key, and its own subscription to Web Push.
import type { Api } from "../api";
import { b64, unb64 } from "../protocol/text";
import { notificationsText as texts } from "../texts/notifications";
import { generate } from "./generating";
import { Stopped } from "./stopped";

const KEY_LENGTH = 43; // characters of the webhook's key: 256 bits
const SILENT = 12_000; // milliseconds: without a network `subscribe` never settles

/** A fresh key for a webhook's signature. */
export function webhookKey(): string {
  const key = generate(KEY_LENGTH, "url", (count) => crypto.getRandomValues(new Uint8Array(count)));
  return new TextDecoder().decode(key);
}

/** `promise`, or a refusal when it stays silent. */
export async function within<T>(promise: Promise<T>, refusal: () => Error, time = SILENT): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(refusal()), time);
  });
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** Subscribes this browser at its maker's push service, and hands the relay the address. Nothing stays behind on failure. */
export async function subscribe(api: Api, vapid: string, name: string): Promise<void> {
  const refused = (code: string, text: string, remedy = ""): Stopped => new Stopped(code, { text, remedy });
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) throw refused("no-push", texts.pushUnsupported);
  const worker = await within(navigator.serviceWorker.ready, () => refused("no-worker", texts.pushNoWorker));
  const asked = worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: unb64(vapid) });
  asked.catch(() => {}); // it may fail long after nobody waits for it
  const made = await within(asked, () => refused("push-silent", texts.pushSilent, texts.pushSilentRemedy));
  const key = (part: PushEncryptionKeyName) => b64(new Uint8Array(made.getKey(part) ?? new ArrayBuffer(0)));
  try {
    await api.post("/v1/targets", { kind: "webpush", name, url: made.endpoint, p256dh: key("p256dh"), auth: key("auth") });
  } catch (error) {
    await made.unsubscribe().catch(() => {});
    throw error;
  }
}
