// The recovery kit as sheets of paper: one key each, complete on its own. No sheet, and no code on one, holds a second key.
import { encode } from "../../protocol/encoding";
import { setup } from "../../texts/setup";
import type { Kit } from "../../work/founding";

const texts = setup.kit;

export interface Sheet {
  id: string;
  key: string; // what the key is called
  secret: string;
  use: string;
  text: string; // the fields of the command line's kit, of this key alone
}

export function sheetsOf(kit: Kit): Sheet[] {
  const { recovery_keys: spare = [], recovery_threshold: needed = 0, root_key: rootKey, ...shared } = kit;
  const root = { id: "root", key: texts.rootKey, secret: rootKey, use: texts.rootUse, text: textOf({ ...shared, root_key: rootKey }) };
  return [root, ...spare.map((one) => ({
    id: one.id,
    key: texts.recoveryKey(one.id),
    secret: one.secret,
    use: texts.recoveryUse(needed, spare.length),
    text: textOf({ ...shared, recovery_threshold: needed, recovery_keys: [one] }),
  }))];
}

function textOf(value: Partial<Kit>): string {
  return new TextDecoder().decode(encode(value));
}
