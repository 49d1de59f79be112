// What came of a decision of this page, shown where the card stood.
import { signal } from "@preact/signals";
import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { b64 } from "../../protocol/text";
import { pending as texts } from "../../texts/pending";
import { Button, ButtonLink, Name, Notice, Problem } from "../../ui";
import { type Card, progress, subjectOf } from "../../work/approving/card";
import { type Outcome, takeBack } from "../../work/approving/decide";
import { entries, settle } from "./store";

export interface Done {
  kind: "approve" | "deny" | "freeze";
  cards: readonly Card[];
  outcome: Outcome;
  window?: number;
  until?: number;
}

/** The last decisions of this page: they stay in sight until their card is left. */
export const done = signal<readonly Done[]>([]);

export function finish(one: Done): void {
  done.value = [...done.value, one].slice(-20);
  settle(one.cards);
}

/** The outcome that a path names, if this page decided just that. */
export function doneOf(param: string): Done | undefined {
  const names = param.split("+").sort().join("+");
  return done.value.findLast((one) => one.cards.map((card) => card.id).sort().join("+") === names);
}

const TITLES = { approve: texts.approved, deny: texts.denied, freeze: texts.frozen };

export function OutcomeNotice({ account, one }: { account: Account; one: Done }) {
  const next = entries.value.find((entry) => !entry.ended);
  return (
    <div class="outcome">
      <Notice kind={one.kind === "approve" ? "good" : "info"} title={TITLES[one.kind]} text={<Said one={one} />}>
        <p>
          {one.cards.flatMap((card) => card.facts).map((fact) => (
            <span key={fact.request.id} class="decided">
              <Name text={fact.request.path} /> {texts.row(fact.prompt.host)}
            </span>
          ))}
        </p>
        <Late one={one} />
      </Notice>
      <div class="actions">
        <ButtonLink href={next ? `/pending/${next.card.id}` : "/"}>{next ? texts.next : texts.back}</ButtonLink>
        {one.kind === "approve" ? <Back account={account} one={one} /> : null}
      </div>
    </div>
  );
}

function Said({ one }: { one: Done }) {
  if (one.kind === "freeze") return <>{texts.frozenText(one.cards[0] ? subjectOf(one.cards[0]) : "", one.until ?? 0)}</>;
  if (one.kind === "deny") return <>{texts.deniedText}</>;
  const through = one.outcome.states.some((state) => state === "approved" || state === "delivered");
  if (through) return <>{texts.released(one.window ?? 0)}</>;
  const { needed, by } = progress(one.cards[0] as Card);
  return <>{texts.waitsForMore(by.length + 1, needed)}</>;
}

function Late({ one }: { one: Done }) {
  const late = one.cards.flatMap((card) => card.facts).filter((fact) => one.outcome.late.includes(b64(fact.prompt.request.oid)));
  return <>{late.map((fact) => <p key={fact.request.id}>{texts.partlyLate(fact.request.path)}</p>)}</>;
}

/** An own approval can be taken back: a denial after the fact, which ends its leases (protocol 9). */
function Back({ account, one }: { account: Account; one: Done }) {
  const [state, setState] = useState<"" | "busy" | "done">("");
  const [error, setError] = useState<unknown>();
  const back = async () => {
    setState("busy");
    setError(undefined);
    try {
      await takeBack(account, one.cards.map((card) => card.id));
      setState("done");
    } catch (reason) {
      setError(reason);
      setState("");
    }
  };
  if (state === "done") return <Notice title={texts.takenBack} text={texts.takenBackText} />;
  return (
    <>
      <Button busy={state === "busy"} onClick={back} title={texts.takeBackHint}>
        {texts.takeBack}
      </Button>
      <Problem error={error} title={texts.notDenied} />
    </>
  );
}
