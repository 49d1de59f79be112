import { useEffect, useState } from "preact/hooks";
import { leave, relay } from "../../app/session";
import { settings as texts } from "../../texts/settings";
import { announce, Badge, Button, Dialog, List, Problem, Row, Section, Skeleton, Time } from "../../ui";

interface Line {
  id: string;
  device: string;
  created: number;
  last_seen: number;
  expires: number;
  current?: boolean;
  label?: string;
}

/** Every session of this person: end one, or all. */
export function Sessions() {
  const [lines, setLines] = useState<Line[]>();
  const [error, setError] = useState<unknown>();
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState("");
  const read = () => relay.get<{ sessions: Line[] }>("/v1/sessions").then(({ sessions }) => setLines(sessions), setError);
  useEffect(() => {
    void read();
  }, []);
  const end = async (id: string, current: boolean) => {
    setBusy(id || "all");
    setError(undefined);
    try {
      await relay.post("/v1/sessions/end", id ? { id } : {});
      if (current || !id) {
        leave();
        return;
      }
      announce(texts.ended);
      await read();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy("");
      setAsking(false);
    }
  };
  return (
    <Section title={texts.sessions} actions={<Button onClick={() => setAsking(true)}>{texts.endAll}</Button>}>
      <p class="lead">{texts.sessionsLead}</p>
      <Problem title={texts.failed} error={error} />
      {!lines && !error ? <Skeleton lines={2} /> : null}
      {lines ? (
        <List label={texts.sessions}>
          {lines.map((one) => (
            <Row key={one.id}
              title={<>{one.label || texts.unnamed} {one.current ? <Badge tone="good">{texts.current}</Badge> : null}</>}
              detail={<>{texts.seen} <Time at={one.last_seen} /></>}
              meta={<>{texts.until} <Time at={one.expires} /></>}
              end={
                <Button kind="quiet" busy={busy === one.id} aria-label={texts.endOf(one.label || texts.unnamed)}
                  onClick={() => end(one.id, Boolean(one.current))}>
                  {texts.end}
                </Button>
              } />
          ))}
        </List>
      ) : null}
      <Dialog open={asking} title={texts.endAllTitle} onClose={() => setAsking(false)}
        actions={<Button kind="danger" busy={busy === "all"} onClick={() => end("", true)}>{texts.endAll}</Button>}>
        <p>{texts.endAllText}</p>
      </Dialog>
    </Section>
  );
}
