import { useEffect, useState } from "preact/hooks";
import { useLeaveGuard } from "../../app/guard";
import { navigate, takeFragment } from "../../app/router";
import { deviceLabel } from "../../device/label";
import { join as texts } from "../../texts/join";
import { announce, Badge, Button, Card, Claim, Digest, Fact, Facts, Field, Name, Notice, Page, Problem, Skeleton, Time } from "../../ui";
import type { Begun, Joined, Joining, Opened } from "../../work/joining";
import "./style.css";

const SPOKEN = 5; // words that whoever made the invitation types
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
const roles = (names: readonly string[]) => names.map((one) => texts.roleNames[one] ?? one).join(", ");

export default function Screen() {
  // The nonce is taken out of the address bar, and lives in this page alone.
  const [fragment] = useState(takeFragment);
  const [opened, setOpened] = useState<Opened>();
  const [begun, setBegun] = useState<Begun>();
  const [joining, setJoining] = useState<Joining>();
  const [joined, setJoined] = useState<Joined>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const look = async () => {
      const { openInvite, unfinished } = await import("../../work/joining");
      const kept = await unfinished(fragment);
      if (kept) setBegun(kept);
      else setOpened(await openInvite(fragment));
    };
    look().catch(setError);
  }, []);
  useEffect(() => () => joining?.stop(), [joining]);
  const name = opened?.trust.root.name ?? begun?.name;
  return (
    <div class="join">
      <Page title={name ? texts.titleOf(name) : texts.title} lead={opened && !joining ? texts.lead : undefined}>
        {error ? <Problem title={texts.failed} error={error} /> : null}
        {!opened && !begun && !error ? <Skeleton /> : null}
        {begun && !joining ? <Unfinished begun={begun} onJoining={setJoining} /> : null}
        {opened && !joining ? <Terms opened={opened} onJoining={setJoining} /> : null}
        {joining && !joined ? (
          <Words joining={joining} failed={Boolean(error)} onJoined={setJoined} onError={setError} />
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
        <h2>{texts.signed}</h2>
        <Facts>
          <Fact label={texts.terms.organisation}>{trust.root.name}</Fact>
          <Fact label={texts.terms.org}>
            <Digest text={invitation.org} />
          </Fact>
        </Facts>
        <Claim title={texts.says}>
          <Facts>
            <Fact label={texts.terms.person}>
              <Name text={terms.subject} />
            </Fact>
            {terms.device ? (
              <Fact label={texts.terms.device}>
                <Name text={terms.device} />
              </Fact>
            ) : null}
            {terms.roles?.length ? <Fact label={texts.terms.roles}>{roles(terms.roles)}</Fact> : null}
            <Fact label={texts.terms.expires}>
              <Time at={terms.expires} />
            </Fact>
          </Facts>
          <p class="small">{texts.saysText}</p>
        </Claim>
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

/** A page that was loaded again in the midst of it: one ceremony goes on. */
function Unfinished({ begun, onJoining }: { begun: Begun; onJoining: (joining: Joining) => void }) {
  const [busy, setBusy] = useState(false);
  const [gone, setGone] = useState(false);
  const [error, setError] = useState<unknown>();
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { Joining: Begin } = await import("../../work/joining");
      onJoining(await Begin.resume(begun));
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const giveUp = async () => {
    const { forgetJoining } = await import("../../work/joining");
    await forgetJoining();
    setGone(true);
  };
  if (gone) return <Notice title={texts.gaveUp} />;
  return (
    <Card>
      <h2>{texts.unfinished}</h2>
      <p>{texts.unfinishedText(begun.name, begun.person)}</p>
      <Problem title={texts.resumeFailed} error={error} />
      <div class="actions">
        <Button kind="accent" busy={busy} onClick={go}>
          {texts.resume}
        </Button>
        <Button onClick={giveUp}>{texts.giveUp}</Button>
      </div>
    </Card>
  );
}

function Words({ joining, onJoined, onError, failed }: {
  joining: Joining;
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
  const [first, more] = [joining.words.slice(0, SPOKEN), joining.words.slice(SPOKEN)];
  return (
    <Card>
      <h2>{texts.words}</h2>
      <ol class="words">
        {first.map((word, at) => (
          <li key={at}>{word}</li>
        ))}
      </ol>
      {more.length ? (
        <>
          <h3>{texts.wordsMore}</h3>
          <ol class="words more" start={SPOKEN + 1}>
            {more.map((word, at) => (
              <li key={at}>{word}</li>
            ))}
          </ol>
          <p>{texts.wordsAll}</p>
        </>
      ) : null}
      <p class="small">{texts.wordsLead}</p>
      <p role="status">{step ? texts[step] : more.length ? texts.transferWait : texts.wordsWait}</p>
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
