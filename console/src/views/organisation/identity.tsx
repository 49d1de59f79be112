import { identityText as texts } from "../../texts/identity";
import { ButtonLink, Card, Copy, Section } from "../../ui";

export const AGENT = "agent/";

/** For an agent: which callers on the host are it. The daemon reads that from a file, and says nothing of an agent without it. */
export function AgentIdentity({ subject, host }: { subject: string; host: string }) {
  if (!subject.startsWith(AGENT)) return null;
  const entry = texts.entry(subject, subject.slice(AGENT.length));
  return (
    <Section title={texts.title}>
      <Card>
        <div class="stack">
          <p>{texts.where(host)}</p>
          <pre class="link-box whole mono" tabIndex={0} role="group" aria-label={texts.title}>{entry}</pre>
          <Copy text={entry} label={texts.copy} />
          <p>{texts.how}</p>
          <div class="actions">
            <ButtonLink href="/help">{texts.help}</ButtonLink>
          </div>
        </div>
      </Card>
    </Section>
  );
}
