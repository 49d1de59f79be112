// One card, top to bottom: secret, program and the chain that started it, host and account, time; then how it was sealed and
// measured; then what to look at twice; last and apart, what the caller says. Everything above comes out of verified objects.
import type { ComponentChildren } from "preact";
import { pending as texts } from "../../texts/pending";
import { Digest, exact, More, Name, Progress, Time, TimeLeft } from "../../ui";
import { type Card, codeOf, codeRequired, progress, rules, windowOf } from "../../work/approving/card";
import type { Entry } from "../../work/approving/entries";
import { Claims } from "./claims";
import { FIRST_SECRETS, fold, type Measured } from "./folding";
import { Marks } from "./marks";

/** Which folded parts are open, and how to open one. */
export interface Opened {
  has: (part: string) => boolean;
  open: (part: string) => void;
}

interface CardProps {
  entry: Entry;
  opened: Opened;
  nameOf: (person: string) => string;
  /** The code is to be typed, and so is not shown. */
  typed: boolean;
  level?: "h1" | "h2";
}

export function CardBody({ entry, opened, nameOf, typed, level = "h1" }: CardProps) {
  const { card } = entry;
  const { request, cert } = card.facts[0];
  const { observed } = request;
  const at = (part: string) => `${card.id}/${part}`;
  return (
    <article class="prompt" aria-labelledby={`card-${card.id}`}>
      <Secrets card={card} opened={opened} level={level} />
      <dl class="evidence">
        <Piece label={texts.program}>
          <Long kind="exe" text={observed.exe} part={at("exe")} opened={opened} />
          <Chain card={card} />
        </Piece>
        <Piece label={texts.host}>
          <Long kind="host" text={card.facts[0].prompt.host} part={at("host")} opened={opened} />
          <span class="aside">
            <Long kind="user" text={observed.user} part={at("user")} opened={opened} /> {texts.uid(observed.uid)}
          </span>
        </Piece>
        <Piece label={texts.when}>
          <span class="when">
            <Time at={request.issued} />
            {entry.ended ? null : <TimeLeft from={request.issued} until={request.expires} />}
          </span>
        </Piece>
        {typed || entry.ended ? null : (
          <Piece label={texts.code}>
            <span class="code">{codeOf(card)}</span>
            <span class="aside">{texts.codeHint}</span>
          </Piece>
        )}
        <Quorum card={card} nameOf={nameOf} />
      </dl>
      <dl class="evidence small">
        {card.facts.map(({ secret }) => (
          <Piece key={secret.core.path} label={texts.sealed}>
            <Time at={secret.core.sealed} /> {texts.sealedBy(nameOf(secret.core.by.person))}
            {card.facts.length > 1 ? <span class="aside"><Name text={secret.core.path} /></span> : null}
          </Piece>
        ))}
        {observed.unit === undefined ? null : <Piece label={texts.unit}><Name text={observed.unit} /></Piece>}
        {observed.container === undefined ? null : <Piece label={texts.container}><Name text={observed.container} /></Piece>}
        <Piece label={texts.grade}>{texts.grades[observed.grade]}</Piece>
        <Piece label={texts.digest}><Digest text={observed.exe_sha256} /></Piece>
        <Piece label={texts.window}>{windowOf(card) ? texts.windowUpTo(windowOf(card)) : texts.once}</Piece>
      </dl>
      <More label={texts.details}>
        <dl class="evidence small">
          <Piece label={texts.client}><Name text={cert.subject} /></Piece>
          <Piece label={texts.policy}>
            <Name text={[...new Set(card.facts.map((one) => rules(one.request, one.secret, one.policy).id))].join(", ")} />
          </Piece>
          <Piece label={texts.when}>{texts.whenExact(exact(request.issued), exact(entry.seen))}</Piece>
        </dl>
      </More>
      <Marks entry={entry} />
      <Claims claimed={request.claimed} />
    </article>
  );
}

function Secrets({ card, opened, level: Heading }: { card: Card; opened: Opened; level: "h1" | "h2" }) {
  const part = `${card.id}/secrets`;
  const folded = card.facts.length > FIRST_SECRETS && !opened.has(part);
  const shown = folded ? card.facts.slice(0, FIRST_SECRETS) : card.facts;
  const several = card.facts.length > 1;
  return (
    <header class={`names${several ? " several" : ""}${card.facts.length > 8 ? " crowd" : ""}`}>
      <Heading id={`card-${card.id}`} tabIndex={-1}>
        {several ? <span class="hidden">{texts.secrets(card.facts.length)}: </span> : null}
        {shown.map(({ secret }) => (
          <span key={secret.core.path} class={`secret ${sizeOf(secret.core.path, several)}`}>
            <Name text={secret.core.path} />
            <small>{texts.version(secret.core.version, secret.core.revision)}</small>
          </span>
        ))}
      </Heading>
      {folded ? (
        <button type="button" class="unfold" onClick={() => opened.open(part)}>
          {texts.showSecrets(card.facts.length - FIRST_SECRETS)}
        </button>
      ) : null}
    </header>
  );
}

/** Long names are set smaller, so that the other facts stay in sight; none is cut. */
function sizeOf(path: string, several: boolean): "large" | "medium" | "small" | "least" {
  if (path.length > 120) return "least";
  if (path.length > 72) return "small";
  return several || path.length > 36 ? "medium" : "large";
}

function Piece({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A measured value; one that is very long shows its ends until it is opened. */
function Long({ kind, text, part, opened }: { kind: Measured; text: string; part: string; opened: Opened }) {
  const folded = fold(kind, text);
  if (!folded || opened.has(part)) return <span class={text.length > 32 ? "long" : undefined}><Name text={text} /></span>;
  return (
    <span class="long">
      <Name text={folded.head} />
      <button type="button" class="unfold inline" aria-expanded={false} onClick={() => opened.open(part)}>
        {texts.showMiddle(folded.hidden)}
      </button>
      <Name text={folded.tail} />
    </span>
  );
}

/** Who started the program, nearest first. The first is in sight, the others one tap away. */
function Chain({ card }: { card: Card }) {
  const { chain } = card.facts[0].request.observed;
  const [first, ...more] = chain;
  if (!first) return null;
  const short = fold("exe", first.exe) === undefined;
  return (
    <div class="chain">
      <span class="aside">{texts.startedBy} </span>
      {short ? <Name text={first.exe} /> : null}
      {more.length || !short ? (
        <details>
          <summary>{short ? texts.more(more.length) : texts.ancestors(chain.length)}</summary>
          <ol tabIndex={0} aria-label={texts.startedBy}>
            {(short ? more : chain).map((one, at) => (
              <li key={at}>
                <Name text={one.exe} /> <Digest text={one.exe_sha256} />
              </li>
            ))}
          </ol>
        </details>
      ) : null}
    </div>
  );
}

function Quorum({ card, nameOf }: { card: Card; nameOf: (person: string) => string }) {
  const { needed, by } = progress(card);
  if (needed < 2) return null;
  return (
    <Piece label={texts.quorum}>
      <Progress filled={Math.min(by.length, needed)} total={needed} names={by.map(nameOf)} />
    </Piece>
  );
}

export const needsCode = (card: Card, ramp: boolean): boolean => codeRequired(card) || ramp;
