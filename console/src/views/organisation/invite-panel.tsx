import "./style.css";
import { wordlist } from "@scure/bip39/wordlists/english.js";
import { useEffect, useState } from "preact/hooks";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import { invitePanel as texts } from "../../texts/organisation";
import {
  announce,
  Button,
  ButtonLink,
  Card,
  Copy,
  Empty,
  Field,
  Notice,
  Page,
  Problem,
  Section,
  Skeleton,
  TimeLeft,
} from "../../ui";
import { Qr } from "../../ui/qr";
import { confirm, type Confirmed } from "../../work/inviting";
import { cancelInvite, granted, invitesOf, INVITE_LIFE, typedWords, type Granted } from "../../work/invites";
import { useLoad } from "../loading";
import { AGENT, AgentIdentity } from "./identity";
import { LoadFailed } from "./load-failed";

const LOOK = 3000; // milliseconds between looks, where an event was missed
const WORDS = 5;

/** One invite: its link, how far the joiner is, and the five words. */
export function InvitePanel({ account, invite, back }: { account: Account; invite: string; back: string }) {
  const [done, setDone] = useState<Confirmed>();
  const [cancelled, setCancelled] = useState(false);
  const found = useLoad(async () => {
    const given = (await granted(account)).find((one) => one.invite === invite);
    return { given, row: (await invitesOf(account)).find((one) => one.invite === invite) };
  }, [account, invite]);
  useEffect(() => {
    if (done || cancelled) return;
    const stop = subscribe((event) => event.kind === "enrol" && found.again());
    const timer = setInterval(found.again, LOOK);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [found.again, done, cancelled]);
  const state = found.data?.row?.state ?? "open";
  useEffect(() => {
    if (state === "joined") announce(texts.states["joined"] ?? "");
  }, [state]);
  if (done) return <Joined done={done} back={back} />;
  const given = found.data?.given;
  if (!given) {
    return (
      <Page title={texts.waiting} actions={<ButtonLink href={back}>{texts.back}</ButtonLink>}>
        <LoadFailed title={texts.loadFailed} of={found} />
        {found.data ? <Empty title={texts.gone}>{texts.goneText}</Empty> : <Skeleton lines={5} />}
      </Page>
    );
  }
  const over = cancelled || ["cancelled", "expired", "confirmed"].includes(state);
  return (
    <Page title={titleOf(given)} actions={<ButtonLink href={back}>{texts.back}</ButtonLink>}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {over ? <Notice kind="warn" title={cancelled ? texts.cancelled : (texts.states[state] ?? state)} /> : null}
      {over || state !== "open" ? null : <Link given={given} />}
      {over || given.kind !== "client" ? null : <AgentIdentity subject={given.subject} host={given.host} />}
      {over ? null : (
        <>
          <p role="status">
            <strong>{texts.states[state]}</strong>
          </p>
          <TimeLeft from={given.created} until={given.created + INVITE_LIFE} />
          {state === "open" ? null : (
            <WordsForm account={account} given={given} transferred={found.data?.row?.transferred ?? false} onDone={setDone} />
          )}
          <Cancel account={account} given={given} onDone={() => setCancelled(true)} />
        </>
      )}
    </Page>
  );
}

function titleOf(given: Granted): string {
  if (given.kind === "client") return texts.client(given.subject);
  return given.device ? texts.passkey(given.device) : texts.person(given.subject);
}

function Link({ given }: { given: Granted }) {
  const client = given.kind === "client";
  const shown = client ? texts.command(given.url) : given.url;
  return (
    <Card class={client ? undefined : "invite-link"}>
      <div class="stack">
        <p>{client ? (given.subject.startsWith(AGENT) ? texts.giveAgent : texts.giveClient)(given.host) : texts.givePerson}</p>
        <p class="link-box mono" tabIndex={0} aria-label={texts.link} role="group">
          {shown}
        </p>
        <Copy text={shown} label={client ? texts.copyCommand : texts.copyLink} />
        <p class="small">{texts.secret}</p>
      </div>
      {client ? null : <Qr text={given.url} label={texts.qr} />}
    </Card>
  );
}

function WordsForm({
  account,
  given,
  transferred,
  onDone,
}: {
  account: Account;
  given: Granted;
  transferred: boolean;
  onDone: (done: Confirmed) => void;
}) {
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const words = typedWords(text);
  const typing = /[\s,.]$/.test(text) || words.length > WORDS ? words : words.slice(0, -1); // the last one may not be whole yet
  const strange = typing.find((one) => !wordlist.includes(one));
  const passkey = given.kind === "person" ? given.device : undefined;
  const here = passkey !== undefined && given.subject === account.person && passkey === account.device;
  const waits = passkey !== undefined && !here && !transferred;
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      onDone(await confirm(account, given, words, here));
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Section title={texts.wordsTitle}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault();
          if (words.length === WORDS && !busy && !waits) void go();
        }}
      >
        <p>{texts.wordsText}</p>
        {passkey ? (
          <p role="status">{transferred ? texts.handedOver : here ? texts.handOver : texts.handOverElsewhere(given.subject)}</p>
        ) : null}
        <Field
          label={texts.words}
          hint={texts.wordsHint(words.length)}
          value={text}
          onInput={setText}
          mono
          autocapitalize="none"
          autofocus
          error={strange === undefined ? undefined : texts.unknownWord(strange)}
        />
        <p>{willSign(given)}</p>
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button kind="accent" type="submit" busy={busy} disabled={words.length !== WORDS || waits}>
            {texts.confirm}
          </Button>
        </div>
      </form>
    </Section>
  );
}

function willSign(given: Granted): string {
  if (given.kind === "client") return texts.willSignClient(given.subject, given.host, given.scopes);
  return given.device ? texts.willSignPasskey(given.device) : texts.willSignPerson(given.subject, given.roles);
}

function Cancel({ account, given, onDone }: { account: Account; given: Granted; onDone: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  return (
    <div class="stack">
      <Problem title={texts.failed} error={error} />
      <div class="actions">
        <Button
          busy={busy}
          onClick={async () => {
            setBusy(true);
            try {
              await cancelInvite(account, given.invite);
              onDone();
            } catch (reason) {
              setError(reason);
            } finally {
              setBusy(false);
            }
          }}
        >
          {texts.cancel}
        </Button>
      </div>
    </div>
  );
}

function Joined({ done, back }: { done: Confirmed; back: string }) {
  const [title, text] =
    done.kind === "client"
      ? [texts.doneClient(done.subject), texts.doneClientText]
      : done.kind === "passkey"
        ? [texts.donePasskey(done.device), texts.donePasskeyText]
        : [texts.donePerson(done.subject, done.device), texts.donePersonText];
  return (
    <Page title={title} actions={<ButtonLink href={back}>{texts.back}</ButtonLink>}>
      <Notice kind="good" title={title} text={text} />
      {done.kind === "client" ? <AgentIdentity subject={done.subject} host={done.host} /> : null}
      {done.kind === "person" ? (
        <div class="actions">
          <ButtonLink href="/policies?reseal=">{texts.sealAgain}</ButtonLink>
        </div>
      ) : null}
    </Page>
  );
}
