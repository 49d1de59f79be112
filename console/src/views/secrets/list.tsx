import { useMemo, useState } from "preact/hooks";
import { who } from "../../app/session";
import type { Account } from "../../device/account";
import { secretsText as texts } from "../../texts/secrets";
import { Badge, ButtonLink, Empty, Field, List, Name, Notice, Page, Problem, Row, Skeleton, Time } from "../../ui";
import { openers, type Entry } from "../../work/sealing";
import { useListed } from "./listed";
import { useNames, type Naming } from "./names";

/** Every path that the relay lists, each verified before anything but its name is shown. */
export function SecretList({ account }: { account: Account }) {
  const { entries, missing, done, error } = useListed(account);
  const [search, setSearch] = useState("");
  const name = useNames(account);
  const sealer = who.value?.roles.includes("sealer");
  const wanted = search.trim().replace(/^sv:\/\//, "").toLowerCase();
  const shown = useMemo(() => entries.filter((one) => one.path.includes(wanted)), [entries, wanted]);
  const bad = entries.filter((one) => !one.ok).length;
  const stale = entries.filter((one) => one.ok && one.stale).length;
  const actions = sealer ? (
    <>
      <ButtonLink href="/secrets?env=1">{texts.env}</ButtonLink>
      <ButtonLink href="/secrets?new=1" kind="accent">{texts.seal}</ButtonLink>
    </>
  ) : undefined;
  if (done && entries.length === 0 && missing.length === 0 && !error) {
    return (
      <Page title={texts.title}>
        <Empty title={texts.none} action={actions ? <div class="actions">{actions}</div> : undefined}>
          {sealer ? texts.noneText : texts.noRole}
        </Empty>
      </Page>
    );
  }
  return (
    <Page title={texts.title} lead={sealer ? texts.lead : texts.noRole} actions={actions}>
      <Problem title={texts.failed} error={error} />
      {bad > 0 ? <Notice kind="danger" title={texts.unverified(bad)} text={texts.unverifiedText} /> : null}
      {missing.length > 0 ? (
        <Notice kind="danger" title={texts.hidden(missing.length)} text={texts.hiddenText}>
          <ul class="secrets-changes">{missing.map((path) => <li key={path}><Name text={path} /></li>)}</ul>
        </Notice>
      ) : null}
      {stale > 0 ? (
        <Notice kind="warn" title={texts.staleCount(stale)} text={texts.staleText}>
          {sealer ? <div class="actions"><ButtonLink href="/policies?reseal=">{texts.sealAgain}</ButtonLink></div> : null}
        </Notice>
      ) : null}
      <div class="secrets-search">
        <Field label={texts.search} type="search" value={search} onInput={setSearch} />
        <p class="small" role="status">{done ? texts.counted(shown.length) : null}</p>
      </div>
      {shown.length > 0 ? (
        <List label={texts.list}>
          {shown.map((one) => <EntryRow key={one.path} entry={one} name={name} />)}
        </List>
      ) : done ? <p>{wanted ? texts.nothingFound(wanted) : null}</p> : null}
      {done || error ? null : <Skeleton lines={6} />}
    </Page>
  );
}

function EntryRow({ entry, name }: { entry: Entry; name: Naming }) {
  if (!entry.ok) {
    return (
      <Row
        title={entry.path ? <Name text={entry.path} /> : texts.nameless}
        end={<Badge tone="danger">{texts.unverifiedBadge(entry.code)}</Badge>}
      />
    );
  }
  const { core } = entry;
  const who = openers(core.policy, core.recipients);
  const look = entry.stale ? texts.staleBadge : who.people.length === 1 ? texts.aloneBadge : "";
  return (
    <Row
      href={`/secrets/${core.path}`}
      title={<Name text={core.path} />}
      detail={texts.quorum(who, name)}
      meta={<>{texts.version(core.version, core.revision)} · <Time at={core.sealed} /></>}
      end={look ? <Badge tone="warn">{look}</Badge> : null}
    />
  );
}

/** Beside one secret, where the window is wide: the names of all. */
export function SideList({ account, path }: { account: Account; path: string }) {
  const { entries } = useListed(account);
  return (
    <nav class="secrets-side" aria-label={texts.list}>
      <List label={texts.list}>
        {entries.filter((one) => one.path !== "").map((one) => (
          <Row key={one.path} href={`/secrets/${one.path}`} title={<Name text={one.path} />} current={one.path === path}
            end={one.ok ? null : <Badge tone="danger">!</Badge>} />
        ))}
      </List>
    </nav>
  );
}
