import { useEffect, useState } from "preact/hooks";
import { useLeaveGuard } from "../../app/guard";
import { navigate, takeFragment } from "../../app/router";
import { deviceLabel } from "../../device/label";
import { join as texts } from "../../texts/join";
import { announce, Badge, Button, Card, Digest, Fact, Facts, Field, Notice, Page, Problem, Skeleton, Time } from "../../ui";
import type { Joined, Joining, Opened } from "../../work/joining";
import "./style.css";

const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const roles = (names: readonly string[]) => names.map((one) => texts.roleNames[one] ?? one).join(", ");

export default function Screen() {
  // The nonce is taken out of the address bar, and lives in this page alone.
  const [fragment] = useState(takeFragment);
  const [opened, setOpened] = useState<Opened>();
  const [joining, setJoining] = useState<Joining>();
  const [joined, setJoined] = useState<Joined>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    void import("../../work/joining").then(({ openInvite }) => openInvite(fragment)).then(setOpened, setError);
  }, []);
  useEffect(() => () => joining?.stop(), [joining]);
  const name = opened?.trust.root.name;
  return (
    <div class="join">
      <Page title={name ? texts.titleOf(name) : texts.title} lead={opened && !joining ? texts.lead : undefined}>
        {error ? <Problem title={texts.failed} error={error} /> : null}
        {!opened && !error ? <Skeleton /> : null}
        {opened && !joining ? <Terms opened={opened} onJoining={setJoining} /> : null}
        {opened && joining && !joined ? (
          <Words joining={joining} transfer={Boolean(opened.terms.device)} failed={Boolean(error)}
            onJoined={setJoined} onError={setError} />
        ) : null}
        {joined ? <Done joined={joined} /> : null}
      </Page>
    </div>
  );
}

/** What is joined, and the one button that begins it. */
function Terms({ opened, onJoining }: { opened: Opened; onJoining: (joining: Joining) => void }) {
  const { terms, trust, invitation } = opened;
  const [label, setLabel] = useState(deviceLabel());
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const good = label.trim() !== "" && label.length <= 64 && !HIDDEN.test(label);
  const go = async () => {
    if (!good) return;
    setBusy(true);
    setError(undefined);
    try {
      const { Joining: Begin } = await import("../../work/joining");
      onJoining(await Begin.begin(opened, label.trim()));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <form onSubmit={(event) => { event.preventDefault(); void go(); }}>
      <Card>
        <Facts>
          <Fact label={texts.terms.organisation}>{trust.root.name}</Fact>
          <Fact label={texts.terms.org}>
            <Digest text={invitation.org} />
          </Fact>
          <Fact label={texts.terms.person}>{terms.subject}</Fact>
          {terms.device ? <Fact label={texts.terms.device}>{terms.device}</Fact> : null}
          {terms.roles?.length ? <Fact label={texts.terms.roles}>{roles(terms.roles)}</Fact> : null}
          <Fact label={texts.terms.expires}>
            <Time at={terms.expires} />
          </Fact>
        </Facts>
        <Field label={texts.label} hint={texts.labelHint} value={label} onInput={setLabel} maxLength={64}
          error={good ? undefined : texts.labelBad} />
        <p class="small">{texts.uv}</p>
        <Problem title={texts.failed} error={error} />
        <Button type="submit" kind="accent" wide busy={busy}>
          {busy ? texts.busy : texts.make}
        </Button>
      </Card>
    </form>
  );
}

function Words({ joining, transfer, onJoined, onError, failed }: {
  joining: Joining;
  transfer: boolean;
  onJoined: (joined: Joined) => void;
  onError: (error: unknown) => void;
  failed: boolean;
}) {
  const [step, setStep] = useState<"proved" | "transferred">();
  useEffect(() => {
    announce(`${texts.words}: ${joining.words.join(" ")}`);
    joining.finish((reached) => {
      setStep(reached);
      announce(texts[reached]);
    }).then(onJoined, onError);
  }, [joining]);
  useLeaveGuard(!failed);
  if (failed) return null;
  return (
    <Card>
      <h2>{texts.words}</h2>
      <ol class="words">
        {joining.words.map((word, at) => (
          <li key={at}>{word}</li>
        ))}
      </ol>
      <p class="small">{texts.wordsLead}</p>
      <p role="status">{step ? texts[step] : transfer ? texts.transferWait : texts.wordsWait}</p>
    </Card>
  );
}

function Done({ joined }: { joined: Joined }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { signInHere } = await import("../../work/signing-in");
      await signInHere(joined.identity);
      navigate("/", true);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Card>
      <Notice kind="good" title={texts.done(joined.trust.root.name)}
        text={texts.doneText(joined.person.id, roles(joined.person.roles))} />
      <div>
        {joined.person.roles.map((one) => (
          <Badge key={one}>{texts.roleNames[one] ?? one}</Badge>
        ))}
      </div>
      <Problem title={texts.signIn} error={error} />
      <Button kind="accent" wide busy={busy} onClick={go}>
        {texts.signIn}
      </Button>
    </Card>
  );
}
