import "../organisation/style.css";
import { query } from "../../app/router";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { PolicyForm } from "./form";
import { PolicyList } from "./list";
import { RemovePolicy } from "./remove";
import { ResealScreen } from "./reseal";

/** `/policies`, `/policies/ID`; `?new`, `?remove`, `?reseal[=PATH]`. */
export default function Screen({ params }: { params: { policy?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  const asked = query.value;
  if (asked.has("reseal")) return <ResealScreen key={asked.get("reseal")} account={standing} path={asked.get("reseal") ?? ""} />;
  if (params.policy && asked.has("remove")) return <RemovePolicy key={params.policy} account={standing} id={params.policy} />;
  if (params.policy || asked.has("new")) return <PolicyForm key={params.policy} account={standing} id={params.policy ?? ""} />;
  return <PolicyList account={standing} />;
}
