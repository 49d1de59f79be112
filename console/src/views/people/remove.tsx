import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { personText, removeText as texts } from "../../texts/people";
import { Button, ButtonLink, Card, Copy, List, Name, Notice, Page, Problem, Row, Section, Skeleton } from "../../ui";
import { begin, finish, leftOf, planned, resealOf, unfinished, type Done, type Removal } from "../../work/removal";
import { BLOCKED, type Going, type Plan } from "../../work/removal-plan";
import { useLoad } from "../loading";
import { ResealRun } from "../organisation/resealing";
import { LoadFailed } from "../organisation/load-failed";

/** Removing a person, a device or a passkey: the plan, the run, and what is left to do elsewhere. */
export function Remove({ account, going }: { account: Account; going: Going }) {
  const [record, setRecord] = useState<Removal>();
  const [done, setDone] = useState<Done>();
  const found = useLoad(async () => {
    const standing = await unfinished(account);
    const same = standing && JSON.stringify(standing.going) === JSON.stringify(going);
    return same ? { record: standing, plan: undefined } : { record: undefined, plan: await planned(account, going) };
  }, [account]);
  const running = record ?? found.data?.record;
  const plan = found.data?.plan;
  const title = going.passkey ? texts.titlePasskey : going.device ? texts.titleDevice(going.device) : texts.title(going.person);
  const back = (
    <ButtonLink href={done && !going.device ? "/people" : `/people/${going.person}`}>
      {done && !going.device ? personText.back : going.person}
    </ButtonLink>
  );
  return (
    <Page title={title} lead={going.passkey ? texts.leadPasskey : texts.lead} actions={back}>
      <LoadFailed title={texts.planFailed} of={found} />
      {done ? (
        <Rotation done={done} />
      ) : running ? (
        <Run account={account} going={going} onDone={setDone} />
      ) : plan ? (
        <Planned account={account} plan={plan} onBegun={setRecord} />
      ) : found.error ? null : (
        <>
          <p role="status">{texts.planning}</p>
          <Skeleton lines={5} />
        </>
      )}
    </Page>
  );
}

function Planned({ account, plan, onBegun }: { account: Account; plan: Plan; onBegun: (record: Removal) => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const { going } = plan;
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      onBegun(await begin(account, plan));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  if (plan.blocked.length) {
    return (
      <Notice kind="danger" title={texts.blocked} text={texts.blockedText} code={BLOCKED}>
        <ul class="plain-list">
          {plan.blocked.map((one) => (
            <li key={one.text}>
              {one.text} {one.remedy}
            </li>
          ))}
        </ul>
      </Notice>
    );
  }
  return (
    <>
      {plan.warnings.length ? (
        <Notice kind="warn" title={texts.warnings}>
          <ul class="plain-list">
            {plan.warnings.map((one) => (
              <li key={one}>{one}</li>
            ))}
          </ul>
        </Notice>
      ) : null}
      <Card as="section" aria-label={texts.steps}>
        <h2>{texts.steps}</h2>
        <ol class="plain-list">
          {going.passkey ? null : <li>{texts.stepRetire(going.device || going.person, plan.policies)}</li>}
          <li>{texts.stepReseal(plan.paths.length)}</li>
          <li>{texts.stepDrop}</li>
          <li>{texts.stepRotate(plan.known.length)}</li>
        </ol>
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button kind="danger" busy={busy} onClick={go}>
            {going.passkey ? texts.goPasskey : texts.go}
          </Button>
        </div>
      </Card>
      {plan.paths.length ? (
        <Section title={texts.secrets}>
          <List label={texts.secrets}>
            {plan.paths.map((one) => (
              <Row key={one} title={<Name text={one} />} />
            ))}
          </List>
        </Section>
      ) : null}
    </>
  );
}

function Run({ account, going, onDone }: { account: Account; going: Going; onDone: (done: Done) => void }) {
  const [sealedNow, setSealed] = useState<boolean>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const left = useLoad(() => leftOf(account), [account]);
  const sealed = sealedNow ?? left.data?.length === 0;
  const end = async () => {
    setBusy(true);
    setError(undefined);
    try {
      // Looked at once more: what the relay shows now is what the floors are made of.
      const left = (await resealOf(account, () => {})).left.map((one) => one.seal.path);
      if (left.length) setSealed(false);
      onDone(await finish(account, left));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <>
      <Notice kind="warn" title={texts.running} text={going.passkey ? texts.runningTextPasskey : texts.runningText} />
      {left.busy && !left.data ? (
        <Skeleton lines={2} />
      ) : sealed ? (
        <Card as="section">
          <p role="status">{texts.finishText}</p>
          <Problem title={texts.finishFailed} error={error} />
          <div class="actions">
            <Button kind="accent" busy={busy} onClick={end}>
              {texts.finish}
            </Button>
          </div>
        </Card>
      ) : (
        <>
          <Problem title={texts.finishFailed} error={error} />
          <ResealRun begin={(told) => resealOf(account, told)} onDone={() => setSealed(true)} startLabel={texts.reseal} />
        </>
      )}
    </>
  );
}

function Rotation({ done }: { done: Done }) {
  const title = done.going.passkey ? texts.donePasskey : texts.done(done.going.device || done.going.person);
  return (
    <>
      <Notice kind="good" title={title} />
      {done.rotate.length ? (
        <Section title={texts.rotate} actions={<Copy text={done.rotate.join("\n")} label={texts.copyList} />}>
          <p>{texts.rotateText}</p>
          <List label={texts.rotateList}>
            {done.rotate.map((one) => (
              <Row key={one} href={`/secrets/${one}`} title={<Name text={one} />} />
            ))}
          </List>
        </Section>
      ) : (
        <p>{texts.rotateNone}</p>
      )}
    </>
  );
}
