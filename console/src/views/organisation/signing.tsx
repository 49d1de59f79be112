import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import type { Signed } from "../../protocol/objects";
import type { Trust } from "../../protocol/trust";
import { signing as texts } from "../../texts/organisation";
import { Button, Card, Notice, Problem } from "../../ui";
import { changes } from "../../work/changes";
import { isAdmin, publish } from "../../work/publish";
import type { Edit } from "../../work/roster";

interface Props {
  account: Account;
  trust: Trust;
  edit: Edit;
  /** What the roster's own difference does not say in words (holds, revocations, consequences). */
  lines?: readonly string[];
  label?: string;
  kind?: "accent" | "danger";
  /** Certificates that go with it; made at the click. */
  certs?: () => Promise<Signed[]>;
  /** What must hold beyond the roster itself; raises. */
  check?: () => Promise<void>;
  onDone: (trust: Trust) => void;
  children?: ComponentChildren;
}

/** What is about to be signed, in words, then the one button. A rule that refuses it stands in the place of the button. */
export function Signing({ account, trust, edit, lines = [], label, kind = "accent", certs, check, onDone, children }: Props) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  if (!isAdmin(account, trust)) return <Notice title={texts.notAdmin} />;
  let told: string[];
  try {
    told = [...changes(trust.roster, edit(trust.roster)), ...lines];
  } catch (refused) {
    return <Problem title={texts.refused} error={refused} />;
  }
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await check?.();
      onDone(await publish(account, edit, certs ? { certs: await certs() } : {}));
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card as="section" aria-label={texts.title}>
      <h2>{texts.title}</h2>
      <p>{texts.lead(trust.roster.version + 1)}</p>
      {told.length ? (
        <ul class="plain-list">
          {told.map((line) => (
            <li key={line}>{line}</li>
          ))}
        </ul>
      ) : (
        <p>{texts.nothing}</p>
      )}
      {children}
      <Problem title={texts.failed} error={error} />
      <div class="actions">
        <Button kind={kind} busy={busy} onClick={go}>
          {label ?? texts.go}
        </Button>
      </div>
    </Card>
  );
}
