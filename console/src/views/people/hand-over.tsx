import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { HAND_OVER_WORDS } from "../../protocol/enrol";
import { handOverText as texts, personText } from "../../texts/people";
import { Button, ButtonLink, Field, Notice, Page, Problem, TextArea } from "../../ui";
import { handKeyOver } from "../../work/inviting";
import { typedWords } from "../../work/invites";

/** On the machine that has a synced key: gives it to a phone whose words were typed here. */
export function HandOver({ account }: { account: Account }) {
  const [link, setLink] = useState("");
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [done, setDone] = useState(false);
  const [error, setError] = useState<unknown>();
  const words = typedWords(text);
  const back = <ButtonLink href={`/people/${account.person}`}>{personText.back}</ButtonLink>;
  if (done)
    return (
      <Page title={texts.title} actions={back}>
        <Notice kind="good" title={texts.done} text={texts.doneText} />
      </Page>
    );
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      await handKeyOver(account, link, words);
      setDone(true);
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Page title={texts.title} lead={texts.lead} actions={back}>
      <form
        class="form"
        autocomplete="off"
        onSubmit={(event) => {
          event.preventDefault();
          if (words.length === HAND_OVER_WORDS && link && !busy) void go();
        }}
      >
        <TextArea label={texts.link} value={link} onInput={setLink} mono rows={3} />
        <Field
          label={texts.words}
          hint={texts.wordsHint(words.length, HAND_OVER_WORDS)}
          value={text}
          onInput={setText}
          mono
          autocapitalize="none"
        />
        <p class="small">{texts.why}</p>
        <p>{texts.signs}</p>
        <Problem title={texts.failed} error={error} />
        <div class="actions">
          <Button kind="accent" type="submit" busy={busy} disabled={words.length !== HAND_OVER_WORDS || !link}>
            {texts.go}
          </Button>
        </div>
      </form>
    </Page>
  );
}
