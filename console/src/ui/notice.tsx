import type { ComponentChildren } from "preact";
import { signal } from "@preact/signals";
import { refusals } from "../texts/refusals";
import { ui } from "../texts/ui";

export type NoticeKind = "info" | "good" | "warn" | "danger";

interface NoticeProps {
  kind?: NoticeKind;
  title: string;
  text?: ComponentChildren;
  code?: string | undefined;
  children?: ComponentChildren;
}

const MARK: Record<NoticeKind, string> = { info: "i", good: "✓", warn: "!", danger: "×" };

/** What happened, what is safe, what to do, and a code; it stands where the thing arose. Dangers are announced at once. */
export function Notice({ kind = "info", title, text, code, children }: NoticeProps) {
  return (
    <div class={`notice ${kind}`} role={kind === "danger" ? "alert" : undefined}>
      <span class="mark" aria-hidden="true">
        {MARK[kind]}
      </span>
      <div>
        <p class="notice-title">{title}</p>
        {text ? <p>{text}</p> : null}
        {children}
        {code ? (
          <p class="notice-code">
            {ui.code}: <span class="name">{code}</span>
          </p>
        ) : null}
      </div>
    </div>
  );
}

interface Described {
  name?: string;
  code?: string;
  detail?: string;
  message?: string;
  remedy?: string;
}

/** An error as it was thrown: `Refused`, `ApiError`, or anything else. Nothing is drawn for undefined. */
export function Problem({ error, title }: { error: unknown; title: string }) {
  if (error === undefined || error === null) return null;
  const { name, code, detail, message, remedy } = error as Described;
  const words = name === "Refused" && code ? refusals[code] : undefined;
  const next = remedy || words?.remedy;
  return (
    <Notice kind="danger" title={title} text={words?.text || detail || message || String(error)}
      code={typeof code === "string" ? code : undefined}>
      {next ? <p>{next}</p> : null}
    </Notice>
  );
}

const SAID = 5_000; // milliseconds: longer than a reader needs to take it, and then nobody finds it where it is not true any more
const said = signal("");
let turn = 0;
let quiet: ReturnType<typeof setTimeout> | undefined;

/** Says `text` politely to a screen reader, once; the focus stays where it is. */
export function announce(text: string): void {
  // The same words twice are two events; without a difference in the text the second would not be read.
  turn += 1;
  said.value = text + (turn % 2 ? " " : "");
  clearTimeout(quiet);
  quiet = setTimeout(() => {
    said.value = "";
  }, SAID);
}

/** Stands once, in the shell. */
export function LiveRegion() {
  return (
    <div class="hidden" role="status" aria-live="polite">
      {said}
    </div>
  );
}
