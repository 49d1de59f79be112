import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Labelled {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
}

interface InputRest {
  type?: "text" | "password" | "number" | "url" | "email" | "search" | "file" | "datetime-local";
  name?: string;
  placeholder?: string;
  autocomplete?: string;
  autocapitalize?: "off" | "none" | "on";
  inputMode?: "none" | "text" | "numeric" | "decimal" | "url" | "email" | "search";
  maxLength?: number;
  min?: number | string;
  max?: number | string;
  required?: boolean;
  readOnly?: boolean;
  disabled?: boolean;
  autofocus?: boolean;
  list?: string;
  spellcheck?: boolean;
  onBlur?: (event: FocusEvent) => void;
  onKeyDown?: (event: KeyboardEvent) => void;
}

interface FieldProps extends Labelled, InputRest {
  value: string;
  onInput: (value: string) => void;
  mono?: boolean;
}

/** One line of text with its label, hint and error; the last two are read out with it. */
export function Field({ label, hint, error, value, onInput, mono, ...rest }: FieldProps) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <input
        autocomplete="off"
        spellcheck={false}
        {...(rest as object)}
        {...described(id, hint, error)}
        id={id}
        class={mono ? "mono" : undefined}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Frame>
  );
}

type Shared = "name" | "placeholder" | "autocomplete" | "maxLength" | "required" | "readOnly" | "disabled" | "spellcheck";
type AreaRest = Pick<InputRest, Shared> & { rows?: number };

interface AreaProps extends Labelled, AreaRest {
  value: string;
  onInput: (value: string) => void;
  mono?: boolean;
}

export function TextArea({ label, hint, error, value, onInput, mono, ...rest }: AreaProps) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <textarea
        rows={4}
        autocomplete="off"
        spellcheck={false}
        {...(rest as object)}
        {...described(id, hint, error)}
        id={id}
        class={mono ? "mono" : undefined}
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Frame>
  );
}

interface SelectProps extends Labelled {
  value: string;
  options: readonly (readonly [value: string, text: string])[];
  onInput: (value: string) => void;
  disabled?: boolean;
}

export function Select({ label, hint, error, value, options, onInput, disabled }: SelectProps) {
  const id = useId();
  return (
    <Frame id={id} label={label} hint={hint} error={error}>
      <select {...described(id, hint, error)} id={id} value={value} disabled={disabled}
        onChange={(event) => onInput(event.currentTarget.value)}>
        {options.map(([each, text]) => (
          <option key={each} value={each} selected={each === value}>
            {text}
          </option>
        ))}
      </select>
    </Frame>
  );
}

interface CheckProps {
  label: ComponentChildren;
  hint?: ComponentChildren;
  checked: boolean;
  disabled?: boolean;
  onInput: (checked: boolean) => void;
}

export function Check({ label, hint, checked, disabled, onInput }: CheckProps) {
  const id = useId();
  return (
    <label class="check">
      <input type="checkbox" checked={checked} disabled={disabled} aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onInput(event.currentTarget.checked)} />
      <span>
        {label}
        {hint ? <small id={`${id}-hint`}>{hint}</small> : null}
      </span>
    </label>
  );
}

interface ChoiceProps {
  legend: string;
  value: string;
  options: readonly { value: string; label: string; hint?: string }[];
  onInput: (value: string) => void;
}

/** One of a few, all in sight: radio buttons with a line of explanation each. */
export function Choice({ legend, value, options, onInput }: ChoiceProps) {
  const name = useId();
  return (
    <fieldset class="choice">
      <legend>{legend}</legend>
      {options.map((one) => (
        <label key={one.value} class="check">
          <input type="radio" name={name} value={one.value} checked={one.value === value} onChange={() => onInput(one.value)} />
          <span>
            {one.label}
            {one.hint ? <small>{one.hint}</small> : null}
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function described(id: string, hint: ComponentChildren, error: string | undefined) {
  const by = [hint ? `${id}-hint` : "", error ? `${id}-error` : ""].filter(Boolean).join(" ");
  return { "aria-describedby": by || undefined, "aria-invalid": error ? true : undefined };
}

function Frame({ id, label, hint, error, children }: Labelled & { id: string; children: ComponentChildren }) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint ? <small id={`${id}-hint`}>{hint}</small> : null}
      {error ? (
        <small id={`${id}-error`} class="error">
          {error}
        </small>
      ) : null}
    </div>
  );
}
