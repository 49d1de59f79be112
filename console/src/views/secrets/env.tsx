import { useEffect, useRef, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { envText as texts, secretsText } from "../../texts/secrets";
import { ButtonLink, Notice, Page } from "../../ui";
import { FILE_LIMIT, parseEnv, type Assignment, type Problem as LineProblem } from "../../work/dotenv";
import { planLines, type Line } from "../../work/env-sealing";
import { useNames } from "./names";
import { Choosing } from "./env-choose";
import { Sealing } from "./env-seal";

/** The dropped file: the bytes are wiped when the screen goes or another file takes their place. */
interface Dropped {
  name: string;
  bytes: Uint8Array;
  assignments: Assignment[];
}

export function EnvFile({ account }: { account: Account }) {
  const [file, setFile] = useState<Dropped>();
  const [problems, setProblems] = useState<{ name: string; lines: LineProblem[] }>();
  const [refused, setRefused] = useState("");
  const [lines, setLines] = useState<Line[]>();
  const held = useRef<Uint8Array | undefined>(undefined);
  const name = useNames(account);
  const wipe = () => {
    held.current?.fill(0);
    held.current = undefined;
  };
  useEffect(() => wipe, []);

  const drop = async (dropped: File) => {
    wipe();
    setFile(undefined);
    setLines(undefined);
    setProblems(undefined);
    setRefused("");
    if (dropped.size > FILE_LIMIT) return setRefused(texts.tooLarge);
    const bytes = new Uint8Array(await dropped.arrayBuffer());
    const { assignments, problems: found } = parseEnv(bytes);
    if (found.length > 0 || !assignments.some((one) => one.kind === "value")) {
      bytes.fill(0);
      if (found.length > 0) setProblems({ name: dropped.name, lines: found });
      else setRefused(texts.nothing);
      return;
    }
    held.current = bytes;
    setFile({ name: dropped.name, bytes, assignments });
  };
  const again = () => {
    wipe();
    setFile(undefined);
    setLines(undefined);
  };

  return (
    <Page title={texts.title} lead={texts.lead} actions={<ButtonLink href="/secrets">{secretsText.back}</ButtonLink>}>
      {problems ? (
        <Notice kind="danger" title={texts.refused(problems.name)} text={texts.refusedText}>
          <ul class="secrets-changes">
            {problems.lines.map((one) => <li key={one.line}>{texts.line(one.line)}: {texts.why[one.why]}</li>)}
          </ul>
        </Notice>
      ) : null}
      {refused ? <Notice kind="danger" title={refused} /> : null}
      {!file ? <Drop take={drop} /> : null}
      {file && !lines ? (
        <Choosing assignments={file.assignments} look={async (chosen) => setLines(await planLines(account, chosen))} />
      ) : null}
      {file && lines ? (
        <Sealing account={account} file={file} lines={lines} name={name} change={() => setLines(undefined)} again={again} />
      ) : null}
    </Page>
  );
}

function Drop({ take }: { take: (file: File) => Promise<void> }) {
  const [over, setOver] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const choose = (files: FileList | null | undefined) => {
    const [file] = files ?? [];
    if (file) void take(file);
    if (input.current) input.current.value = "";
  };
  return (
    <div
      class={`secrets-drop${over ? " over" : ""}`}
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        choose(event.dataTransfer?.files);
      }}
    >
      <label for="env-file">{texts.drop}</label>
      <input ref={input} id="env-file" type="file" onChange={(event) => choose(event.currentTarget.files)} />
    </div>
  );
}
