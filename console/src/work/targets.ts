// Notification targets as the relay gives and takes them: kinds, their fields, their names.
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

/** A name that is free: the kind, then the kind with a number. */
export function freeName(kind: Kind, targets: readonly Target[]): string {
  const taken = new Set(targets.map((one) => one.name));
  let name: string = kind;
  for (let at = 2; taken.has(name); at += 1) name = `${kind}-${at}`;
  return name;
}
