import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { ui } from "../texts/ui";
import { Button } from "./button";

interface DialogProps {
  open: boolean;
  title: string;
  onClose: () => void;
  /** Buttons at the end; the least harmful first. A closing button is always there. */
  actions?: ComponentChildren;
  closeLabel?: string;
  children: ComponentChildren;
}

/** The browser's own modal dialog: it traps focus, closes on Escape, and gives the focus back where it was. */
export function Dialog({ open, title, onClose, actions, closeLabel, children }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog ref={element} aria-labelledby={id} onClose={onClose}>
      {open ? (
        <div class="dialog">
          <h2 id={id}>{title}</h2>
          {children}
          <div class="actions">
            <Button onClick={() => element.current?.close()}>{closeLabel ?? (actions ? ui.cancel : ui.close)}</Button>
            {actions}
          </div>
        </div>
      ) : null}
    </dialog>
  );
}
