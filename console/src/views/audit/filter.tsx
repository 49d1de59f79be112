import { useState } from "preact/hooks";
import { KINDS, auditText as texts } from "../../texts/audit";
import { Button, Field, More, Select } from "../../ui";
import type { Filter } from "../../work/auditing";

export const NOTHING: Filter = { kind: "", actor: "", secret: "", host: "", from: 0, until: 0 };

export function FilterForm({ filter, change }: { filter: Filter; change: (filter: Filter) => void }) {
  const [times, setTimes] = useState({ from: "", until: "" });
  const time = (name: "from" | "until") => (text: string) => {
    setTimes({ ...times, [name]: text });
    const at = text === "" ? 0 : Math.floor(new Date(text).getTime() / 1000);
    change({ ...filter, [name]: Number.isFinite(at) ? Math.max(0, at) : 0 });
  };
  const part = (name: "actor" | "secret" | "host") => (text: string) => change({ ...filter, [name]: text.trim() });
  return (
    <More label={texts.filter}>
      <form class="audit-filter" autocomplete="off" onSubmit={(event) => event.preventDefault()}>
        <Select label={texts.kind} value={filter.kind} onInput={(kind) => change({ ...filter, kind })}
          options={[["", texts.anyKind], ...KINDS.map((kind) => [kind, kind] as const)]} />
        <Field label={texts.actor} value={filter.actor} onInput={part("actor")} />
        <Field label={texts.secret} mono value={filter.secret} onInput={part("secret")} />
        <Field label={texts.host} mono value={filter.host} onInput={part("host")} />
        <Field label={texts.from} type="datetime-local" value={times.from} onInput={time("from")} />
        <Field label={texts.until} type="datetime-local" value={times.until} onInput={time("until")} />
        <div class="actions">
          <Button onClick={() => {
            setTimes({ from: "", until: "" });
            change(NOTHING);
          }}>{texts.clear}</Button>
        </div>
      </form>
    </More>
  );
}
