import "./style.css";
import { query } from "../../app/router";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { Detail } from "./detail";
import { EnvFile } from "./env";
import { SecretList } from "./list";
import { SealForm } from "./seal";

/** `/secrets`, `/secrets/PATH`; `?new=1` seals, `?env` takes a file. */
export default function Screen({ params }: { params: { path?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  const path = params.path ?? "";
  if (query.value.has("new")) return <SealForm key={path} account={standing} fixed={path} />;
  if (!path && query.value.has("env")) return <EnvFile account={standing} />;
  return path ? <Detail key={path} account={standing} path={path} /> : <SecretList account={standing} />;
}
