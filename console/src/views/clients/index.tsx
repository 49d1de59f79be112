import "../organisation/style.css";
import { query } from "../../app/router";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { InvitePanel } from "../organisation/invite-panel";
import { ClientDetail } from "./client";
import { HoldForm } from "./hold";
import { InviteClient } from "./invite";
import { ClientList } from "./list";

/** `/clients`, `/clients/SUBJECT`; `?invite=`, `?invited=..`, `?hold`. */
export default function Screen({ params }: { params: { subject?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  const asked = query.value;
  const subject = params.subject ?? "";
  const invited = asked.get("invited");
  if (invited) return <InvitePanel key={invited} account={standing} invite={invited} back="/clients" />;
  if (asked.has("invite")) return <InviteClient account={standing} />;
  if (asked.has("hold")) return <HoldForm account={standing} />;
  return subject ? <ClientDetail key={subject} account={standing} subject={subject} /> : <ClientList account={standing} />;
}
