// Who can sign changes of the organisation: the people with a passkey that the root names.
import type { Trust } from "../protocol/trust";

/** Ids, in the roster's order. */
export function adminsOf({ root, roster }: Pick<Trust, "root" | "roster">): string[] {
  const named = new Set(root.admin.keys.map((key) => key.public));
  return roster.people.filter((one) => one.devices.some((device) => device.auth.some((key) => named.has(key.public)))).map((one) => one.id);
}
