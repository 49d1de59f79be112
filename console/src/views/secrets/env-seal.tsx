import { useEffect, useRef, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { envText as texts, secretsText } from "../../texts/secrets";
import { Badge, Button, List, Name, Notice, Problem, Row, announce } from "../../ui";
import type { Assignment } from "../../work/dotenv";
import { rewritten, sealLines, type Line, type LineState } from "../../work/env-sealing";
import { save } from "../../work/exporting";
import type { Naming } from "./names";
import { PlanProblem } from "./plan-problem";
import { Warnings } from "./planned";

/** Browsers take the dot off a name that begins with one: `.env` comes back as `stillvault.env`. */
const fileName = (name: string): string => (name.startsWith(".") ? `stillvault${name}` : name);

interface Props {
  account: Account;
  file: { name: string; bytes: Uint8Array; assignments: Assignment[] };
  lines: Line[];
  name: Naming;
  change: () => void;
  again: () => void;
}

const TONES: Record<LineState, "plain" | "good" | "danger"> = {
  waiting: "plain", sealing: "plain", sealed: "good", failed: "danger",
};

/** The lines with their policies; then one ceremony a line, which can stop and go on; at the end the file. */
export function Sealing({ account, file, lines, name, change, again }: Props) {
  const [, drawAgain] = useState(0);
  const [running, setRunning] = useState(false);
  const stop = useRef(false);
  // Whoever leaves the screen leaves the file: the next line is not begun.
  useEffect(() => () => {
    stop.current = true;
  }, []);
  const sealed = lines.filter((one) => one.state === "sealed").length;
  const begun = lines.some((one) => one.state !== "waiting");
  const all = sealed === lines.length;
  const unplanned = lines.filter((one) => !one.plan && one.state === "waiting");
  const failed = lines.find((one) => one.state === "failed");

  const go = async () => {
    stop.current = false;
    setRunning(true);
    try {
      await sealLines(account, file.bytes, lines, () => stop.current, () => {
        drawAgain((count) => count + 1);
        announce(texts.progress(lines.filter((one) => one.state === "sealed").length, lines.length));
      });
    } finally {
      setRunning(false);
    }
  };
  const download = () => {
    const made = rewritten(file.bytes, file.assignments, lines);
    save(fileName(file.name), made.slice(), "application/octet-stream");
    made.fill(0); // lines that were left out hold their values
  };
  const kept = file.assignments.filter((one) => one.kind === "value").length - lines.length;
  return (
    <>
      {all ? (
        <Notice kind="good" title={texts.done} text={texts.doneText}>
          <div class="actions">
            <Button kind="accent" onClick={download}>{texts.download}</Button>
            <Button onClick={again}>{texts.again}</Button>
          </div>
        </Notice>
      ) : begun ? (
        <p role="status">{texts.progress(sealed, lines.length)}{running || failed ? null : ` · ${texts.stopped}`}</p>
      ) : unplanned.length === 0 ? (
        <>
          <Notice title={texts.ready(lines.length)} text={texts.readyText(lines.length)} />
          <Warnings plans={lines.flatMap((one) => one.plan ?? [])} name={name} />
        </>
      ) : null}
      {kept > 0 ? <Notice kind="warn" title={texts.left(kept)} text={texts.leftText} /> : null}
      {unplanned.length > 0 && !begun ? <PlanProblem account={account} error={unplanned[0]?.error} name={name} /> : null}
      {failed ? <Problem title={texts.failed} error={failed.error} /> : null}
      <List label={texts.title}>
        {lines.map((line) => <LineRow key={line.assignment.line} line={line} name={name} begun={begun} />)}
      </List>
      {all ? null : (
        <div class="actions">
          {running ? <Button onClick={() => { stop.current = true; }}>{texts.stop}</Button> : null}
          {!running && !begun ? <Button onClick={change}>{texts.change}</Button> : null}
          {unplanned.length === 0 || begun ? (
            <Button kind="accent" busy={running} onClick={go}>
              {begun ? texts.goOn(lines.length - sealed) : texts.go(lines.length)}
            </Button>
          ) : null}
        </div>
      )}
    </>
  );
}

function LineRow({ line, name, begun }: { line: Line; name: Naming; begun: boolean }) {
  const planned = line.plan;
  const state: LineState = line.error ? "failed" : line.state;
  const next = planned ? (planned.previous ? texts.willBeNext(planned.version[0]) : texts.willBeNew) : "";
  return (
    <Row
      title={<Name text={line.path} />}
      detail={planned ? secretsText.quorum(planned.openers, name) : null}
      meta={<><span class="mono">{line.assignment.name}</span>{next && line.state !== "sealed" ? ` · ${next}` : null}</>}
      end={begun || line.error ? <Badge tone={TONES[state]}>{texts.states[state]}</Badge> : null}
    />
  );
}
