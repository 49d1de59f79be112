import "../organisation/style.css";
import "./style.css";
import { query } from "../../app/router";
import { account } from "../../app/session";
import { Skeleton } from "../../ui";
import { InvitePanel } from "../organisation/invite-panel";
import { HandOver } from "./hand-over";
import { InvitePerson } from "./invite";
import { PeopleList } from "./list";
import { PersonDetail } from "./person";
import { Remove } from "./remove";
import { Roles } from "./roles";

/** `/people`, `/people/ID`; `?invite=`, `?invited=..`, `?roles=`, `?handover=`, `?remove[=DEVICE][&passkey=..]`. */
export default function Screen({ params }: { params: { person?: string } }) {
  const standing = account.value;
  if (!standing) return <Skeleton lines={5} />;
  const asked = query.value;
  const person = params.person ?? "";
  const back = person ? `/people/${person}` : "/people";
  const invited = asked.get("invited");
  if (invited) return <InvitePanel key={invited} account={standing} invite={invited} back={back} />;
  if (asked.has("invite"))
    return <InvitePerson key={person} account={standing} person={person} device={asked.get("passkey") ?? ""} />;
  if (!person) return <PeopleList account={standing} />;
  if (asked.has("roles")) return <Roles key={person} account={standing} person={person} />;
  if (asked.has("handover")) return <HandOver account={standing} />;
  if (asked.has("remove")) {
    const going = { person, device: asked.get("remove") ?? "", passkey: asked.get("passkey") ?? "" };
    return <Remove key={JSON.stringify(going)} account={standing} going={going} />;
  }
  return <PersonDetail key={person} account={standing} person={person} />;
}
