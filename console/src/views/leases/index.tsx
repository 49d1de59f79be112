import "./style.css";
import { useEffect, useState } from "preact/hooks";
import { account, subscribe, who } from "../../app/session";
import type { Account } from "../../device/account";
import { plain } from "../../protocol/text";
import { leasesText as texts } from "../../texts/leases";
import { Button, Dialog, Empty, List, Name, Notice, Page, Problem, Row, Section, Skeleton, duration, now } from "../../ui";
import { useLoad } from "../loading";

/** A line of GET /v1/leases: what a host reported. Not verified, and said so. */
interface Lease {
  request: string;
  path: string;
  host: string;
  client: string;
  uid: number;
  user: string;
  exe: string;
  granted_by: string[];
  until: number;
  count?: number;
}

const LOOK_AGAIN = 15_000; // milliseconds: uses are reported without an event

export default function Screen() {
  const standing = account.value;
  return standing ? <Leases account={standing} /> : <Skeleton lines={5} />;
}

function Leases({ account: { api } }: { account: Account }) {
  const found = useLoad(async () => (await api.get<{ leases: Lease[] }>("/v1/leases")).leases, [api]);
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState("");
  const [error, setError] = useState<unknown>();
  const [ended, setEnded] = useState<number>();
  useFresh(found.again);
  const mayEnd = who.value?.roles.some((role) => role === "approver" || role === "admin") ?? false;
  const leases = (found.data ?? []).filter((one) => one.until > now.value);

  const end = async (name: string, order: { requests: string[] } | { all: true }) => {
    setBusy(name);
    setError(undefined);
    setEnded(undefined);
    setAsking(false);
    try {
      setEnded((await api.post<{ count?: number }>("/v1/leases/end", order)).count ?? 0);
      found.again();
    } catch (reason) {
      setError(reason);
    } finally {
      setBusy("");
    }
  };

  return (
    <Page title={texts.title} lead={texts.lead}
      actions={mayEnd ? <Button busy={busy === "all"} onClick={() => setAsking(true)}>{texts.endAll}</Button> : undefined}>
      <Problem title={texts.failed} error={found.error} />
      <Problem title={texts.endFailed} error={error} />
      <div role="status">{ended === undefined ? null : <Notice kind="good" title={texts.ended(ended)} />}</div>
      {!found.data && !found.error ? <Skeleton lines={4} /> : null}
      {found.data && leases.length === 0 ? <Empty title={texts.none}>{texts.noneText}</Empty> : null}
      {byHost(leases).map(([host, lines]) => (
        <Section key={host} title={texts.host(plain(host), lines.length)}>
          <List label={`${texts.list}: ${plain(host)}`}>
            {lines.map((one) => (
              <Row
                key={one.request}
                title={<Name text={plain(one.path)} />}
                detail={<Details lease={one} />}
                meta={texts.left(duration(one.until - now.value))}
                end={mayEnd ? (
                  <Button busy={busy === one.request} aria-label={texts.endOf(plain(one.path), plain(one.host))}
                    onClick={() => end(one.request, { requests: [one.request] })}>{texts.end}</Button>
                ) : null}
              />
            ))}
          </List>
        </Section>
      ))}
      {found.data ? <p class="small">{texts.honest}</p> : null}
      <Dialog open={asking} title={texts.endAllTitle} onClose={() => setAsking(false)}
        actions={<Button kind="danger" onClick={() => end("all", { all: true })}>{texts.endAll}</Button>}>
        <p>{texts.endAllText}</p>
      </Dialog>
    </Page>
  );
}

function Details({ lease }: { lease: Lease }) {
  const aside = [texts.granted(lease.granted_by.map(plain)), texts.used(lease.count ?? 0), texts.client(plain(lease.client))];
  return (
    <>
      <Name text={plain(lease.exe)} />, {texts.account(plain(lease.user), lease.uid)}
      <br />
      {aside.filter(Boolean).join(" · ")}
    </>
  );
}

function byHost(leases: readonly Lease[]): [string, Lease[]][] {
  const hosts = new Map<string, Lease[]>();
  for (const one of leases) hosts.set(one.host, [...(hosts.get(one.host) ?? []), one]);
  return [...hosts].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** Looks again when a request moves, and now and then while the page is seen. */
function useFresh(again: () => void): void {
  useEffect(() => {
    const stop = subscribe((event) => {
      if (event.kind === "state" || event.kind === "purge" || event.kind === "withdrawn") again();
    });
    const timer = setInterval(() => document.visibilityState === "visible" && again(), LOOK_AGAIN);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [again]);
}
