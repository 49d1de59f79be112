import { useMemo, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { auditText as texts } from "../../texts/audit";
import { Teller, type Told } from "../../texts/sentences";
import { Badge, Button, Empty, List, Page, Problem, Row, Skeleton, Time } from "../../ui";
import { COLUMNS, wanted, type Filter, type Row as LogRow } from "../../work/auditing";
import { csv, save } from "../../work/exporting";
import { exported } from "../../work/log-source";
import { FilterForm, NOTHING } from "./filter";
import { Faulty, Verifying } from "./verify";
import { ENOUGH, useRows } from "./rows";

/** The newest rows first; older ones as they are asked for, or as a filter needs them. */
export function Log({ account }: { account: Account }) {
  const [filter, setFilter] = useState<Filter>(NOTHING);
  const [most, setMost] = useState(ENOUGH);
  const { rows, first, error, busy, older } = useRows(account, (found) => count(found, filter) < most);
  const told = useMemo(() => sentences(rows), [rows]);
  const fitting = useMemo(() => told.filter((one) => one.rows.some((row) => wanted(row, filter))).reverse(), [told, filter]);
  const shown = fitting.slice(0, most);
  const more = () => {
    setMost(most + ENOUGH);
    if (fitting.length <= most) older();
  };
  return (
    <Page title={texts.title} lead={texts.lead}>
      <Verifying account={account}><Export account={account} shown={shown} /></Verifying>
      <FilterForm filter={filter} change={(changed) => {
        setFilter(changed);
        setMost(ENOUGH);
      }} />
      <Faulty title={texts.failed} error={error} />
      {first === undefined && !error ? <Skeleton lines={8} /> : null}
      {first !== undefined ? (
        <p class="small" role="status">
          {first === 0 && shown.length === fitting.length ? texts.whole(shown.length) : texts.searched(shown.length, first)}
        </p>
      ) : null}
      {shown.length > 0 ? (
        <div class="audit-rows">
          <List label={texts.list}>{shown.map((one) => <Line key={one.rows[0]!.index} told={one} />)}</List>
        </div>
      ) : first !== undefined && !busy ? <Empty title={texts.none}>{texts.noneFound}</Empty> : null}
      {first !== undefined && (first > 0 || shown.length < fitting.length) ? (
        <div class="actions"><Button busy={busy} onClick={more}>{texts.older}</Button></div>
      ) : null}
    </Page>
  );
}

function Line({ told }: { told: Told }) {
  const row = told.rows.at(-1)!;
  return (
    <Row
      href={`/audit/${row.index}`}
      title={<span class="audit-sentence">{told.text}</span>}
      meta={<Time at={row.time} />}
      end={<Badge tone={tone(row.kind)}>{row.kind}</Badge>}
    />
  );
}

function tone(kind: string): "plain" | "warn" | "danger" {
  if (kind === "denied" || kind === "frozen" || kind === "failed") return "danger";
  return kind === "revoked" || kind === "suppressed" || kind === "restored" ? "warn" : "plain";
}

/** Rows, in order, as sentences. */
function sentences(rows: readonly LogRow[]): Told[] {
  const teller = new Teller();
  return [...rows.flatMap((row) => teller.tell(row)), ...teller.rest()];
}

function count(rows: readonly LogRow[], filter: Filter): number {
  return rows.filter((row) => wanted(row, filter)).length;
}

function Export({ account, shown }: { account: Account; shown: readonly Told[] }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const all = async () => {
    setBusy(true);
    setError(undefined);
    try {
      save("stillvault-audit.jsonl", await exported(account, () => {}), "application/jsonl");
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  const table = () => {
    const line = (row: LogRow, text: string) => ({ ...row, time: rfc3339(row.time), text });
    const rows = [...shown].reverse().flatMap((one) => one.rows.map((row) => line(row, one.text)));
    save("stillvault-audit.csv", csv(COLUMNS, rows), "text/csv;charset=utf-8");
  };
  return (
    <>
      <Button busy={busy} onClick={all} title={texts.exportAllHint}>{texts.exportAll}</Button>
      <Button disabled={shown.length === 0} onClick={table}>{texts.exportCsv}</Button>
      <Problem title={texts.failed} error={error} />
    </>
  );
}

/** Seconds as RFC 3339; what no calendar holds stays a number. */
function rfc3339(seconds: number): string {
  return seconds <= 253_402_300_799 ? new Date(seconds * 1000).toISOString().replace(".000Z", "Z") : String(seconds);
}
