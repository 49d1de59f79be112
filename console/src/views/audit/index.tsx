import "./style.css";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { Log } from "./log";
import { OneRow } from "./one";

/** `/audit`, `/audit/INDEX`. */
export default function Screen({ params }: { params: { row?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  return params.row === undefined ? <Log account={standing} /> : <OneRow key={params.row} account={standing} row={params.row} />;
}
