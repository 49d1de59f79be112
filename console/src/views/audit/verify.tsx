import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { Refused } from "../../protocol/error";
import { auditText as texts } from "../../texts/audit";
import { Button, Notice, Problem } from "../../ui";
import { LogRefused, type Verified } from "../../work/auditing";
import { verifyHere } from "../../work/log-source";

/** The whole log, here and now: a plain yes, or what failed and at which row. */
export function Verifying({ account, children }: { account: Account; children: ComponentChildren }) {
  const [read, setRead] = useState<number>();
  const [found, setFound] = useState<Verified>();
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setRead(0);
    setFound(undefined);
    setError(undefined);
    try {
      setFound(await verifyHere(account, setRead));
    } catch (reason) {
      setError(reason);
    } finally {
      setRead(undefined);
    }
  };
  return (
    <div class="audit-verify">
      <div class="actions">
        <Button kind="accent" busy={read !== undefined} onClick={go}>{texts.verify}</Button>
        {children}
        {read === undefined ? null : <span class="small">{texts.verifying(read)}</span>}
      </div>
      <div role="status">
        {found ? <Notice kind="good" title={texts.verified(found.head.size)} text={texts.verifiedText} /> : null}
      </div>
      <Faulty title={texts.refused} error={error} />
    </div>
  );
}

/** A log that failed a check is said in words of its own; anything else as what it is. */
export function Faulty({ title, error }: { title: string; error: unknown }) {
  if (!(error instanceof Refused) || !error.code.startsWith("log-")) return <Problem title={title} error={error} />;
  const row = error instanceof LogRefused ? error.row : undefined;
  const { text, remedy } = texts.why(error.code, row);
  return (
    <Notice kind="danger" title={row === undefined ? texts.refused : texts.refusedAt(row)} text={text} code={error.code}>
      <p>{remedy}</p>
    </Notice>
  );
}
