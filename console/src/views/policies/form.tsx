import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import type { Policy, Recovery } from "../../protocol/objects";
import type { Trust } from "../../protocol/trust";
import { policyText as texts } from "../../texts/policies";
import { ButtonLink, Empty, Notice, Page, Skeleton } from "../../ui";
import { effectOf } from "../../work/policies";
import { isAdmin } from "../../work/publish";
import { freshRule, recoveryOf, withPolicy, type Edit, type Rule } from "../../work/roster";
import { findSeals, type Seal } from "../../work/seals";
import { useLoad } from "../loading";
import { Signing } from "../organisation/signing";
import { signing } from "../../texts/organisation";
import { Effects, Warnings } from "./effects";
import { Terms } from "./terms";
import { LoadFailed } from "../organisation/load-failed";

/** One policy, as it stands or new: what it says, what it would change, and the signature. */
export function PolicyForm({ account, id }: { account: Account; id: string }) {
  const found = useLoad(
    async () => ({ trust: await account.trust(true), kept: await account.memory.read<Recovery>("recovery") }),
    [account, id],
  );
  const [done, setDone] = useState("");
  const data = found.data;
  const standing = data?.trust.roster.policies.find((one) => one.id === id);
  const back = <ButtonLink href="/policies">{texts.back}</ButtonLink>;
  const title = id || texts.titleNew;
  if (data && id && !standing)
    return (
      <Page title={title} actions={back}>
        <Empty title={texts.unknown}>{texts.unknownText}</Empty>
      </Page>
    );
  return (
    <Page title={title} actions={back}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {done ? (
        <div role="status">
          <Notice kind="good" title={texts.done(done)} text={texts.doneText}>
            <div class="actions">
              <ButtonLink href="/policies?reseal=">{texts.sealAgain}</ButtonLink>
            </div>
          </Notice>
        </div>
      ) : null}
      {data ? (
        <Form
          key={data.trust.roster.version}
          account={account}
          trust={data.trust}
          standing={standing}
          kept={data.kept}
          onChange={() => setDone("")}
          onDone={(name) => {
            setDone(name);
            account.forget();
            found.again();
          }}
        />
      ) : found.error ? null : (
        <Skeleton lines={8} />
      )}
    </Page>
  );
}

function Form({
  account,
  trust,
  standing,
  kept,
  onChange,
  onDone,
}: {
  account: Account;
  trust: Trust;
  standing: Policy | undefined;
  kept: Recovery | undefined;
  onChange: () => void;
  onDone: (id: string) => void;
}) {
  const [rule, setRule] = useState<Rule>(() => (standing ? without(standing) : freshRule()));
  const [touched, setTouched] = useState(false);
  const seals = useLoad(() => findSeals(account, trust), [account, trust]);
  const recovery = recoveryOf(trust.roster, kept);
  const edit = withPolicy(rule, recovery, { standing });
  const complete = rule.id && rule.match.length && rule.people.length;
  const change = (next: Rule) => {
    setTouched(true);
    setRule(next);
    onChange();
  };
  const admin = isAdmin(account, trust);
  return (
    <>
      {admin ? null : <Notice title={signing.notAdmin} />}
      <div class="policy">
        <Terms rule={rule} trust={trust} fixed={standing !== undefined} disabled={!admin} onInput={change} />
        <div class="stack policy-effect">
          <Warnings rule={rule} recovery={recovery ?? standing?.recovery} />
          <LoadFailed title={texts.sealsFailed} of={seals} />
          {admin && touched && complete ? (
            <Signing key={JSON.stringify(rule)} account={account} trust={trust} edit={edit} onDone={() => onDone(rule.id)}>
              <Effects
                effect={effect(trust, edit, rule.id, seals.data ?? [], account.now())}
                tier={rule.tier}
                busy={seals.busy}
              />
            </Signing>
          ) : admin && !standing ? (
            <p>{texts.fillIn}</p>
          ) : null}
          {admin && standing ? (
            <div class="actions">
              <ButtonLink href={`/policies/${standing.id}?remove=`}>{texts.remove}</ButtonLink>
            </div>
          ) : null}
        </div>
      </div>
    </>
  );
}

function without({ recovery: _, ...rule }: Policy): Rule {
  return rule;
}

/** What the edit would change; undefined while it is refused, and then the refusal stands in the place of the button. */
function effect(trust: Trust, edit: Edit, id: string, seals: readonly Seal[], now: number) {
  try {
    return effectOf(trust.roster, edit(trust.roster), id, seals, now);
  } catch {
    return undefined;
  }
}
