import { sealText as texts, secretsText } from "../../texts/secrets";
import { Card, Fact, Facts, Notice } from "../../ui";
import type { Plan } from "../../work/sealing";
import type { Naming } from "./names";

/** What a sealing would do, before anything is signed: for whom, by which policy, what to look at twice. */
export function Planned({ plan, name }: { plan: Plan; name: Naming }) {
  const { policy, openers } = plan;
  return (
    <>
      <Card>
        <Facts>
          <Fact label={secretsText.facts.version}>{plan.previous ? texts.isNext(plan.version[0]) : texts.isNew}</Fact>
          <Fact label={secretsText.facts.openers}>{secretsText.quorum(openers, name)}</Fact>
          {openers.recovery > 0 ? <Fact label={secretsText.facts.recovery}>{secretsText.recovery(openers)}</Fact> : null}
          <Fact label={secretsText.facts.policy}>{secretsText.covers(policy.id, policy.match)}</Fact>
          <Fact label={secretsText.facts.use}>{secretsText.terms(policy)}</Fact>
        </Facts>
      </Card>
      {plan.times > 1 ? <p>{texts.times(plan.times, plan.version[0] + plan.times - 2)}</p> : null}
      <Warnings plans={[plan]} name={name} />
    </>
  );
}

/** The warnings of several plans, each said once. */
export function Warnings({ plans, name }: { plans: readonly Plan[]; name: Naming }) {
  const changes = [...new Set(plans.flatMap((one) => one.changes))];
  const missing = [...new Set(plans.flatMap((one) => one.missing))];
  const alone = plans.find((one) => one.openers.threshold === 1)?.openers.people;
  return (
    <>
      {changes.length > 0 ? (
        <Notice kind="warn" title={texts.changes} text={texts.changesText}>
          <ul class="secrets-changes">{changes.map((line) => <li key={line}>{line}</li>)}</ul>
        </Notice>
      ) : null}
      {missing.length > 0 ? <Notice kind="warn" title={texts.missing(missing.map(name))} text={texts.missingText} /> : null}
      {alone ? (
        <Notice kind="warn" title={texts.alone(alone.map(name))} text={texts.aloneText(alone.length)} />
      ) : null}
    </>
  );
}
