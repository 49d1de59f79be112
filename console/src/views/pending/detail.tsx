// The card that is open, or several of one client that are decided together: each in full, one set of actions under them.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { b64 } from "../../protocol/text";
import { pending as texts } from "../../texts/pending";
import { announce, Badge, ButtonLink, Card, duration, Empty, Name, Notice, now, Problem, Skeleton } from "../../ui";
import { wantsCode } from "../../work/approving/budget";
import { type Card as Prompted, expiresOf, subjectOf } from "../../work/approving/card";
import { type Entry, named } from "../../work/approving/entries";
import { meterOf } from "../../work/approving/fatigue";
import { worthALook } from "../../work/approving/marks";
import { Actions } from "./actions";
import { CardBody, needsCode, type Opened } from "./card";
import { folds } from "./folding";
import { doneOf, OutcomeNotice } from "./outcome";
import { entries, loaded, memory, trust } from "./store";

const SPOKEN = [60, 30, 10]; // seconds left at which a screen reader hears of it

const oidsOf = (card: Prompted) => card.facts.map((one) => b64(one.prompt.request.oid));

export function Detail({ account, param }: { account: Account; param: string }) {
  const shown = named(entries.value, param, oidsOf);
  const decided = doneOf(param);
  if (decided) return <OutcomeNotice account={account} one={decided} />;
  if (!shown.length) {
    if (!loaded.value) return <Skeleton lines={8} />;
    return (
      <Empty title={texts.ended["gone"] ?? ""} action={<ButtonLink href="/">{texts.back}</ButtonLink>}>
        {texts.endedText["gone"]}
      </Empty>
    );
  }
  return <Cards account={account} shown={shown} />;
}

function ForkNotice({ code }: { code: string | undefined }) {
  const shorter = code === "log-rollback";
  return <Notice kind="danger" title={shorter ? texts.shorter : texts.fork} text={shorter ? texts.shorterText : texts.forkText} code={code} />;
}

function Cards({ account, shown }: { account: Account; shown: readonly Entry[] }) {
  const [problem, setProblem] = useState<{ error: unknown; title: string }>();
  const [parts, setParts] = useState<ReadonlySet<string>>(new Set());
  const opened: Opened = { has: (part) => parts.has(part), open: (part) => setParts(new Set([...parts, part])) };
  const over = shown.find((one) => one.ended);
  const fork = shown.find((one) => one.fork);
  const ramp = wantsCode(memory.value, now.value);
  const unseen = shown.some((one) => folds(one.card).some((part) => !parts.has(part)));
  const top = useRef<HTMLDivElement>(null);
  useSpokenTime(shown);
  useEffect(() => {
    // Whoever came by a link whose place is gone now would stand nowhere: they stand at the card. Never at an action.
    if (document.activeElement === document.body || document.activeElement === null)
      top.current?.querySelector<HTMLElement>("h1, h2")?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="cards" ref={top}>
      <p class="back">
        <ButtonLink href="/" kind="quiet">{texts.back}</ButtonLink>
      </p>
      {over ? null : <Tired />}
      {fork ? <ForkNotice code={fork.fork} /> : null}
      <div class="stack">
        {shown.map((entry) => (
          <Card key={entry.card.id}>
            {shown.length > 1 ? <LeaveOut shown={shown} entry={entry} /> : null}
            <CardBody entry={entry} opened={opened} nameOf={nameOf} typed={needsCode(entry.card, ramp)} level="h2" />
          </Card>
        ))}
      </div>
      {problem ? <Problem error={problem.error} title={problem.title} /> : null}
      {over ? (
        <div class="deciding ending">
          <Over entry={over} />
        </div>
      ) : (
        <>
          <Actions key={shown.map((one) => one.card.id).join("+")} account={account} shown={shown} unseen={unseen} ramp={ramp}
            onProblem={setProblem} />
          <Together shown={shown} />
        </>
      )}
    </div>
  );
}

/** A person's name out of the verified roster, with the id that counts. */
function nameOf(id: string): string {
  const name = trust.value?.roster.people.find((one) => one.id === id)?.name;
  return name && name !== id ? `${name} (${id})` : id;
}

/** Approving has become a habit: said before the next one. */
function Tired() {
  const meter = meterOf(memory.value);
  if (!meter?.tired) return null;
  const seconds = Math.max(1, Math.ceil(meter.median / 1000));
  return <Notice kind="warn" title={texts.tired} text={texts.tiredText(meter.approved, meter.of, seconds)} />;
}

function Over({ entry }: { entry: Entry }) {
  const { how, by } = entry.ended ?? { how: "gone", by: undefined };
  useEffect(() => announce(texts.ended[how] ?? texts.over), [how]);
  return (
    <Notice title={texts.ended[how] ?? texts.over}
      text={by ? texts.deniedBy(nameOf(by)) : (texts.endedText[how] ?? texts.endedText["gone"])}>
      {by || how === "expired" ? null : <small>{texts.relaySays}</small>}
    </Notice>
  );
}

/** Other cards of the same client: each is added on its own, and then stands here in full. There is no "all". */
function Together({ shown }: { shown: readonly Entry[] }) {
  const client = shown[0]?.card.facts[0].request.client;
  const ids = shown.map((one) => one.card.id);
  const others = entries.value.filter(({ card, ended }) =>
    !ended && !ids.includes(card.id) && card.facts[0].request.client === client);
  if (!others.length) return null;
  return (
    <section class="together">
      <h3>{texts.together}</h3>
      <p class="aside">{texts.togetherLead(others.length)}</p>
      <ul>
        {others.map(({ card, marks }) => (
          <li key={card.id}>
            <span>
              <Name text={card.facts.map((one) => one.request.path).join(", ")} />{" "}
              {worthALook(marks) ? <Badge tone="warn">{texts.lookTwice}</Badge> : null}
            </span>
            <ButtonLink href={`/pending/${[...ids, card.id].join("+")}`}>{texts.add}</ButtonLink>
          </li>
        ))}
      </ul>
    </section>
  );
}

function LeaveOut({ shown, entry }: { shown: readonly Entry[]; entry: Entry }) {
  const rest = shown.filter((one) => one !== entry).map((one) => one.card.id);
  return (
    <p class="leave-out">
      <small>{subjectOf(entry.card)}</small>
      <ButtonLink href={`/pending/${rest.join("+")}`} kind="quiet">{texts.leaveOut}</ButtonLink>
    </p>
  );
}

/** The countdown for whoever cannot see it: a few times, not each second. */
function useSpokenTime(shown: readonly Entry[]): void {
  const ends = Math.min(...shown.map((one) => expiresOf(one.card)));
  const left = ends - now.value;
  const spoken = useRef(new Set<number>());
  useEffect(() => {
    const due = SPOKEN.find((one) => left <= one && left > one - 5 && !spoken.current.has(one));
    if (due === undefined) return;
    spoken.current.add(due);
    announce(`${duration(left)}`);
  }, [left]);
}
