import { useMemo, useState } from "preact/hooks";
import { setup } from "../../texts/setup";
import { Button, exact, Fact, Facts, Field, Notice, Section } from "../../ui";
import { Qr } from "../../ui/qr";
import { save } from "../../work/exporting";
import { kitText, type Kit } from "../../work/founding";

const texts = setup.kit;
const GROUP = 6; // characters

interface Question {
  label: string;
  answer: string;
}

/** The kit on screen and paper, and then the questions that only the paper answers. */
export function KitStep({ kit, made, onDone }: { kit: Kit; made: number; onDone: () => void }) {
  const [hidden, setHidden] = useState(false);
  const [answers, setAnswers] = useState<string[]>([]);
  const [tried, setTried] = useState(false);
  const questions = useMemo(() => ask(kit), [kit]);
  const right = (at: number) => answers[at]?.trim() === questions[at]?.answer;
  if (!hidden) return <Sheet kit={kit} made={made} onHide={() => setHidden(true)} />;
  const go = () => {
    setTried(true);
    if (questions.every((_, at) => right(at))) onDone();
  };
  return (
    <Section title={texts.check}>
      <p class="lead">{texts.checkLead}</p>
      <form class="form" onSubmit={(event) => { event.preventDefault(); go(); }}>
        {questions.map((one, at) => (
          <Field key={one.label} label={one.label} mono value={answers[at] ?? ""} autocapitalize="none" maxLength={GROUP + 2}
            onInput={(text) => setAnswers(questions.map((_, each) => (each === at ? text : (answers[each] ?? ""))))}
            error={tried && !right(at) ? texts.groupBad : undefined} />
        ))}
        <div class="actions">
          <Button onClick={() => { setHidden(false); setTried(false); }}>{texts.back}</Button>
          <Button type="submit" kind="accent">
            {texts.checked}
          </Button>
        </div>
      </form>
    </Section>
  );
}

function Sheet({ kit, made, onHide }: { kit: Kit; made: number; onHide: () => void }) {
  return (
    <Section title={texts.title}>
      <p class="lead">{texts.lead}</p>
      <Notice kind="warn" title={texts.what} />
      <article class="card kit">
        <h3>{texts.heading}</h3>
        <div class="kit-body">
          <Facts>
            <Fact label={texts.name}>{kit.name}</Fact>
            <Fact label={texts.relay}>
              <span class="name">{kit.relay}</span>
            </Fact>
            <Fact label={texts.made}>{exact(made)}</Fact>
            <Fact label={texts.org}>
              <Grouped text={kit.org_id} />
            </Fact>
            <Fact label={texts.fingerprint}>
              <span class="name">{kit.fingerprint}</span>
            </Fact>
            <Fact label={texts.rootKey}>
              <Grouped text={kit.root_key} />
            </Fact>
            {kit.recovery_keys?.map((one) => (
              <Fact key={one.id} label={texts.recoveryKey(one.id)}>
                <Grouped text={one.secret} />
              </Fact>
            ))}
          </Facts>
          <Qr text={kitText(kit)} label={texts.qr} />
        </div>
        {kit.recovery_keys ? <p class="small">{texts.threshold(kit.recovery_threshold ?? 0, kit.recovery_keys.length)}</p> : null}
      </article>
      <div class="actions">
        <Button onClick={() => window.print()}>{texts.print}</Button>
        <Button onClick={() => save("stillvault-recovery-kit.json", kitText(kit), "application/json")}>{texts.save}</Button>
        <Button kind="accent" onClick={onHide}>
          {texts.hide}
        </Button>
      </div>
      <p class="small">{texts.saveHint}</p>
    </Section>
  );
}

function groups(text: string): string[] {
  return text.match(new RegExp(`.{1,${GROUP}}`, "g")) ?? [];
}

/** In numbered groups, so that the questions can name one. */
function Grouped({ text }: { text: string }) {
  return (
    <ol class="groups name">
      {groups(text).map((one, at) => (
        <li key={at}>{one}</li>
      ))}
    </ol>
  );
}

/** One group of the root key and one of a recovery key, chosen by chance. */
function ask(kit: Kit): Question[] {
  const keys: [string, string][] = [[texts.rootKey, kit.root_key]];
  const spare = kit.recovery_keys ?? [];
  const one = spare[any(spare.length)];
  if (one) keys.push([texts.recoveryKey(one.id), one.secret]);
  return keys.map(([label, text]) => {
    const all = groups(text).filter((group) => group.length === GROUP);
    const at = any(all.length);
    return { label: texts.group(label, at + 1), answer: all[at] ?? "" };
  });
}

function any(below: number): number {
  return below ? (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % below : 0;
}
