import { useState } from "preact/hooks";
import { navigate } from "../../app/router";
import type { Account } from "../../device/account";
import { clientText, gradeText, inviteClientText as texts } from "../../texts/clients";
import { Button, ButtonLink, Choice, Field, Page, Problem, TextArea } from "../../ui";
import { invite } from "../../work/invites";

export function InviteClient({ account }: { account: Account }) {
  const [kind, setKind] = useState("host");
  const [name, setName] = useState("");
  const [host, setHost] = useState("");
  const [scopes, setScopes] = useState("");
  const [grade, setGrade] = useState<"system" | "user">("system");
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const make = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const shown = kind === "host" ? name.trim() : host.trim();
      const made = await invite(account, {
        kind: "client",
        subject: `${kind}/${name.trim()}`,
        host: shown,
        grade,
        scopes: scopes.split(/[\s,]+/).filter(Boolean),
      });
      navigate(`/clients?invited=${made.invite}`, true);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  const choose = (value: string) => {
    setKind(value);
    setGrade(value === "host" ? "system" : "user");
  };
  return (
    <Page title={texts.title} lead={texts.lead} actions={<ButtonLink href="/clients">{clientText.back}</ButtonLink>}>
      <form
        class="form"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          if (!busy) void make();
        }}
      >
        <Choice legend={texts.kind} value={kind} options={texts.kinds} onInput={choose} />
        <Field label={texts.name} hint={texts.nameHint(kind)} value={name} onInput={setName} mono autocapitalize="none" />
        {kind === "agent" ? (
          <Field label={texts.host} hint={texts.hostHint} value={host} onInput={setHost} mono autocapitalize="none" />
        ) : null}
        <TextArea label={texts.scopes} hint={texts.scopesHint} value={scopes} onInput={setScopes} mono rows={3} />
        <Choice
          legend={texts.grade}
          value={grade}
          onInput={(value) => setGrade(value as "system" | "user")}
          options={Object.entries(gradeText).map(([value, { label, hint }]) => ({ value, label, hint }))}
        />
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button kind="accent" type="submit" busy={busy}>
            {texts.make}
          </Button>
        </div>
      </form>
    </Page>
  );
}
