import type { Account } from "../../device/account";
import type { Roster } from "../../protocol/objects";
import { useLoad } from "../loading";

export type Naming = (id: string) => string;

/** Ids as people read them: the roster's label, with the id where the two differ. */
export function naming(roster: Roster | undefined): Naming {
  const names = new Map(roster?.people.map((one) => [one.id, one.name]));
  return (id) => {
    const name = names.get(id);
    return name && name !== id ? `${name} (${id})` : id;
  };
}

/** The same out of the verified roster, once it is there. */
export function useNames(account: Account): Naming {
  const { data } = useLoad(() => account.trust(), [account]);
  return naming(data?.roster);
}
