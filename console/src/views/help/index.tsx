import "./style.css";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { HELP, PLACES, SEARCH, shortcutsOn, turnShortcuts } from "../../app/shortcuts";
import { app } from "../../texts/app";
import { helpText as texts } from "../../texts/help";
import { Card, Check, Copy, Page, Section } from "../../ui";
import { Interface } from "./interface";

export default function Screen() {
  const command = `stillvault console verify ${location.origin}`;
  return (
    <Page title={texts.title} lead={texts.lead}>
      <Section title={texts.can}><Points lines={texts.canList} /></Section>
      <Section title={texts.cannot}><Points lines={texts.cannotList} /></Section>
      <Section title={texts.compare}>
        <Card>
          <p>{texts.compareText}</p>
          <pre>{command}</pre>
          <Copy text={command} />
          <p>{texts.careful}</p>
        </Card>
      </Section>
      <Section title={texts.agents}><Points lines={texts.agentsList} /></Section>
      <Keys />
      <Interface />
    </Page>
  );
}

function Points({ lines }: { lines: readonly string[] }) {
  return <ul class="help-points">{lines.map((line) => <li key={line}>{line}</li>)}</ul>;
}

const NAMES: Record<keyof typeof PLACES, keyof typeof app.places> = {
  p: "pending", s: "secrets", e: "people", c: "clients", o: "policies", l: "leases", a: "audit", n: "notifications", h: "help",
};

function Keys() {
  const [on, setOn] = useState(shortcutsOn);
  return (
    <Section title={texts.keys}>
      <Check label={texts.keysOn} hint={texts.keysOnHint} checked={on} onInput={(wanted) => {
        turnShortcuts(wanted);
        setOn(wanted);
      }} />
      <dl class="card help-keys">
        {(Object.keys(PLACES) as (keyof typeof PLACES)[]).map((key) => (
          <Key key={key} what={texts.keysTo(app.places[NAMES[key]])}><kbd>g</kbd> {texts.keysThen} <kbd>{key}</kbd></Key>
        ))}
        <Key what={texts.keysSearch}><kbd>{SEARCH}</kbd></Key>
        <Key what={texts.keysHelp}><kbd>{HELP}</kbd></Key>
        <Key what={texts.keysMove}><kbd>{texts.tab}</kbd></Key>
        <Key what={texts.keysClose}><kbd>{texts.escape}</kbd></Key>
      </dl>
      <p>{texts.keysNone}</p>
    </Section>
  );
}

function Key({ what, children }: { what: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{children}</dt>
      <dd>{what}</dd>
    </div>
  );
}
