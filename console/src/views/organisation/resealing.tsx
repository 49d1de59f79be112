import "./style.css";
import { useEffect, useRef, useState } from "preact/hooks";
import { resealing as texts } from "../../texts/organisation";
import { announce, Badge, Button, List, Name, Notice, Problem, Progress, Row } from "../../ui";
import type { Job, Resealing, Step } from "../../work/resealing";

type Begin = (told: (step: Step, jobs: readonly Job[]) => void) => Promise<Resealing>;

interface Props {
  /** What is known to be sealed again, shown before the start. */
  first?: readonly string[];
  /** Finds what is to be sealed again, anew at each start. */
  begin: Begin;
  onDone: (sealed: readonly string[]) => void;
  startLabel?: string;
}

/** The run of a re-seal, secret by secret. Every error leaves what was done, and one button goes on. */
export function ResealRun({ first = [], begin, onDone, startLabel }: Props) {
  const [jobs, setJobs] = useState<readonly Job[]>([]);
  const [step, setStep] = useState<Step>();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const running = useRef<Resealing | undefined>(undefined);
  const stop = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  const told = (next: Step, now: readonly Job[]) => {
    setStep(next);
    setJobs([...now]);
    announce(texts.steps[next] ?? next);
  };
  const go = async () => {
    setBusy(true);
    setError(undefined);
    const control = new AbortController();
    stop.current = control;
    try {
      running.current ??= await begin(told);
      const run = running.current;
      setJobs([...run.jobs]);
      await run.run(control.signal);
      setJobs([...run.jobs]);
      if (!run.left.length) onDone(run.jobs.map((one) => one.seal.path));
    } catch (reason) {
      setError(reason);
      if (running.current) setJobs([...running.current.jobs]);
      // Somebody else sealed meanwhile: what was looked at no longer stands.
      if (["conflict", "version"].includes((reason as { code?: string }).code ?? "")) running.current = undefined;
    } finally {
      setBusy(false);
    }
  };
  const left = jobs.filter((one) => one.state !== "sealed").length;
  return (
    <div class="stack">
      {jobs.length ? (
        <List label={texts.list}>
          {jobs.map((job) => (
            <JobRow key={job.seal.path} job={job} />
          ))}
        </List>
      ) : first.length ? (
        <List label={texts.list}>
          {first.map((path) => (
            <Row key={path} title={<Name text={path} />} end={<Badge>{texts.states["ready"]}</Badge>} />
          ))}
        </List>
      ) : null}
      <p role="status">{busy && step ? texts.steps[step] : step === "done" && left ? texts.rest(left) : ""}</p>
      {step === "done" && left && !busy ? <Notice kind="warn" title={texts.rest(left)} text={texts.restText} /> : null}
      <Problem title={texts.failed} error={error} />
      <div class="actions">
        {busy && step === "wait" ? <Button onClick={() => stop.current?.abort()}>{texts.stop}</Button> : null}
        <Button kind="accent" busy={busy} onClick={go}>
          {step || error ? texts.go : (startLabel ?? texts.start)}
        </Button>
      </div>
    </div>
  );
}

function JobRow({ job }: { job: Job }) {
  const waiting = job.state === "waiting";
  const tone = job.state === "sealed" ? "good" : ["ready", "waiting"].includes(job.state) ? "plain" : "warn";
  return (
    <Row
      title={<Name text={job.seal.path} />}
      detail={waiting && job.needed > 1 ? <Progress filled={job.approvals} total={job.needed} /> : null}
      end={<Badge tone={tone}>{texts.states[job.state]}</Badge>}
    />
  );
}
