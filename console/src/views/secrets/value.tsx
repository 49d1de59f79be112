// Where a value enters: never a signal, never state. It lies in the input until it is sealed, and `take` copies it into bytes that
// the caller wipes; `clear` empties the input, also when the screen goes.
import type { RefObject } from "preact";
import { useEffect, useId, useImperativeHandle, useRef, useState } from "preact/hooks";
import type { Bytes } from "../../protocol/text";
import { sealText as texts } from "../../texts/secrets";
import { Button, Check, Field, Select } from "../../ui";
import { ALPHABETS, LONGEST, SHORTEST, generate, strength, type Alphabet } from "../../work/generating";
import { VALUE_LIMIT, bytesOf } from "../../work/sealing";
import { Stopped } from "../../work/stopped";

/** The value as it stands: `once` asks to show it after it was sealed. */
export interface ValueSource {
  take(): Promise<{ value: Bytes; once: boolean }>;
  clear(): void;
}
type Source = RefObject<ValueSource | null>;

const refused = (text: string): Stopped => new Stopped("value", { text, remedy: "" }, "value");

export function TextValue({ source }: { source: Source }) {
  const area = useRef<HTMLTextAreaElement>(null);
  const [count, setCount] = useState(0);
  const [hidden, setHidden] = useState(true);
  const id = useId();
  const tooLarge = count > VALUE_LIMIT;
  useImperativeHandle(source, () => ({
    take: async () => {
      const value = bytesOf(area.current?.value ?? "");
      if (value.length === 0) throw refused(texts.nothing);
      return { value, once: false };
    },
    clear: () => {
      if (area.current) area.current.value = "";
      setCount(0);
    },
  }), []);
  useClearing(area, () => setCount(0));
  return (
    <div class="field">
      <label for={id}>{texts.text}</label>
      <textarea
        ref={area} id={id} rows={6} class={`mono${hidden ? " secrets-masked" : ""}`} autocomplete="off" autocorrect="off"
        autocapitalize="off" spellcheck={false} data-1p-ignore data-lpignore="true" translate={false}
        aria-describedby={`${id}-count ${id}-hint`} aria-invalid={tooLarge}
        onInput={(event) => {
          const bytes = bytesOf(event.currentTarget.value);
          setCount(bytes.length);
          bytes.fill(0);
        }}
      />
      <p id={`${id}-count`} class={tooLarge ? "error" : "small"}>
        {tooLarge ? texts.tooLarge(count, VALUE_LIMIT) : texts.bytes(count, VALUE_LIMIT)}
      </p>
      <small id={`${id}-hint`}>{texts.textHint}</small>
      <div class="flush"><Button kind="quiet" onClick={() => setHidden(!hidden)}>{hidden ? texts.show : texts.hide}</Button></div>
    </div>
  );
}

export function FileValue({ source }: { source: Source }) {
  const input = useRef<HTMLInputElement>(null);
  const [size, setSize] = useState<number>();
  const id = useId();
  const tooLarge = size !== undefined && size > VALUE_LIMIT;
  const error = tooLarge ? texts.tooLarge(size, VALUE_LIMIT) : size === 0 ? texts.fileEmpty : "";
  useImperativeHandle(source, () => ({
    take: async () => {
      const file = input.current?.files?.[0];
      if (!file || file.size === 0) throw refused(texts.nothing);
      if (file.size > VALUE_LIMIT) throw refused(texts.tooLarge(file.size, VALUE_LIMIT));
      return { value: new Uint8Array(await file.arrayBuffer()), once: false };
    },
    clear: () => {
      if (input.current) input.current.value = "";
      setSize(undefined);
    },
  }), []);
  useClearing(input, () => setSize(undefined));
  return (
    <div class="field">
      <label for={id}>{texts.file}</label>
      <input ref={input} id={id} type="file" aria-describedby={`${id}-size`} aria-invalid={Boolean(error)}
        onChange={(event) => setSize(event.currentTarget.files?.[0]?.size)} />
      <p id={`${id}-size`} class={error ? "error" : "small"}>
        {error || (size === undefined ? "" : texts.bytes(size, VALUE_LIMIT))}
      </p>
    </div>
  );
}

export function GeneratedValue({ source }: { source: Source }) {
  const [length, setLength] = useState("32");
  const [alphabet, setAlphabet] = useState<Alphabet>("letters");
  const [once, setOnce] = useState(false);
  const wanted = /^[0-9]{1,4}$/.test(length) ? Number(length) : 0;
  const fits = wanted >= SHORTEST && wanted <= LONGEST;
  useImperativeHandle(source, () => ({
    take: async () => {
      if (!fits) throw refused(texts.lengthHint(SHORTEST, LONGEST));
      return { value: generate(wanted, alphabet, (count) => crypto.getRandomValues(new Uint8Array(count))), once };
    },
    clear: () => {},
  }), [wanted, fits, alphabet, once]);
  return (
    <>
      <Field label={texts.length} inputMode="numeric" value={length} onInput={setLength}
        hint={fits ? `${texts.lengthHint(SHORTEST, LONGEST)}. ${texts.strength(strength(wanted, alphabet))}.` : undefined}
        error={fits ? undefined : texts.lengthHint(SHORTEST, LONGEST)} />
      <Select label={texts.alphabet} value={alphabet} onInput={(value) => setAlphabet(value as Alphabet)}
        options={(Object.keys(ALPHABETS) as Alphabet[]).map((one) => [one, texts.alphabets[one]] as const)} />
      <Check label={texts.once} hint={texts.onceHint} checked={once} onInput={setOnce} />
    </>
  );
}

/** Nothing stays in an input whose screen has gone: browsers keep pages for the way back. It clears its own input alone: when one kind
 *  of value takes another's place, the one that goes is heard last, and `source` is the other's by then. */
function useClearing(input: RefObject<HTMLInputElement | HTMLTextAreaElement | null>, emptied: () => void): void {
  useEffect(() => {
    const own = input.current;
    const clear = () => {
      if (own) own.value = "";
    };
    const leave = () => {
      clear();
      emptied();
    };
    window.addEventListener("pagehide", leave);
    return () => {
      window.removeEventListener("pagehide", leave);
      clear();
    };
  }, []);
}
