import type { Account } from "../../device/account";
import { sealText as texts } from "../../texts/secrets";
import { ButtonLink, Notice, Problem } from "../../ui";
import { adminsOf } from "../../work/admins";
import { isAdmin } from "../../work/publish";
import { Stopped } from "../../work/stopped";
import { useLoad } from "../loading";
import type { Naming } from "./names";

/** Why a name cannot be sealed; where a policy is missing, the way to one, or who can make it. */
export function PlanProblem({ account, error, name }: { account: Account; error: unknown; name: Naming }) {
  if (!(error instanceof Stopped) || error.code !== "no-policy") return <Problem title={texts.planFailed} error={error} />;
  return <NoPolicy account={account} error={error} name={name} />;
}

function NoPolicy({ account, error, name }: { account: Account; error: Stopped; name: Naming }) {
  const { data: trust } = useLoad(() => account.trust(), [account]);
  const admin = trust !== undefined && isAdmin(account, trust);
  return (
    <Notice kind="danger" title={texts.planFailed} text={error.message} code={error.code}>
      {trust ? <p>{admin ? texts.policyYours : texts.policyTheirs(adminsOf(trust).map(name))}</p> : null}
      <div class="actions">
        <ButtonLink href={admin ? "/policies?new=1" : "/policies"}>{admin ? texts.policyMake : texts.policyLook}</ButtonLink>
      </div>
    </Notice>
  );
}
