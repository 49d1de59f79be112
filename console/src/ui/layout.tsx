import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { ui } from "../texts/ui";

/** A screen: its one h1, what can be done on it, and its content. Sets the window's title. */
export function Page({ title, actions, lead, children }: {
  title: string;
  actions?: ComponentChildren;
  lead?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${title} · Stillvault`;
  }, [title]);
  return (
    <div class="page">
      <header class="page-head">
        <h1 tabIndex={-1}>{title}</h1>
        {actions ? <div class="actions">{actions}</div> : null}
      </header>
      {lead ? <p class="lead">{lead}</p> : null}
      {children}
    </div>
  );
}

/** A titled part of a screen. */
export function Section({ title, actions, children }: {
  title: string;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section class="section">
      <header>
        <h2>{title}</h2>
        {actions ? <div class="actions">{actions}</div> : null}
      </header>
      {children}
    </section>
  );
}

/** A surface with a hairline. `as` for when it is an article of a list. */
export function Card({ as: Tag = "div", tone, children, ...rest }: {
  as?: "div" | "section" | "article" | "li";
  tone?: "plain" | "warn" | "claim";
  children: ComponentChildren;
} & Omit<JSX.IntrinsicElements["div"], "ref" | "as">) {
  const Any = Tag as "div";
  return (
    <Any {...rest} class={`card ${tone ?? ""} ${rest.class ? String(rest.class) : ""}`}>
      {children}
    </Any>
  );
}

/** Rows under one another: two lines each on a phone, columns on a desk. */
export function List({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <ul class="list" aria-label={label}>
      {children}
    </ul>
  );
}

interface RowProps {
  title: ComponentChildren;
  detail?: ComponentChildren;
  meta?: ComponentChildren;
  /** A badge or a button at the right end. */
  end?: ComponentChildren;
  /** Makes the title a link to a detail page. */
  href?: string;
  current?: boolean;
}

export function Row({ title, detail, meta, end, href, current }: RowProps) {
  return (
    <li class={`row${current ? " current" : ""}`}>
      <div class="row-title">
        {href ? (
          <a href={href} aria-current={current ? "true" : undefined}>
            {title}
          </a>
        ) : (
          title
        )}
      </div>
      <div class="row-detail">{detail}</div>
      <div class="row-meta">{meta}</div>
      <div class="row-end">{end}</div>
    </li>
  );
}

/** Facts as label and value, the label in a left column. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

export function Fact({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Nothing is here yet, and the one next step. */
export function Empty({ title, children, action }: { title: string; children?: ComponentChildren; action?: ComponentChildren }) {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children ? <p>{children}</p> : null}
      {action}
    </div>
  );
}

/** Space held for what is being fetched, so that nothing jumps when it comes. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div class="skeleton" role="status" aria-label={ui.loading}>
      {Array.from({ length: lines }, (_, at) => (
        <span key={at} aria-hidden="true" />
      ))}
    </div>
  );
}

/** Something to open: closed at first. */
export function More({ label, open, children }: { label?: string; open?: boolean; children: ComponentChildren }) {
  return (
    <details class="more" open={open}>
      <summary>{label ?? ui.more}</summary>
      {children}
    </details>
  );
}

/** Read out, not seen. */
export function Hidden({ children }: { children: ComponentChildren }) {
  return <span class="hidden">{children}</span>;
}
