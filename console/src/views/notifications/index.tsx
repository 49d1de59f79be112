import "./style.css";
import { useState } from "preact/hooks";
import { account } from "../../app/session";
import type { Account } from "../../device/account";
import { plain } from "../../protocol/text";
import { notificationsText as texts } from "../../texts/notifications";
import { Button, Card, List, Name, Notice, Page, Problem, Row, Section, Skeleton, Time } from "../../ui";
import { subscribe } from "../../work/notifying";
import { FILLED, freeName, type Target, type Targets } from "../../work/targets";
import { useLoad } from "../loading";
import { AddTarget } from "./add";
import { ThisBrowser } from "./here";

export default function Screen() {
  const standing = account.value;
  return standing ? <Notifications account={standing} /> : <Skeleton lines={5} />;
}

function Notifications({ account: { api } }: { account: Account }) {
  const found = useLoad(() => api.get<Targets>("/v1/targets"), [api]);
  const data = found.data;
  return (
    <Page title={texts.title} lead={texts.lead}>
      <ThisBrowser />
      <Problem title={texts.failed} error={found.error} />
      {!data && !found.error ? <Skeleton lines={4} /> : null}
      {data?.kinds.includes("webpush") ? <Push api={api} found={data} changed={found.again} /> : null}
      {data ? <Own api={api} found={data} changed={found.again} /> : null}
      {data ? <AddTarget api={api} found={data} changed={found.again} /> : null}
      <Phones />
    </Page>
  );
}

interface Part {
  api: Account["api"];
  found: Targets;
  changed: () => void;
}

function Push({ api, found, changed }: Part) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await subscribe(api, found.vapid, freeName("webpush", found.targets));
      changed();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={texts.push}>
      <Card>
        <p>{texts.pushText}</p>
        <Problem title={texts.pushFailed} error={error} />
        <div class="actions"><Button busy={busy} onClick={go}>{texts.subscribe}</Button></div>
      </Card>
    </Section>
  );
}

function Own({ api, found, changed }: Part) {
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<unknown>();
  const [said, setSaid] = useState<{ sent: boolean; text: string }>();
  const act = (name: string, work: () => Promise<void>) => async () => {
    setBusy(name);
    setError(undefined);
    setSaid(undefined);
    try {
      await work();
      changed();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy("");
    }
  };
  const test = (one: Target) => act(`test ${one.id}`, async () => {
    const { sent, outcome } = await api.post<{ sent?: boolean; outcome: string }>("/v1/targets/test", { id: one.id });
    setSaid({ sent: sent ?? false, text: texts.testing(one.name, texts.outcomes(plain(outcome))) });
  });
  const remove = (one: Target) => act(`remove ${one.id}`, async () => {
    await api.post("/v1/targets/remove", { id: one.id });
  });
  return (
    <Section title={texts.targets}>
      <Problem title={texts.changeFailed} error={error} />
      <div role="status">{said ? <Notice kind={said.sent ? "good" : "warn"} title={said.text} /> : null}</div>
      {found.targets.length === 0 ? <p class="lead">{texts.none}.{FILLED.some((one) => found.kinds.includes(one)) ? ` ${texts.noneText}` : null}</p> : (
        <List label={texts.targets}>
          {found.targets.map((one) => (
            <Row
              key={one.id}
              title={<><strong>{plain(one.name)}</strong> · {texts.kinds[one.kind]}</>}
              detail={<><Name text={plain(one.where)} /> {texts.sends[one.kind]}</>}
              meta={one.last ? <>{texts.outcomes(plain(one.last))} <Time at={one.last_at ?? 0} /></> : texts.never}
              end={
                <span class="notifications-acts">
                  {one.kind === "browser" ? null : (
                    <Button busy={busy === `test ${one.id}`} aria-label={texts.testOf(plain(one.name))} onClick={test(one)}>
                      {texts.test}
                    </Button>
                  )}
                  <Button kind="quiet" busy={busy === `remove ${one.id}`} aria-label={texts.removeOf(plain(one.name))}
                    onClick={remove(one)}>
                    {texts.remove}
                  </Button>
                </span>
              }
            />
          ))}
        </List>
      )}
    </Section>
  );
}

/** What reaches which phone, with the air gap named. */
function Phones() {
  const { head, rows } = texts.table;
  return (
    <Section title={texts.phones}>
      <p class="lead">{texts.phonesText}</p>
      <div class="notifications-table" role="region" aria-label={texts.phones} tabIndex={0}>
        <table>
          <thead><tr>{head.map((text) => (text ? <th key={text} scope="col">{text}</th> : <td key={text} />))}</tr></thead>
          <tbody>
            {rows.map(([way, ...cells]) => (
              <tr key={way}>
                <th scope="row">{way}</th>
                {cells.map((text, at) => <td key={at}>{text}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p>{texts.phonesEnd}</p>
    </Section>
  );
}
