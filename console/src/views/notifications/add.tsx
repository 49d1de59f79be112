import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { notificationsText as texts } from "../../texts/notifications";
import { Button, Copy, Dialog, Field, Notice, Problem, Section, Select } from "../../ui";
import { webhookKey } from "../../work/notifying";
import { FIELDS, FILLED, freeName, type Given, type Targets } from "../../work/targets";

/** A new target, of the kinds that the operator's settings leave possible. */
export function AddTarget({ api, found, changed }: { api: Account["api"]; found: Targets; changed: () => void }) {
  const kinds = FILLED.filter((kind) => found.kinds.includes(kind));
  const [kind, setKind] = useState(kinds[0]);
  const [own, setOwn] = useState<string>();
  const [given, setGiven] = useState<Given>({});
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [key, setKey] = useState<string>();
  if (!kind) return <Notice title={texts.noEgress} text={texts.noEgressText} />;
  const { fields, optional } = FIELDS[kind];
  const name = own ?? freeName(kind, found.targets);

  const save = async () => {
    setBusy(true);
    setError(undefined);
    const secret = kind === "webhook" ? webhookKey() : "";
    try {
      const filled = Object.fromEntries(fields.map((field) => [field, given[field]?.trim() ?? ""]).filter(([, text]) => text));
      await api.post("/v1/targets", { kind, name, ...filled, ...(secret ? { secret } : {}) });
      setGiven({});
      setOwn(undefined);
      if (secret) setKey(secret);
      changed();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  const label = (field: keyof Given): string => {
    if (field === "url" && kind === "webhook") return texts.fields.urlWebhook;
    return field === "token" && kind === "gotify" ? texts.fields.tokenGotify : texts.fields[field];
  };
  const hint = (field: keyof Given): string | undefined => {
    if (field === "url") return texts.hints.url(found.hosts);
    return field === "topic" ? texts.hints.topic : field === "token" && kind === "ntfy" ? texts.hints.token : undefined;
  };
  return (
    <Section title={texts.add}>
      <form class="form" autocomplete="off" onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}>
        <Select label={texts.kind} value={kind} hint={texts.sends[kind]}
          options={kinds.map((one) => [one, texts.kinds[one]] as const)} onInput={(value) => {
            setKind(value as typeof kind);
            setGiven({});
            setError(undefined);
          }} />
        {fields.map((field) => (
          <Field key={`${kind} ${field}`} label={label(field)} hint={hint(field)} mono required={!optional.includes(field)}
            type={field === "token" ? "password" : field === "address" ? "email" : field === "url" ? "url" : "text"}
            autocomplete={field === "token" ? "new-password" : "off"}
            value={given[field] ?? ""} onInput={(value) => setGiven({ ...given, [field]: value })} />
        ))}
        <Field label={texts.name} hint={texts.nameHint} mono value={name} onInput={setOwn} required />
        <Problem title={texts.changeFailed} error={error} />
        <div class="actions"><Button kind="accent" type="submit" busy={busy}>{texts.save}</Button></div>
      </form>
      <Dialog open={key !== undefined} title={texts.key} onClose={() => setKey(undefined)} closeLabel={texts.keyClose}>
        <p>{texts.keyText}</p>
        <pre>{key}</pre>
        {key === undefined ? null : <Copy text={key} />}
      </Dialog>
    </Section>
  );
}
