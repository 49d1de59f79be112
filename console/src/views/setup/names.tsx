import { useState } from "preact/hooks";
import { deviceLabel } from "../../device/label";
import { setup } from "../../texts/setup";
import { Button, Check, Field, Notice, Problem, Section } from "../../ui";
import type { Draft, Kit } from "../../work/founding";

const texts = setup.names;
const ID = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

/** What people and passkey are called; ends in the passkey and the kit. */
export function Names({ token, onDone }: { token: string; onDone: (made: { draft: Draft; kit: Kit }) => void }) {
  const [name, setName] = useState("");
  const [person, setPerson] = useState("");
  const [label, setLabel] = useState(deviceLabel());
  const [recovery, setRecovery] = useState(true);
  const [busy, setBusy] = useState(false);
  const [tried, setTried] = useState(false);
  const [error, setError] = useState<unknown>();
  const labelled = (text: string) => text.trim() !== "" && text.length <= 64 && !HIDDEN.test(text);
  const good = { name: labelled(name), person: ID.test(person) && person !== "recovery", label: labelled(label) };
  const go = async () => {
    setTried(true);
    if (!good.name || !good.person || !good.label) {
      requestAnimationFrame(() => document.querySelector<HTMLElement>("main [aria-invalid]")?.focus());
      return;
    }
    setBusy(true);
    setError(undefined);
    try {
      const { prepare } = await import("../../work/founding");
      onDone(await prepare(token, { name: name.trim(), person, label: label.trim(), recovery }));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Section title={texts.title}>
      <form class="form" onSubmit={(event) => { event.preventDefault(); void go(); }}>
        <Field label={texts.organisation} hint={texts.organisationHint} value={name} onInput={setName} maxLength={64}
          error={tried && !good.name ? texts.organisationBad : undefined} />
        <Field label={texts.person} hint={texts.personHint} value={person} onInput={setPerson} maxLength={64}
          autocapitalize="none" mono error={(tried || person) && !good.person ? texts.personBad : undefined} />
        <Field label={texts.label} hint={texts.labelHint} value={label} onInput={setLabel} maxLength={64}
          error={tried && !good.label ? texts.labelBad : undefined} />
        <Check label={texts.recovery} hint={texts.recoveryHint} checked={recovery} onInput={setRecovery} />
        {recovery ? null : <Notice kind="warn" title={texts.noRecovery} />}
        <p class="small">{texts.passkeyNote}</p>
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button type="submit" kind="accent" busy={busy}>
            {busy ? texts.busy : texts.next}
          </Button>
        </div>
      </form>
    </Section>
  );
}
