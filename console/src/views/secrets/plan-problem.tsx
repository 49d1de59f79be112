import type { Account } from "../../device/account";
import { sealText as texts } from "../../texts/secrets";
import { Button, ButtonLink, Notice, Problem } from "../../ui";
import { adminsOf } from "../../work/admins";
import { isAdmin } from "../../work/publish";
import { wasRestored } from "../../work/sealing";
import { Stopped } from "../../work/stopped";
import { useLoad } from "../loading";
import type { Naming } from "./names";

interface Props {
  account: Account;
  error: unknown;
  name: Naming;
  onLost?: () => void; // a person says that the version which this browser saw was lost in a restore
}

/** Why a name cannot be sealed; where a policy is missing, the way to one, or who can make it; after a restore, the way on. */
export function PlanProblem({ account, error, name, onLost }: Props) {
  const code = error instanceof Stopped ? error.code : "";
  if (error instanceof Stopped && code === "no-policy") return <NoPolicy account={account} error={error} name={name} />;
  return (
    <>
      <Problem title={texts.planFailed} error={error} />
      {onLost && code === "version" ? <Lost account={account} onLost={onLost} /> : null}
    </>
  );
}

function Lost({ account, onLost }: { account: Account; onLost: () => void }) {
  const { data: trust } = useLoad(() => account.trust(), [account]);
  if (!trust || !wasRestored(trust)) return null;
  return (
    <>
      <p>{texts.restored}</p>
      <div class="actions">
        <Button onClick={onLost}>{texts.restoredDo}</Button>
      </div>
    </>
  );
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
