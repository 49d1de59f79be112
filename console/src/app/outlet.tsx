import type { ComponentType } from "preact";
import { Component, type ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { app as texts } from "../texts/app";
import { Button, ButtonLink, Copy, Empty, Notice, Page, Problem, Skeleton } from "../ui";
import { lost } from "./parts";
import { arrivals, path, type Params } from "./router";
import { screenAt, type Entry } from "./screens";
import { environment, session, start } from "./session";

const loaded = new Map<Entry["load"], ComponentType<{ params: Params }>>();
const signin: Entry["load"] = () => import("../views/signin");

/** The screen of the present path, and above it what was lost of the console, if anything was. */
export function Outlet() {
  return (
    <>
      <LostPart />
      <Place />
    </>
  );
}

/** What stands in the place of the screen while nobody is signed in is a screen too. */
function Place() {
  const state = session.value;
  const found = screenAt(path.value);
  if (!found) return <Missing />;
  if (found.entry.open) return <Lazy load={found.entry.load} params={found.params} />;
  if (state === "starting") return <Waiting />;
  if (state === "unreachable") return <Unreachable />;
  if (state === "no-organisation") return <NoOrganisation />;
  if (state === "signed-out") return <Lazy load={signin} params={{}} />;
  return (
    <>
      {state === "expired" ? <Expired /> : null}
      <Lazy load={found.entry.load} params={found.params} />
    </>
  );
}

function Lazy({ load, params }: { load: Entry["load"]; params: Params }) {
  const [, drawAgain] = useState(0);
  const [error, setError] = useState<unknown>();
  const before = useRef<Entry["load"] | undefined>(undefined);
  const Screen = loaded.get(load);
  useEffect(() => {
    if (loaded.has(load)) return;
    let gone = false;
    setError(undefined);
    load().then(
      (module) => {
        loaded.set(load, module.default as unknown as ComponentType<{ params: Params }>);
        if (!gone) drawAgain((count) => count + 1);
      },
      (reason: unknown) => {
        if (!gone) setError(reason);
      },
    );
    return () => {
      gone = true;
    };
  }, [load]);
  useEffect(() => {
    if (!Screen) return;
    // Another screen: the focus goes to its heading, as after a page load. The first screen leaves it where it is.
    if (before.current && before.current !== load) document.querySelector<HTMLElement>("main h1")?.focus({ preventScroll: true });
    before.current = load;
  }, [load, Screen]);
  if (error) return <Broken error={error} />;
  if (!Screen) return <Waiting />;
  return (
    <Boundary key={`${path.value.split("/")[1] ?? ""} ${arrivals.value}`}>
      <Screen params={params} />
    </Boundary>
  );
}

/** A screen that fails to draw takes nothing else with it. */
class Boundary extends Component<{ children: ComponentChildren }, { error: unknown }> {
  override state = { error: undefined as unknown };
  static override getDerivedStateFromError(error: unknown) {
    return { error };
  }
  override render() {
    return this.state.error === undefined ? this.props.children : <Broken error={this.state.error} />;
  }
}

function Waiting() {
  return (
    <div class="page" aria-label={texts.starting}>
      <Skeleton lines={5} />
    </div>
  );
}

function Broken({ error }: { error: unknown }) {
  if (lost.value) return <Page title={texts.lostScreen} lead={texts.lostScreenText}>{null}</Page>;
  return (
    <Page title={texts.broken}>
      <p class="lead">{texts.brokenText}</p>
      <Problem title={texts.broken} error={error} />
      <div class="actions">
        <Button onClick={() => location.reload()}>{texts.reload}</Button>
      </div>
    </Page>
  );
}

/** Nothing is reloaded by itself: what somebody typed would be lost. */
function LostPart() {
  const why = lost.value;
  if (!why) return null;
  return (
    <div class="expired">
      <Notice kind="danger" title={texts.lost[why]} text={texts.lostText[why]}>
        <div class="actions">
          <Button kind="accent" onClick={() => location.reload()}>{texts.reload}</Button>
        </div>
      </Notice>
    </div>
  );
}

function Missing() {
  return (
    <Page title={texts.missing}>
      <Empty title={texts.missingText} action={<ButtonLink href="/">{texts.missingAction}</ButtonLink>} />
    </Page>
  );
}

function Unreachable() {
  return (
    <Page title={texts.unreachable} lead={texts.unreachableText}>
      <div class="actions">
        <Button onClick={start}>{texts.tryAgain}</Button>
      </div>
    </Page>
  );
}

function NoOrganisation() {
  const known = environment.value;
  return (
    <Page title={texts.noOrganisation} lead={texts.noOrganisationText}>
      <p class="name">{texts.noOrganisationCommand}</p>
      <div class="actions">
        <Copy text={texts.noOrganisationCommand} />
      </div>
      {known && !known.host_ok ? (
        <Notice kind="warn" title={texts.wrongHost} text={texts.wrongHostText(known.public_url)} />
      ) : null}
    </Page>
  );
}

function Expired() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const again = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { signInHere } = await import("../work/signing-in");
      await signInHere();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="expired">
      <Notice kind="warn" title={texts.expired} text={texts.expiredText}>
        <div class="actions">
          <Button kind="accent" busy={busy} onClick={again}>
            {texts.signInAgain}
          </Button>
        </div>
        <Problem title={texts.signInAgain} error={error} />
      </Notice>
    </div>
  );
}
