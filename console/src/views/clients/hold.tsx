import { useState } from "preact/hooks";
import { navigate, query } from "../../app/router";
import type { Account } from "../../device/account";
import { clientText, holdText as texts } from "../../texts/clients";
import { rules } from "../../texts/rules";
import { announce, Button, ButtonLink, Field, Page, Problem, Select } from "../../ui";
import { hold, lift } from "../../work/clients";
import { isPattern } from "../../work/roster";

/** Holding by name or pattern; `?hold=TARGET` lifts that one. */
export function HoldForm({ account }: { account: Account }) {
  const standing = query.value.get("hold") ?? "";
  const [target, setTarget] = useState("");
  const [length, setLength] = useState(clientText.holdTimes[0]?.[0] ?? "3600");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const named = target.trim();
  const act = async (work: () => Promise<unknown>, said: string) => {
    setBusy(true);
    setError(undefined);
    try {
      await work();
      account.forget();
      announce(said);
      navigate("/clients");
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const back = <ButtonLink href="/clients">{clientText.back}</ButtonLink>;
  if (standing) {
    return (
      <Page title={`${clientText.lift}: ${standing}`} lead={clientText.liftText} actions={back}>
        <p>{clientText.liftSigns(standing)}</p>
        <Problem title={clientText.failed} error={error} />
        <div class="actions">
          <Button kind="accent" busy={busy} onClick={() => act(() => lift(account, standing), clientText.liftSigns(standing))}>
            {clientText.lift}
          </Button>
        </div>
      </Page>
    );
  }
  const bad = named !== "" && !isPattern(named);
  return (
    <Page title={texts.title} lead={texts.lead} actions={back}>
      <form
        class="form"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          if (named && !bad && !busy) void act(() => hold(account, named, Number(length)), clientText.held_done(named));
        }}
      >
        <Field
          label={texts.target}
          hint={texts.targetHint}
          value={target}
          onInput={setTarget}
          mono
          autofocus
          autocapitalize="none"
          error={bad ? rules.scopeForm(named).text : undefined}
        />
        <Select label={clientText.holdFor} value={length} options={clientText.holdTimes} onInput={setLength} />
        {named && !bad ? <p>{clientText.holdSigns(named, Number(length))}</p> : null}
        <Problem title={clientText.failed} error={error} />
        <div class="actions">
          <Button kind="accent" type="submit" busy={busy} disabled={!named || bad}>
            {clientText.hold}
          </Button>
        </div>
      </form>
    </Page>
  );
}
