import { useMemo, useState } from "preact/hooks";
import { setup } from "../../texts/setup";
import { Button, exact, Fact, Facts, Field, Notice, Section } from "../../ui";
import { Qr } from "../../ui/qr";
import { save } from "../../work/exporting";
import type { Kit } from "../../work/founding";
import { type Sheet, sheetsOf } from "./sheets";

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
  if (!hidden) return <Sheets kit={kit} made={made} onHide={() => setHidden(true)} />;
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

function Sheets({ kit, made, onHide }: { kit: Kit; made: number; onHide: () => void }) {
  const sheets = useMemo(() => sheetsOf(kit), [kit]);
  return (
    <Section title={texts.title}>
      <p class="lead">{texts.lead(sheets.length)}</p>
      <Notice kind="warn" title={texts.what(sheets.length)} />
      <div class="kits">
        {sheets.map((one, at) => <KeySheet key={one.id} kit={kit} made={made} sheet={one} number={[at + 1, sheets.length]} />)}
      </div>
      <p class="small">{texts.saveHint}</p>
      <div class="actions">
        <Button onClick={() => window.print()}>{texts.print(sheets.length)}</Button>
        <Button kind="accent" onClick={onHide}>
          {texts.hide}
        </Button>
      </div>
    </Section>
  );
}

function KeySheet({ kit, made, sheet, number }: { kit: Kit; made: number; sheet: Sheet; number: [now: number, all: number] }) {
  const file = `stillvault-${sheet.id === "root" ? "root-key" : sheet.id}.json`;
  return (
    <article class="card kit" aria-label={sheet.key}>
      <h3>{texts.heading(sheet.key, ...number)}</h3>
      <p class="kit-use">{sheet.use}</p>
      <div class="kit-body">
        <Facts>
          <Fact label={sheet.key}>
            <Grouped text={sheet.secret} />
          </Fact>
          <Fact label={texts.name}>{kit.name}</Fact>
          <Fact label={texts.relay}>
            <span class="name">{kit.relay}</span>
          </Fact>
          <Fact label={texts.org}>
            <Grouped text={kit.org_id} />
          </Fact>
          <Fact label={texts.fingerprint}>
            <span class="name">{kit.fingerprint}</span>
          </Fact>
          <Fact label={texts.made}>{exact(made)}</Fact>
        </Facts>
        <Qr text={sheet.text} label={texts.qr(sheet.key)} />
      </div>
      <div class="actions">
        <Button aria-label={texts.saveOf(sheet.key)} onClick={() => save(file, sheet.text, "application/json")}>{texts.save}</Button>
      </div>
    </article>
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
