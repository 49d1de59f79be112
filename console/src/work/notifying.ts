// A person's own notification targets, and the one thing that this browser does by itself.
import type { Api } from "../api";
import { b64, unb64 } from "../protocol/text";
import { notificationsText as texts } from "../texts/notifications";
import { generate } from "./generating";
import { Stopped } from "./stopped";

export const KINDS = ["browser", "webpush", "ntfy", "gotify", "webhook", "smtp"] as const;
export type Kind = (typeof KINDS)[number];

export interface Target {
  id: string;
  kind: Kind;
  name: string;
  device: string;
  where: string;
  created: number;
  last?: string;
  last_at?: number;
}

export interface Targets {
  targets: Target[];
  kinds: Kind[];
  hosts: string[];
  vapid: string;
}

export type Given = Partial<Record<"url" | "topic" | "token" | "address", string>>;
/** What a person fills in for a kind; those in `optional` may stay empty. */
export const FIELDS: Record<Exclude<Kind, "browser" | "webpush">, { fields: (keyof Given)[]; optional: (keyof Given)[] }> = {
  ntfy: { fields: ["url", "topic", "token"], optional: ["token"] },
  gotify: { fields: ["url", "token"], optional: [] },
  webhook: { fields: ["url"], optional: [] },
  smtp: { fields: ["address"], optional: [] },
};
export const FILLED = Object.keys(FIELDS) as (keyof typeof FIELDS)[];

const KEY_LENGTH = 43; // characters of the webhook's key: 256 bits
const SILENT = 12_000; // milliseconds: without a network `subscribe` never settles

/** A fresh key for a webhook's signature. */
export function webhookKey(): string {
  const key = generate(KEY_LENGTH, "url", (count) => crypto.getRandomValues(new Uint8Array(count)));
  return new TextDecoder().decode(key);
}

/** A name that is free: the kind, then the kind with a number. */
export function freeName(kind: Kind, targets: readonly Target[]): string {
  const taken = new Set(targets.map((one) => one.name));
  let name: string = kind;
  for (let at = 2; taken.has(name); at += 1) name = `${kind}-${at}`;
  return name;
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
