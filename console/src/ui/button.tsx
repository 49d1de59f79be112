import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { ui } from "../texts/ui";

export type ButtonKind = "plain" | "accent" | "danger" | "quiet";

interface ButtonProps extends Omit<JSX.IntrinsicElements["button"], "onClick"> {
  kind?: ButtonKind;
  /** Work is under way: the button keeps its place and its focus, says so, and takes no click. */
  busy?: boolean;
  /** Milliseconds as by Date.now(): clicks before it change nothing. The button is drawn unarmed until then. */
  armedFrom?: number;
  wide?: boolean;
  onClick?: (event: MouseEvent) => unknown;
  children: ComponentChildren;
}

/** A button. It stays focusable while busy or unarmed (aria-disabled), so that the keyboard never loses its place. */
export function Button(
  { kind = "plain", busy, armedFrom, wide, onClick, disabled, class: extra, children, ...rest }: ButtonProps,
) {
  const unarmed = useUnarmed(armedFrom);
  const held = Boolean(busy || disabled || unarmed);
  return (
    <button
      type="button"
      {...rest}
      class={`button ${kind}${wide ? " wide" : ""}${unarmed ? " unarmed" : ""}${extra ? ` ${String(extra)}` : ""}`}
      aria-disabled={held}
      aria-busy={busy ? true : undefined}
      title={unarmed ? ui.arming : rest.title}
      onClick={(event) => {
        // The clock decides at the click itself: what is drawn may lag behind it.
        if (busy || disabled || (armedFrom !== undefined && Date.now() < armedFrom)) {
          event.preventDefault();
          return;
        }
        onClick?.(event);
      }}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : null}
      <span>{children}</span>
    </button>
  );
}

function useUnarmed(armedFrom: number | undefined): boolean {
  const [, drawAgain] = useState(0);
  const left = armedFrom === undefined ? 0 : armedFrom - Date.now();
  useEffect(() => {
    if (left <= 0) return;
    const timer = setTimeout(() => drawAgain((count) => count + 1), left + 1);
    return () => clearTimeout(timer);
  }, [armedFrom, left > 0]);
  return left > 0;
}

interface LinkProps {
  href: string;
  kind?: ButtonKind;
  children: ComponentChildren;
}

/** A link that looks like a button: it goes somewhere and does nothing. */
export function ButtonLink({ href, kind = "plain", children }: LinkProps) {
  return (
    <a class={`button ${kind}`} href={href}>
      <span>{children}</span>
    </a>
  );
}
