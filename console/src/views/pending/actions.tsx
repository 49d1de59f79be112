// Deny first and plain, then the window, then Approve, which never has the focus by itself. Freezing is one more tap away.
import { useEffect, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { pending as texts } from "../../texts/pending";
import { Button, Dialog, duration, Field, now, Select } from "../../ui";
import { approvalsOf, limitsOf } from "../../work/approving/budget";
import { isCode, subjectOf, windowOf } from "../../work/approving/card";
import { approve, refuse, requireCode } from "../../work/approving/decide";
import type { Entry } from "../../work/approving/entries";
import { paced } from "../../work/approving/fatigue";
import { changeState } from "../../work/approving/prompts";
import { offered, proposedWindow } from "../../work/approving/windows";
import { needsCode } from "./card";
import { type Done, finish } from "./outcome";
import { deciding, memory } from "./store";
import { useArming } from "./arming";

const HOLDS = [3600, 4 * 3600, 24 * 3600]; // seconds

interface ActionsProps {
  account: Account;
  shown: readonly Entry[];
  unseen: boolean;
  ramp: boolean;
  /** What went wrong outlives these actions: the card may be over by it. */
  onProblem: (problem: { error: unknown; title: string } | undefined) => void;
}

type Busy = "" | "approve" | "deny" | "freeze";

export function Actions({ account, shown, unseen, ramp, onProblem }: ActionsProps) {
  const cards = shown.map((one) => one.card);
  const longest = Math.max(...cards.map(windowOf));
  const proposed = proposedWindow(cards);
  const [window, setWindow] = useState(proposed);
  const [opened] = useState(() => Date.now());
  const [typed, setTyped] = useState<Record<string, string>>({});
  const [busy, setBusy] = useState<Busy>("");
  const [freezing, setFreezing] = useState(false);
  const [hint, setHint] = useState("");
  const coded = cards.filter((card) => needsCode(card, ramp));
  const { from, armed } = useArming(shown, cards.map((card) => card.id).join("+") + String(unseen));

  useEffect(() => setHint(""), [unseen, typed]); // what it asked for may be done

  const take = async (what: Exclude<Busy, "">, title: string, work: () => Promise<Done>) => {
    if (busy) return;
    const took = Date.now() - opened;
    setBusy(what);
    setHint("");
    onProblem(undefined);
    try {
      const done = await deciding(cards, work);
      await changeState(account, (state) => paced(state, { approved: what === "approve", took })).catch(() => {}); // it is decided
      finish(done);
    } catch (error) {
      onProblem({ error, title });
      setBusy("");
    }
  };

  const yes = () => {
    if (unseen) {
      setHint(texts.seeFirst);
      return;
    }
    if (coded.some((card) => !isCode(typed[card.id] ?? ""))) {
      setHint(texts.sixDigits);
      document.querySelector<HTMLElement>(".codes input")?.focus();
      return;
    }
    void take("approve", texts.notReleased, async () => {
      for (const card of coded) await requireCode(account, card, typed[card.id] ?? "");
      return { kind: "approve", cards, window: Math.min(window, longest), outcome: await approve(account, cards, window) };
    });
  };
  const no = () =>
    take("deny", texts.notDenied, async () => ({ kind: "deny", cards, outcome: await refuse(account, cards, "deny") }));
  const freeze = (seconds: number) => {
    setFreezing(false);
    const until = account.now() + seconds;
    void take("freeze", texts.notDenied, async () => {
      return { kind: "freeze", cards, until, outcome: await refuse(account, cards, "freeze", { until }) };
    });
  };

  const fork = shown.some((one) => one.fork);
  const before = approvalsOf(memory.value, now.value);
  return (
    <>
      {!ramp && before + 1 === limitsOf(memory.value).approvalsBeforeCode ? <p class="small">{texts.rampNext}</p> : null}
      {coded.length ? (
        <div class="codes">
          {coded.map((card) => (
            <Field key={card.id} mono label={coded.length > 1 ? texts.typeCodeFor(card.facts[0].request.path) : texts.typeCode}
              hint={ramp ? texts.typeCodeRamp(before) : texts.typeCodeHint} inputMode="numeric" maxLength={6} autocomplete="one-time-code"
              value={typed[card.id] ?? ""} onInput={(value) => setTyped({ ...typed, [card.id]: value })} />
          ))}
        </div>
      ) : null}
      <div class="deciding" role="group" aria-label={texts.title}>
        <Button busy={busy === "deny"} disabled={busy !== ""} onClick={no}>
          {cards.length > 1 ? texts.denyAll(cards.length) : texts.deny}
        </Button>
        <WindowChoice longest={longest} proposed={proposed} value={window} onInput={setWindow} />
        <Button kind="accent" busy={busy === "approve"} disabled={fork || (busy !== "" && busy !== "approve")} armedFrom={from}
          class={armed ? "armed" : ""} onClick={yes}>
          {cards.length > 1 ? texts.approveAll(cards.length) : texts.approve}
        </Button>
        <p class="hint" role="status">{busy === "approve" ? texts.passkey : hint}</p>
      </div>
      <div class="further">
        <Button kind="quiet" class="freeze" disabled={busy !== ""} onClick={() => setFreezing(true)}>
          {texts.freeze}
        </Button>
      </div>
      <Freeze open={freezing} subject={cards[0] ? subjectOf(cards[0]) : ""} onClose={() => setFreezing(false)}
        onFreeze={freeze} />
    </>
  );
}

/** The window may only shrink: nothing longer than the policy, the seal and the request allow stands here. */
function WindowChoice({ longest, proposed, value, onInput }: {
  longest: number;
  proposed: number;
  value: number;
  onInput: (seconds: number) => void;
}) {
  if (!longest) return <span class="once">{texts.once}</span>;
  const options = offered(longest, proposed).map((one) => [String(one), one ? texts.windowOf(one) : texts.once] as const);
  return (
    <Select label={texts.windowChoice} value={String(value)} options={options}
      onInput={(chosen) => onInput(Math.min(longest, Number(chosen)))} />
  );
}

interface FreezeProps {
  open: boolean;
  subject: string;
  onClose: () => void;
  onFreeze: (seconds: number) => void;
}

function Freeze({ open, subject, onClose, onFreeze }: FreezeProps) {
  const [seconds, setSeconds] = useState(HOLDS[0] ?? 3600);
  const options = HOLDS.map((one) => [String(one), duration(one)] as const);
  return (
    <Dialog open={open} title={texts.freezeTitle(subject)} onClose={onClose}
      actions={<Button kind="danger" onClick={() => onFreeze(seconds)}>{texts.freezeDo}</Button>}>
      <p>{texts.freezeText}</p>
      <Select label={texts.freezeFor} value={String(seconds)} options={options}
        onInput={(chosen) => setSeconds(Number(chosen))} />
    </Dialog>
  );
}
