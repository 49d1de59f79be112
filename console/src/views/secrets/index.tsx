import "./style.css";
import { query } from "../../app/router";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { Detail } from "./detail";
import { EnvFile } from "./env";
import { SecretList, SideList } from "./list";
import { SealForm } from "./seal";

const WIDE = matchMedia("(min-width: 900px)"); // as in style.css: a phone need not verify a list that it does not draw

/** `/secrets`, `/secrets/PATH`; `?new=1` seals, `?env=1` takes a file. */
export default function Screen({ params }: { params: { path?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  const path = params.path ?? "";
  if (query.value.has("new")) return <SealForm key={path} account={standing} fixed={path} />;
  if (!path && query.value.has("env")) return <EnvFile account={standing} />;
  if (!path) return <SecretList account={standing} />;
  return (
    <div class="secrets-split">
      {WIDE.matches ? <SideList account={standing} path={path} /> : null}
      <Detail key={path} account={standing} path={path} />
    </div>
  );
}
