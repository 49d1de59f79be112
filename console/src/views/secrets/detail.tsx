import { useEffect } from "preact/hooks";
import { subscribe, who } from "../../app/session";
import type { Account } from "../../device/account";
import { secretsText as texts } from "../../texts/secrets";
import {
  Badge, ButtonLink, Card, Copy, Digest, Empty, Fact, Facts, List, More, Name, Notice, Page, Problem, Row, Section, Skeleton, Time,
} from "../../ui";
import { history, latest, openers, type Entry } from "../../work/sealing";
import { useLoad } from "../loading";
import { useNames, type Naming } from "./names";

/** One secret: what stands, who can open it, and what was before. */
export function Detail({ account, path }: { account: Account; path: string }) {
  const found = useLoad(async () => {
    const trust = await account.trust();
    return { newest: await latest(account, trust, path), before: await history(account, trust, path) };
  }, [account, path]);
  const name = useNames(account);
  useEffect(() => subscribe((event) => {
    if (event.kind === "roster") account.forget();
    if (event.kind === "roster" || (event.kind === "secret" && event.path === path)) found.again();
  }), [path, found.again]);
  const sealer = who.value?.roles.includes("sealer");
  const fresh = sealer ? <ButtonLink href={`/secrets/${path}?new=1`} kind="accent">{texts.newVersion}</ButtonLink> : null;
  const back = <ButtonLink href="/secrets">{texts.back}</ButtonLink>;
  if (found.data && !found.data.newest && found.data.before.length === 0) {
    return (
      <Page title={path} actions={back}>
        <Empty title={texts.unknown}>{texts.unknownText}</Empty>
      </Page>
    );
  }
  const newest = found.data?.newest;
  return (
    <Page title={path} actions={<>{back}{fresh}</>}>
      <Problem title={texts.historyFailed} error={found.error} />
      {!found.data && !found.error ? <Skeleton lines={6} /> : null}
      {newest ? <Standing entry={newest} name={name} sealer={sealer ?? false} /> : null}
      {found.data ? <Before entries={found.data.before} name={name} /> : null}
    </Page>
  );
}

function Standing({ entry, name, sealer }: { entry: Entry; name: Naming; sealer: boolean }) {
  if (!entry.ok) return <Notice kind="danger" title={texts.unverified(1)} text={texts.unverifiedText} code={entry.code} />;
  const { core } = entry;
  const open = openers(core.policy, core.recipients);
  const { facts } = texts;
  return (
    <>
      {entry.stale ? (
        <Notice kind="warn" title={texts.stale} text={texts.staleText}>
          {sealer ? (
            <div class="actions"><ButtonLink href={`/policies?reseal=${core.path}`}>{texts.sealAgain}</ButtonLink></div>
          ) : null}
        </Notice>
      ) : null}
      <Card>
        <div class="secrets-reference">
          <Name text={`sv://${core.path}`} />
          <Copy text={`sv://${core.path}`} label={texts.copyReference} />
        </div>
        <Facts>
          <Fact label={facts.version}>{texts.number(core.version, core.revision)}</Fact>
          <Fact label={facts.sealedBy}>{texts.sealedFrom(name(core.by.person), core.by.device)}</Fact>
          <Fact label={facts.sealed}><Time at={core.sealed} whole /></Fact>
          <Fact label={facts.openers}>{texts.quorum(open, name)}</Fact>
          {open.recovery > 0 ? <Fact label={facts.recovery}>{texts.recovery(open)}</Fact> : null}
          <Fact label={facts.policy}>{texts.covers(core.policy.id, core.policy.match)}</Fact>
          <Fact label={facts.use}>{texts.terms(core.policy)}</Fact>
          <Fact label={facts.oid}><Digest text={entry.oid} /></Fact>
        </Facts>
        <More label={texts.use}>
          <p>{texts.useText}</p>
          <pre class="secrets-command">{`stillvault run --env NAME=sv://${core.path} -- COMMAND`}</pre>
        </More>
      </Card>
    </>
  );
}

function Before({ entries, name }: { entries: Entry[]; name: Naming }) {
  return (
    <Section title={texts.history}>
      <List label={texts.history}>
        {entries.map((entry, at) =>
          entry.ok ? (
            <Row
              key={entry.oid}
              title={texts.version(entry.core.version, entry.core.revision)}
              detail={texts.quorum(openers(entry.core.policy, entry.core.recipients), name)}
              meta={<>{name(entry.core.by.person)} · <Time at={entry.core.sealed} /></>}
              end={at === 0 ? <Badge>{texts.newest}</Badge> : null}
            />
          ) : (
            <Row key={at} title={<Badge tone="danger">{texts.unverifiedBadge(entry.code)}</Badge>} />
          ),
        )}
      </List>
    </Section>
  );
}
