import { useEffect, useState } from "preact/hooks";
import { useLeaveGuard } from "../../app/guard";
import { takeFragment } from "../../app/router";
import { environment, relay, type Environment } from "../../app/session";
import { setup as texts } from "../../texts/setup";
import { announce, Button, ButtonLink, Copy, Field, More, Notice, Page, Problem, Section, Skeleton } from "../../ui";
import { ApiError } from "../../api";
import type { Draft, Kit } from "../../work/founding";
import { Checks } from "./checks";
import { KitStep } from "./kit";
import { Names } from "./names";
import "./style.css";

type Step = "checks" | "names" | "kit" | "sign" | "done";
const NUMBER: Record<Step, number> = { checks: 1, names: 2, kit: 3, sign: 4, done: 4 };

export default function Screen() {
  // The token is taken out of the address bar, and lives in this page alone.
  const [token, setToken] = useState(takeFragment);
  const [standing, setStanding] = useState<Environment | undefined>(environment.value);
  const [step, setStep] = useState<Step>("checks");
  const [made, setMade] = useState<{ draft: Draft; kit: Kit }>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    relay.get<Environment>("/v1/environment").then(setStanding, setError);
  }, []);
  useEffect(() => {
    if (step !== "checks") {
      announce(stepName(step));
      const heading = document.querySelector<HTMLElement>("main h2");
      heading?.setAttribute("tabindex", "-1");
      heading?.focus();
    }
  }, [step]);

  useLeaveGuard(step === "kit" || step === "sign");

  if (error) return <Frame><Problem title={texts.checks.failed} error={error} /></Frame>;
  if (!standing) return <Frame><Skeleton /></Frame>;
  if (standing.organisation && step !== "done") return <Exists />;
  if (!token) return <NoToken />;
  return (
    <Frame step={step}>
      {step === "checks" ? <Checks token={token} standing={standing} onDone={() => setStep("names")} /> : null}
      {step === "names" ? <Names token={token} onDone={(found) => { setMade(found); setStep("kit"); }} /> : null}
      {step === "kit" && made ? (
        <KitStep kit={made.kit} made={made.draft.made} onDone={() => {
          setMade({ ...made, kit: forgotten(made.kit) });
          setStep("sign");
        }} />
      ) : null}
      {step === "sign" && made ? (
        <Sign draft={made.draft} token={token} onToken={setToken} onDone={() => setStep("done")} />
      ) : null}
      {step === "done" && made ? <Done draft={made.draft} /> : null}
    </Frame>
  );
}

/** The kit without its secrets: from here on no reference to them is left in this page. */
function forgotten(kit: Kit): Kit {
  return { org_id: kit.org_id, name: kit.name, relay: kit.relay, fingerprint: kit.fingerprint, root_key: "" };
}

function stepName(step: Step): string {
  const number = NUMBER[step];
  return texts.step(number, texts.steps.length, texts.steps[number - 1] ?? "");
}

function Frame({ step, children }: { step?: Step; children: preact.ComponentChildren }) {
  return (
    <Page title={texts.title} lead={step === undefined || step === "checks" ? texts.lead : undefined}>
      {step && step !== "done" ? <p class="step small">{stepName(step)}</p> : null}
      {children}
      {step === "checks" || step === undefined ? (
        <More label={texts.carefulLabel}>
          <p>{texts.careful}</p>
          <p class="name">{texts.carefulCommand}</p>
        </More>
      ) : null}
    </Page>
  );
}

function NoToken() {
  return (
    <Page title={texts.noToken} lead={texts.noTokenText}>
      <p class="name">{texts.command}</p>
      <Copy text={texts.command} />
    </Page>
  );
}

function Exists() {
  return (
    <Page title={texts.exists} lead={texts.existsText}>
      <div class="actions">
        <ButtonLink href="/signin" kind="accent">
          {texts.signIn}
        </ButtonLink>
      </div>
    </Page>
  );
}

function Sign({ draft, token, onToken, onDone }: {
  draft: Draft;
  token: string;
  onToken: (token: string) => void;
  onDone: () => void;
}) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [again, setAgain] = useState("");
  const ended = error instanceof ApiError && error.status === 401;
  const fresh = again.trim() ? /\/setup#([\w-]+)$/.exec(again.trim())?.[1] : undefined;
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { found } = await import("../../work/founding");
      if (fresh) onToken(fresh);
      await found(draft, fresh ?? token);
      onDone();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={texts.sign.button}>
      <p class="lead">{texts.sign.lead}</p>
      <Problem title={texts.sign.failed} error={error} />
      {ended ? (
        <div class="form">
          <Field label={texts.sign.newToken} hint={texts.sign.newTokenHint} value={again} onInput={setAgain} mono
            error={again && !fresh ? texts.sign.newTokenBad : undefined} />
        </div>
      ) : null}
      <div class="actions">
        <Button kind="accent" busy={busy} disabled={ended && !fresh} onClick={go}>
          {busy ? texts.sign.busy : texts.sign.button}
        </Button>
      </div>
    </Section>
  );
}

function Done({ draft }: { draft: Draft }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const open = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const [{ signInHere }, { identities }, { navigate }] = await Promise.all([
        import("../../work/signing-in"), import("../../device/memory"), import("../../app/router"),
      ]);
      await signInHere((await identities()).find((one) => one.credential === draft.passkey.credential));
      navigate("/policies", true);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Section title={texts.done.title}>
      <Notice kind="good" title={texts.done.lead(draft.name)} text={texts.done.forgotten} />
      <p>{texts.done.next}</p>
      <Problem title={texts.done.button} error={error} />
      <div class="actions">
        <Button kind="accent" busy={busy} onClick={open}>
          {texts.done.button}
        </Button>
      </div>
    </Section>
  );
}
