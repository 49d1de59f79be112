import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import type { Trust } from "../../protocol/trust";
import { clientsText, clientText as texts, gradeText, stateText } from "../../texts/clients";
import {
  Badge,
  Button,
  ButtonLink,
  Card,
  Digest,
  Empty,
  Fact,
  Facts,
  Name,
  Notice,
  Page,
  Problem,
  Section,
  Select,
  Skeleton,
  Time,
} from "../../ui";
import { hold, lift, revoke, type Client } from "../../work/clients";
import type { Freeze } from "../../work/freezes";
import { overlapping } from "../../work/policies";
import { useClients } from "./list";
import { LoadFailed } from "../organisation/load-failed";
import { Names, PolicyLinks } from "../organisation/names";

/** One client: its certificate in words, and holding, lifting, revoking it. */
export function ClientDetail({ account, subject }: { account: Account; subject: string }) {
  const found = useClients(account);
  const [said, setSaid] = useState("");
  const data = found.data;
  const own = data?.clients.filter((one) => one.cert.subject === subject) ?? [];
  const standing = own.filter((one) => one.state === "valid");
  const back = <ButtonLink href="/clients">{texts.back}</ButtonLink>;
  if (data && !own.length)
    return (
      <Page title={subject} actions={back}>
        <Empty title={texts.unknown}>{texts.unknownText}</Empty>
      </Page>
    );
  const done = (text: string) => {
    setSaid(text);
    account.forget();
    found.again();
  };
  return (
    <Page title={subject} actions={back}>
      <LoadFailed title={clientsText.loadFailed} of={found} />
      {said ? (
        <div role="status">
          <Notice kind="good" title={said} />
        </div>
      ) : null}
      {data ? (
        <>
          {own[0]?.freezes.map((one) => (
            <Frozen key={`${one.until} ${one.by?.person ?? one.check}`} freeze={one} />
          ))}
          {own.map((one) => (
            <Certificate key={one.oid} client={one} trust={data.trust} />
          ))}
          {data.admin && standing[0] ? <Actions account={account} client={standing[0]} onDone={done} /> : null}
        </>
      ) : found.error ? null : (
        <Skeleton lines={6} />
      )}
    </Page>
  );
}

function Certificate({ client: { cert, oid, state, lastSeen, heldUntil }, trust }: { client: Client; trust: Trust }) {
  const policies = overlapping(trust.roster.policies, cert.scopes);
  return (
    <>
      {heldUntil && state === "valid" ? <Notice kind="warn" title={texts.held(heldUntil)} text={texts.heldText} /> : null}
      <Card>
        <Facts>
          <Fact label={texts.state}>
            {state === "valid" ? (
              <Badge tone="good">{texts.valid}</Badge>
            ) : (
              <Badge tone="danger">{stateText[state] ?? state}</Badge>
            )}
          </Fact>
          <Fact label={texts.host}>
            <Name text={cert.host} />
          </Fact>
          <Fact label={texts.scopes}>
            <Names names={cert.scopes} />
          </Fact>
          <Fact label={texts.grade}>
            {gradeText[cert.grade]?.label}
            <p class="small">{gradeText[cert.grade]?.hint}</p>
          </Fact>
          <Fact label={texts.policies}>
            <PolicyLinks policies={policies} none={texts.noPolicies} />
          </Fact>
          <Fact label={texts.seen}>{lastSeen ? <Time at={lastSeen} /> : "–"}</Fact>
          <Fact label={texts.issued}>
            <Time at={cert.issued} />
          </Fact>
          <Fact label={texts.until}>
            <Time at={cert.expires} />
          </Fact>
          <Fact label={texts.cert}>
            <Digest text={oid} />
          </Fact>
        </Facts>
      </Card>
    </>
  );
}

/** Who froze it is said where it was signed; the rest is the relay's word, and said to be. */
function Frozen({ freeze: { by, check, until } }: { freeze: Freeze }) {
  if (by)
    return <Notice kind="warn" title={texts.frozenBy(by.person, by.device)} text={texts.frozenTimes(by.since, until)} />;
  if (check === "relay") return <Notice kind="warn" title={texts.frozenByRelay} text={texts.frozenByRelayText(until)} />;
  return <Notice kind="warn" title={texts.frozenUnverified} text={texts.frozenUnverifiedText(until)} code={check} />;
}

/** Each says in words what it signs, above its button. */
function Actions({ account, client, onDone }: { account: Account; client: Client; onDone: (text: string) => void }) {
  const { subject } = client.cert;
  const [length, setLength] = useState(texts.holdTimes[0]?.[0] ?? "3600");
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<{ at: string; reason: unknown }>();
  const act = (at: string, work: () => Promise<string>) => async () => {
    setBusy(at);
    setError(undefined);
    try {
      onDone(await work());
    } catch (reason) {
      setError({ at, reason });
    } finally {
      setBusy("");
    }
  };
  const problem = (at: string) => (error?.at === at ? <Problem title={texts.failed} error={error.reason} /> : null);
  const unhold = act("lift", async () => texts.lifted(await lift(account, subject)));
  return (
    <>
      {!client.heldUntil && client.freezes.length ? (
        <Section title={texts.liftFreeze}>
          <p>{texts.liftFreezeText}</p>
          {problem("lift")}
          <div class="actions">
            <Button busy={busy === "lift"} onClick={unhold}>
              {texts.liftFreeze}
            </Button>
          </div>
        </Section>
      ) : null}
      {client.heldUntil ? (
        <Section title={texts.lift}>
          <p>
            {texts.liftSigns(subject)} {texts.liftText}
          </p>
          {problem("lift")}
          <div class="actions">
            <Button kind="accent" busy={busy === "lift"} onClick={unhold}>
              {texts.lift}
            </Button>
          </div>
        </Section>
      ) : (
        <Section title={texts.hold}>
          <div class="form">
            <Select label={texts.holdFor} value={length} options={texts.holdTimes} onInput={setLength} />
            <p>{texts.holdSigns(subject, Number(length))}</p>
            {problem("hold")}
            <div class="actions">
              <Button
                busy={busy === "hold"}
                onClick={act("hold", async () => {
                  await hold(account, subject, Number(length));
                  return texts.held_done(subject);
                })}
              >
                {texts.hold}
              </Button>
            </div>
          </div>
        </Section>
      )}
      <Section title={texts.revokeTitle(subject)}>
        <p>{texts.revokeSigns(subject)}</p>
        {problem("revoke")}
        <div class="actions">
          <Button
            kind="danger"
            busy={busy === "revoke"}
            onClick={act("revoke", async () => {
              await revoke(account, subject);
              return texts.revoked(subject);
            })}
          >
            {texts.revoke}
          </Button>
        </div>
      </Section>
    </>
  );
}
