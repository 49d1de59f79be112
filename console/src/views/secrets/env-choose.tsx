import { useState } from "preact/hooks";
import { envText as texts } from "../../texts/secrets";
import { Button, Check, Field, Notice, Problem, Section } from "../../ui";
import { pathProblems, proposedPath, type Assignment } from "../../work/dotenv";

/** Which lines, below which prefix, under which names: all of it shown before anything is sealed. */
export function Choosing({ assignments, look }: {
  assignments: Assignment[];
  look: (chosen: Map<Assignment, string>) => Promise<void>;
}) {
  const [prefix, setPrefix] = useState("");
  const [own, setOwn] = useState(new Map<number, string>());
  const [out, setOut] = useState(new Set<number>());
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const values = assignments.filter((one) => one.kind === "value");
  const kept = assignments.filter((one) => one.kind !== "value");
  const clean = prefix.trim().replace(/^sv:\/\//, "").replace(/\/+$/, "");
  const pathOf = (one: Assignment) => own.get(one.line) ?? proposedPath(clean, one.name);
  const chosen = new Map(values.filter((one) => !out.has(one.line)).map((one) => [one, pathOf(one)]));
  const problems = pathProblems(new Map([...chosen].map(([one, path]) => [one.line, path])));

  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await look(chosen);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <form class="page" autocomplete="off" onSubmit={(event) => {
      event.preventDefault();
      void go();
    }}>
      <div class="secrets-search">
        <Field label={texts.prefix} hint={texts.prefixHint} mono placeholder="dev/web" value={prefix} onInput={setPrefix} />
      </div>
      <ul class="card secrets-lines">
        {values.map((one) => (
          <li class="secrets-line" key={one.line}>
            <Check label={<span class="mono">{texts.chosen(one.name)}</span>} hint={texts.line(one.line)}
              checked={!out.has(one.line)} onInput={(checked) => setOut(changed(out, one.line, !checked))} />
            {out.has(one.line) ? null : (
              <Field label={texts.pathOf(one.name)} mono value={pathOf(one)}
                onInput={(path) => setOwn(new Map(own).set(one.line, path.trim()))}
                error={problems.has(one.line) ? texts.problems[problems.get(one.line)!] : undefined} />
            )}
          </li>
        ))}
      </ul>
      {kept.length > 0 ? (
        <Section title={texts.kept}>
          <ul class="secrets-changes">
            {kept.map((one) => (
              <li key={one.line}>
                <span class="mono">{one.name}</span>: {one.kind === "empty" ? texts.keptEmpty : texts.keptReference}
              </li>
            ))}
          </ul>
        </Section>
      ) : null}
      {out.size > 0 ? <Notice kind="warn" title={texts.left(out.size)} text={texts.leftText} /> : null}
      <Problem title={texts.failed} error={error} />
      <div class="actions">
        <Button kind="accent" type="submit" busy={busy} disabled={chosen.size === 0 || problems.size > 0}>{texts.check}</Button>
      </div>
    </form>
  );
}

function changed(before: Set<number>, line: number, add: boolean): Set<number> {
  const after = new Set(before);
  if (add) after.add(line);
  else after.delete(line);
  return after;
}
