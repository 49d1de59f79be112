import { useEffect, useRef, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { isPath } from "../../protocol/path";
import { fromUtf8 } from "../../protocol/text";
import { sealText as texts, secretsText } from "../../texts/secrets";
import { Button, ButtonLink, Choice, Copy, Dialog, Field, Name, Notice, Page, Problem } from "../../ui";
import { sealingText } from "../../texts/sealing";
import { plan, sealValue, type Plan } from "../../work/sealing";
import { useLoad } from "../loading";
import { useNames } from "./names";
import { PlanProblem } from "./plan-problem";
import { Planned } from "./planned";
import { FileValue, GeneratedValue, TextValue, type ValueSource } from "./value";

const PAUSE = 350; // milliseconds of no typing until the policy of a name is looked at
const INPUTS = { text: TextValue, file: FileValue, generated: GeneratedValue } as const;

interface Props {
  account: Account;
  fixed: string; // the path, where a new version is sealed
}

/** One secret: the name, what sealing would do, the value, one ceremony. Each further one begins with nothing of the one before. */
export function SealForm(props: Props) {
  const [turn, setTurn] = useState(0);
  return <OneSecret key={turn} {...props} another={() => setTurn(turn + 1)} />;
}

function OneSecret({ account, fixed, another }: Props & { another: () => void }) {
  const [path, setPath] = useState(fixed);
  const [kind, setKind] = useState<keyof typeof INPUTS>("text");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [done, setDone] = useState<Plan>();
  const [shown, setShown] = useState<string>();
  const [lost, setLost] = useState<string>(); // the path whose seen version went with a restore, as the person says
  const source = useRef<ValueSource>(null);
  const name = useNames(account);
  const wanted = path.trim().replace(/^sv:\/\//, "");
  const settled = useSettled(wanted);
  const planned = useLoad(() => (isPath(settled) ? plan(account, settled, true, settled === lost) : undefined), [account, settled, lost]);
  const ready = !planned.busy && planned.data?.path === settled && !planned.error && settled === wanted;

  const go = async () => {
    if (!planned.data || !ready || !source.current) return;
    setBusy(true);
    setError(undefined);
    let kept: Uint8Array | undefined;
    try {
      const { value, once } = await source.current.take();
      kept = once ? value.slice() : undefined;
      const sealed = await sealValue(account, planned.data, value);
      source.current?.clear();
      if (kept) setShown(fromUtf8(kept));
      setDone(sealed);
    } catch (reason) {
      setError(reason);
      planned.again(); // somebody else may have sealed it meanwhile
    } finally {
      kept?.fill(0);
      setBusy(false);
    }
  };

  if (done) {
    const who = secretsText.quorum(done.openers, name);
    return <Done plan={done} who={who} shown={shown} close={() => setShown(undefined)} another={fixed ? undefined : another} />;
  }
  const Input = INPUTS[kind];
  return (
    <Page title={fixed ? texts.titleVersion : texts.title} lead={texts.lead}
      actions={<ButtonLink href={fixed ? `/secrets/${fixed}` : "/secrets"}>{fixed ? texts.back : secretsText.back}</ButtonLink>}>
      <form class="form secrets-form" autocomplete="off" onSubmit={(event) => {
        event.preventDefault();
        void go();
      }}>
        {fixed ? <Name text={fixed} size="large" /> : (
          <Field label={texts.path} hint={texts.pathHint} mono value={path} onInput={setPath} name="secret-path" autofocus
            error={settled && !isPath(settled) ? badPath(settled) : undefined} />
        )}
        <div role="status" class="secrets-plan">
          {planned.busy && isPath(settled) ? <p class="small">{texts.looking}</p> : null}
          <PlanProblem account={account} error={planned.error} name={name} onLost={() => setLost(settled)} />
          {ready && planned.data ? <Planned plan={planned.data} name={name} /> : null}
        </div>
        <Choice legend={texts.kind} value={kind} options={texts.kinds} onInput={(value) => setKind(value as keyof typeof INPUTS)} />
        <Input source={source} />
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button kind="accent" type="submit" busy={busy} disabled={!ready}>{texts.go}</Button>
        </div>
      </form>
    </Page>
  );
}

function badPath(path: string): string {
  return sealingText.badPath(path).remedy;
}

/** A text that has stopped changing. */
function useSettled(text: string): string {
  const [settled, setSettled] = useState(text);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), PAUSE);
    return () => clearTimeout(timer);
  }, [text]);
  return settled;
}

function Done({ plan: { path, version }, who, shown, close, another }: {
  plan: Plan;
  who: string;
  shown: string | undefined;
  close: () => void;
  another: (() => void) | undefined;
}) {
  return (
    <Page title={texts.title}>
      <Notice kind="good" title={texts.done(path, version[0])} text={texts.doneText(who)} />
      <div class="secrets-reference">
        <Name text={`sv://${path}`} />
        <Copy text={`sv://${path}`} label={secretsText.copyReference} />
      </div>
      <div class="actions">
        <ButtonLink href={`/secrets/${path}`}>{texts.look}</ButtonLink>
        {another ? <Button kind="accent" onClick={another}>{texts.another}</Button> : null}
      </div>
      <Dialog open={shown !== undefined} title={texts.shown} onClose={close} closeLabel={texts.shownClose}>
        <p>{texts.shownText}</p>
        <pre class="secrets-shown">{shown}</pre>
        {shown === undefined ? null : <Copy text={shown} />}
      </Dialog>
    </Page>
  );
}
