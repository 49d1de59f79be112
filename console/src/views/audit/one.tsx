import type { Account } from "../../device/account";
import type { Json } from "../../protocol/json";
import { fromUtf8, plain } from "../../protocol/text";
import { auditText as texts } from "../../texts/audit";
import { ButtonLink, Card, Empty, Fact, Facts, Name, Page, Skeleton, Time } from "../../ui";
import { leafOf, type Row } from "../../work/auditing";
import { rowsFrom } from "../../work/log-source";
import { useLoad } from "../loading";
import { Faulty } from "./verify";

const FIRST = ["index", "time", "kind", "actor", "secret", "version", "host"];

/** What matters to people first, the rest as it stands. */
function ordered(row: Row): [string, Json][] {
  const place = (name: string): number => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.entries(row).sort(([one], [other]) => place(one) - place(other));
}

const shown = (value: Json): string => plain(typeof value === "string" ? value : JSON.stringify(value));

/** One row with everything that stands in it. */
export function OneRow({ account, row }: { account: Account; row: string }) {
  const index = /^(0|[1-9][0-9]{0,14})$/.test(row) ? Number(row) : undefined;
  const found = useLoad(async () => (index === undefined ? [] : rowsFrom(account, index, 1)), [account, index]);
  const one = found.data?.[0];
  const back = <ButtonLink href="/audit">{texts.back}</ButtonLink>;
  return (
    <Page title={texts.row(index ?? 0)} actions={back}>
      <Faulty title={texts.failed} error={found.error} />
      {found.busy && !one ? <Skeleton lines={6} /> : null}
      {found.data && !one ? <Empty title={texts.missing} /> : null}
      {one ? (
        <Card>
          <Facts>
            {ordered(one).map(([name, value]) => (
              <Fact key={name} label={name}>
                {name === "time" ? <Time at={one.time} whole /> : <Name text={shown(value)} />}
              </Fact>
            ))}
          </Facts>
          <h2>{texts.leaf}</h2>
          <pre>{plain(fromUtf8(leafOf(one)))}</pre>
        </Card>
      ) : null}
    </Page>
  );
}
