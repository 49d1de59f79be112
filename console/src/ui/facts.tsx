import { useComputed } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { Fragment } from "preact";
import { useState } from "preact/hooks";
import { ui } from "../texts/ui";
import { Button } from "./button";
import { now } from "./clock";
import { dateOf, duration, exact, relative } from "./format";

/** A path, host or file name in monospace; breaks after `/`, `-`, `.` and `_`, is never cut. */
export function Name({ text, size }: { text: string; size?: "large" }) {
  const parts = text.split(/(?<=[/\-._:@])/);
  return (
    <span class={`name${size ? ` ${size}` : ""}`}>
      {parts.map((part, at) => (
        <Fragment key={at}>
          {part}
          {at < parts.length - 1 ? <wbr /> : null}
        </Fragment>
      ))}
    </span>
  );
}

/** A moment in unix seconds: relative under a day, the exact time on hover; `whole` shows both. */
export function Time({ at, whole }: { at: number; whole?: boolean }) {
  const text = useComputed(() => relative(at, now.value));
  return (
    <time dateTime={dateOf(at).toISOString()} title={exact(at)}>
      {whole ? exact(at) : relativeNow(at, text.value)}
    </time>
  );
}

// `at` may change under a computed that closed over the old one: the signal only says when to look again.
function relativeNow(at: number, _changed: string): string {
  return relative(at, now.peek());
}

/** Time left until `until` (unix seconds) as a thin bar with a number. */
export function TimeLeft({ from, until }: { from: number; until: number }) {
  const left = Math.max(0, until - now.value);
  const share = until > from ? Math.min(1, left / (until - from)) : 0;
  return (
    <span class={`time-left${left <= 30 ? " short" : ""}`}>
      <span class="bar" aria-hidden="true">
        <span style={{ width: `${(share * 100).toFixed(2)}%` }} />
      </span>
      <span class="number">{left > 0 ? ui.left(duration(left)) : ui.over}</span>
    </span>
  );
}

type Tone = "plain" | "warn" | "good" | "danger";

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

/** The ground on which everything stands that the caller said about itself. */
export function Claim({ title = ui.callerSays, children }: { title?: string; children: ComponentChildren }) {
  return (
    <div class="claim" role="group" aria-label={title}>
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** A digest: its first characters, the whole on a tap. */
export function Digest({ text, length = 12 }: { text: string; length?: number }) {
  const [whole, setWhole] = useState(false);
  if (text.length <= length) return <span class="name">{text}</span>;
  return (
    <button type="button" class="digest" aria-expanded={whole} title={whole ? ui.showShort : ui.showWhole}
      onClick={() => setWhole(!whole)}>
      {whole ? text.match(/.{1,8}/g)?.map((part, at) => (
        <Fragment key={at}>
          {part}
          <wbr />
        </Fragment>
      )) : `${text.slice(0, length)}…`}
    </button>
  );
}

/** Quorum: one dot a person, filled when verified, with the names of those who did. */
export function Progress({ filled, total, names = [] }: { filled: number; total: number; names?: readonly string[] }) {
  return (
    <span class="progress">
      <span class="dots" role="img" aria-label={ui.people(filled, total)}>
        {Array.from({ length: total }, (_, at) => (
          <span key={at} class={at < filled ? "dot filled" : "dot"} />
        ))}
      </span>
      <span>
        {ui.people(filled, total)}
        {names.length ? `: ${names.join(", ")}` : null}
      </span>
    </span>
  );
}

/** Copies `text`; says whether that worked. */
export function Copy({ text, label = ui.copy }: { text: string; label?: string }) {
  const [state, setState] = useState<"" | "copied" | "failed">("");
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
    } catch {
      setState("failed");
    }
  };
  return (
    <span class="copy">
      <Button kind="quiet" onClick={copy}>
        {label}
      </Button>
      <span role="status">{state === "copied" ? ui.copied : state === "failed" ? ui.copyFailed : ""}</span>
    </span>
  );
}
