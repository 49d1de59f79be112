// Pending: the list of what waits and, beside it on a desk or alone on a phone, the card that is open. A path opens cards and
// does nothing else (C18).
import { useEffect } from "preact/hooks";
import { account as signedIn } from "../../app/session";
import { pending as texts } from "../../texts/pending";
import { Badge, Button, ButtonLink, Empty, List, Name, Notice, Page, Problem, Row, Skeleton, Time, TimeLeft } from "../../ui";
import { limitsOf } from "../../work/approving/budget";
import type { Entry } from "../../work/approving/entries";
import { worthALook } from "../../work/approving/marks";
import { showAgain } from "../../work/approving/prompts";
import { Detail } from "./detail";
import { entries, failure, held, loaded, memory, muted, noApprover, open, refused, renew } from "./store";
import "./style.css";

export default function Screen({ params }: { params: { card?: string } }) {
  const account = signedIn.value;
  const card = params.card ?? "";
  useEffect(() => {
    open.value = card ? card.split("+") : [];
    return () => {
      open.value = [];
    };
  }, [card]);
  if (!account) return null;
  return (
    <Page title={texts.title}>
      <div class={`pending${card ? " reading" : ""}`}>
        <div class="waiting">
          <Waiting current={card} />
        </div>
        <div class="reader">
          {card ? <Detail key={card} account={account} param={card} /> : null}
          {!card && loaded.value && entries.value.length ? <p class="choose">{texts.choose}</p> : null}
        </div>
      </div>
    </Page>
  );
}

function Waiting({ current }: { current: string }) {
  const shown = entries.value;
  const limits = limitsOf(memory.value);
  if (noApprover.value) return <Empty title={texts.empty}>{texts.noApprover}</Empty>;
  const nothing = loaded.value && !shown.length && !held.value && !muted.value.length && !refused.value.length;
  return (
    <>
      <Problem error={failure.value} title={texts.loadFailed} />
      {!loaded.value && failure.value === undefined ? <Skeleton lines={4} /> : null}
      {nothing ? (
        <Empty title={texts.empty} action={<ButtonLink href="/notifications">{texts.emptyAction}</ButtonLink>}>
          {texts.emptyNext}
        </Empty>
      ) : null}
      {shown.length ? (
        <List label={texts.list}>
          {shown.map((entry) => (
            <Line key={entry.card.id} entry={entry} current={current.split("+").includes(entry.card.id)} />
          ))}
        </List>
      ) : null}
      {held.value ? (
        <Notice title={texts.held(held.value)} text={texts.heldWhy(limits.shownAtOnce, limits.shownPerHour)} />
      ) : null}
      {muted.value.length ? <Muted /> : null}
      {refused.value.map((one) => (
        <Notice key={one.request + one.code} kind="danger" title={texts.unverified}
          text={texts.refusals[one.code] ?? texts.unverifiedText} code={one.code} />
      ))}
    </>
  );
}

/** Cards of clients that this browser froze: hidden whatever the relay says, until the person at it says otherwise. */
function Muted() {
  const account = signedIn.value;
  const now = account?.now() ?? 0;
  const clients = memory.value.muted.filter((one) => now < one.until && muted.value.includes(one.subject));
  return (
    <Notice title={texts.muted(muted.value.length)} text={texts.mutedText}>
      {clients.map(({ subject, until }) => (
        <div key={subject} class="actions">
          <span>
            <Name text={subject} /> {texts.mutedUntil(until)}
          </span>
          <Button onClick={() => account && showAgain(account, subject).then(renew)}>{texts.showAgain}</Button>
        </div>
      ))}
    </Notice>
  );
}

function Line({ entry, current }: { entry: Entry; current: boolean }) {
  const { card, ended } = entry;
  const [{ request, prompt }, ...more] = card.facts;
  return (
    <Row
      href={`/pending/${card.id}`}
      current={current}
      title={
        <>
          <Name text={request.path} />
          {more.length ? <span class="aside"> {texts.more(more.length)}</span> : null}
        </>
      }
      detail={
        <>
          <Name text={lastPart(request.observed.exe)} /> {texts.row(prompt.host)}
        </>
      }
      meta={ended ? <Time at={request.issued} /> : <TimeLeft from={request.issued} until={request.expires} />}
      end={<State entry={entry} />}
    />
  );
}

function State({ entry: { ended, marks } }: { entry: Entry }) {
  if (ended) return <Badge>{texts.ended[ended.how] ?? texts.over}</Badge>;
  return worthALook(marks) ? <Badge tone="warn">{texts.lookTwice}</Badge> : null;
}

/** Of a program's path; the card shows the whole. */
function lastPart(exe: string): string {
  const name = exe.split("/").filter(Boolean).at(-1) ?? exe;
  return [...name].length > 40 ? `${[...name].slice(0, 39).join("")}…` : name;
}
