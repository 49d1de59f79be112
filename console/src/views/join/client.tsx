import { useEffect, useState } from "preact/hooks";
import { takeFragment } from "../../app/router";
import { join as texts } from "../../texts/join";
import { Card, Claim, Copy, Fact, Facts, Name, Page, Problem, Skeleton, Time } from "../../ui";
import type { Opened } from "../../work/joining";
import "./style.css";

/** A machine joins on its own command line: this page shows what it joins and which command to run, and does nothing. */
export default function Screen() {
  // The nonce is taken out of the address bar, and lives in this page alone.
  const [fragment] = useState(takeFragment);
  const [opened, setOpened] = useState<Opened>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    void import("../../work/joining").then(({ openInvite }) => openInvite(fragment)).then(setOpened, setError);
  }, []);
  const command = `stillvault join '${location.origin}/join/client#${fragment}'`;
  return (
    <div class="join">
      <Page title={texts.client.title} lead={texts.client.lead}>
        {error ? <Problem title={texts.failed} error={error} /> : null}
        {!opened && !error ? <Skeleton /> : null}
        {opened ? (
          <Card>
            <h2>{texts.signed}</h2>
            <Facts>
              <Fact label={texts.terms.organisation}>{opened.trust.root.name}</Fact>
            </Facts>
            <Claim title={texts.says}>
              <Facts>
                <Fact label={texts.terms.subject}>
                  <Name text={opened.terms.subject} />
                </Fact>
                {opened.terms.scopes?.length ? (
                  <Fact label={texts.terms.scopes}>
                    {opened.terms.scopes.map((one) => (
                      <div key={one}>
                        <Name text={one} />
                      </div>
                    ))}
                  </Fact>
                ) : null}
                <Fact label={texts.terms.expires}>
                  <Time at={opened.terms.expires} />
                </Fact>
              </Facts>
              <p class="small">{texts.client.saysText}</p>
            </Claim>
            <h2>{texts.client.command}</h2>
            <pre class="command">{command}</pre>
            <Copy text={command} />
            <p class="small">{texts.client.commandHint}</p>
            <p class="small">{texts.client.install}</p>
          </Card>
        ) : null}
      </Page>
    </div>
  );
}
