import { useEffect, useState } from "preact/hooks";
import { navigate, path } from "../../app/router";
import { environment, session, trouble } from "../../app/session";
import { app } from "../../texts/app";
import { signin as texts } from "../../texts/signin";
import { Button, Card, More, Notice, Page, Problem } from "../../ui";
import "./style.css";

/** Stands at /signin, and in the place of any screen while nobody is signed in; then that screen comes. */
export default function Screen() {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [before, setBefore] = useState("");
  const known = environment.value;
  useEffect(() => {
    const kept = import("../../device/memory").then(({ identities }) => identities());
    kept.then((found) => setBefore(found[0]?.person ?? ""), () => {});
    import("../../work/signing-in").catch(() => {}); // fetched before the button is pressed: a passkey prompt must follow the press at once
  }, []);
  useEffect(() => {
    if (session.value === "signed-in" && path.value === "/signin") navigate("/", true);
  }, [session.value, path.value]);
  const go = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { signInHere } = await import("../../work/signing-in");
      await signInHere(undefined);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <div class="signin">
      <Page title={texts.title} lead={texts.lead}>
        {known && !known.host_ok ? <Notice kind="warn" title={app.wrongHost} text={app.wrongHostText(known.public_url)} /> : null}
        <Card>
          {known?.name ? (
            <p>
              <span class="small">{texts.where}</span>
              <br />
              <strong>{known.name}</strong>
            </p>
          ) : null}
          {before ? <p class="small">{texts.before(before)}</p> : null}
          <Problem title={texts.failed} error={error ?? trouble.value} />
          <Button kind="accent" wide busy={busy} onClick={go}>
            {busy ? texts.busy : texts.button}
          </Button>
        </Card>
        <p class="small">{texts.join}</p>
        <More label={texts.lost}>
          <p class="small">{texts.lostText}</p>
          <p class="small">{texts.terminal}</p>
        </More>
      </Page>
    </div>
  );
}
