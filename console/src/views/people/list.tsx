import { useState } from "preact/hooks";
import type { Account } from "../../device/account";
import type { Person } from "../../protocol/objects";
import type { Trust } from "../../protocol/trust";
import { peopleText as texts } from "../../texts/people";
import {
  Badge,
  Button,
  ButtonLink,
  Card,
  Copy,
  Digest,
  Empty,
  exact,
  Fact,
  Facts,
  List,
  More,
  Name,
  Notice,
  Page,
  Problem,
  Row,
  Skeleton,
  Time,
} from "../../ui";
import { isAdmin } from "../../work/publish";
import { unfinished } from "../../work/removal";
import type { Removal } from "../../work/removal";
import { expiring, renew, renewable, standingCerts, type Expiry } from "../../work/renewing";
import { isAlive } from "../../work/roster";
import type { ClientCert } from "../../protocol/objects";
import { OpenInvites } from "../organisation/open-invites";
import { LoadFailed } from "../organisation/load-failed";
import { useRenewed } from "../organisation/renewed";

export function PeopleList({ account }: { account: Account }) {
  const load = async () => {
    const trust = await account.trust();
    return { trust, certs: await standingCerts(account, trust), removal: await unfinished(account) };
  };
  const found = useRenewed(account, load, (event) => event.kind === "roster");
  const data = found.data;
  const admin = data ? isAdmin(account, data.trust) : false;
  const invite = admin ? (
    <ButtonLink href="/people?invite=" kind="accent">
      {texts.invite}
    </ButtonLink>
  ) : undefined;
  return (
    <Page title={texts.title} lead={data && !admin ? texts.notAdmin : texts.lead} actions={invite}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {data ? (
        <>
          {data.removal ? <Unfinished removal={data.removal} /> : null}
          <Renewal account={account} trust={data.trust} certs={data.certs} admin={admin} onDone={found.again} />
          {admin ? <OpenInvites account={account} kind="person" at="/people" /> : null}
          {data.trust.roster.people.length ? (
            <List label={texts.list}>
              {data.trust.roster.people.map((one) => (
                <PersonRow key={one.id} person={one} trust={data.trust} account={account} />
              ))}
            </List>
          ) : (
            <Empty title={texts.none} action={invite} />
          )}
          <Root trust={data.trust} />
        </>
      ) : found.error ? null : (
        <Skeleton lines={6} />
      )}
    </Page>
  );
}

function PersonRow({ person, trust, account }: { person: Person; trust: Trust; account: Account }) {
  const now = account.now();
  const alive = person.devices.filter((one) => isAlive(one, now));
  const keys = person.devices.flatMap((one) => one.auth.map((key) => key.public));
  const named = (list: readonly { public: string }[]) => list.some((key) => keys.includes(key.public));
  return (
    <Row
      href={`/people/${person.id}`}
      title={
        <>
          <Name text={person.name} />
          {person.name === person.id ? null : (
            <>
              {" "}
              (<Name text={person.id} />)
            </>
          )}
          {person.id === account.person ? ` · ${texts.you}` : ""}
        </>
      }
      detail={texts.roles(person.roles)}
      meta={alive.length ? texts.devices(alive.length) : <Badge tone="warn">{texts.noDevice}</Badge>}
      end={
        <span class="badges">
          {named(trust.root.root.keys) ? <Badge tone="warn">{texts.rootKey}</Badge> : null}
          {named(trust.root.admin.keys) ? <Badge tone="good">{texts.adminKey}</Badge> : null}
        </span>
      }
    />
  );
}

function Unfinished({ removal: { going } }: { removal: Removal }) {
  const target = `/people/${going.person}?remove=${going.device}${going.passkey ? `&passkey=${going.passkey}` : ""}`;
  return (
    <Notice kind="warn" title={texts.unfinished(going.device || going.person)} text={texts.unfinishedText}>
      <div class="actions">
        <ButtonLink href={target}>{texts.goOn}</ButtonLink>
      </div>
    </Notice>
  );
}

/** What is in its last quarter, and the one click. */
function Renewal({
  account,
  trust,
  certs,
  admin,
  onDone,
}: {
  account: Account;
  trust: Trust;
  certs: readonly ClientCert[];
  admin: boolean;
  onDone: () => void;
}) {
  const [progress, setProgress] = useState<[number, number]>();
  const [error, setError] = useState<unknown>();
  const [renewed, setRenewed] = useState<number>();
  const now = account.now();
  const soon = expiring(trust, certs, now);
  if (renewed !== undefined && !soon.length) return <Notice kind="good" title={texts.renewed(exact(renewed))} />;
  if (!soon.length) return null;
  const work = renewable(trust.roster, certs, now);
  const go = async () => {
    setError(undefined);
    setProgress([0, 1]);
    try {
      setRenewed((await renew(account, (done, total) => setProgress([done, total]))).roster.expires);
      onDone();
    } catch (reason) {
      setError(reason);
    } finally {
      setProgress(undefined);
    }
  };
  return (
    <Notice kind="warn" title={texts.renewTitle}>
      <ul class="plain-list">
        {soon.map((one) => (
          <li key={`${one.kind} ${one.name}`}>
            {texts.renewItem(one.kind, one.name)}, {texts.renewIn(one.expires - now)}
          </li>
        ))}
      </ul>
      {soon.some((one: Expiry) => one.kind === "root") ? <p>{texts.renewRoot}</p> : null}
      {admin && soon.some((one) => one.kind !== "root") ? (
        <>
          <p>{texts.renewSigns(work.devices.length, work.certs.length)}</p>
          <p role="status">{progress ? texts.renewing(...progress) : ""}</p>
          <Problem title={texts.renewFailed} error={error} />
          <div class="actions">
            <Button kind="accent" busy={Boolean(progress)} onClick={go}>
              {texts.renew}
            </Button>
          </div>
        </>
      ) : null}
    </Notice>
  );
}

/** Who is named as administrator and who holds a root key, as far as the root says. */
function Root({ trust }: { trust: Trust }) {
  const { root } = trust;
  const holder = (publicKey: string) => {
    for (const person of trust.roster.people)
      for (const device of person.devices) if (device.auth.some((key) => key.public === publicKey)) return { person, device };
    return undefined;
  };
  return (
    <More label={texts.rootTitle}>
      <Card>
        <p>{texts.rootText}</p>
        <Facts>
          <Fact label={texts.rootOrg}>
            {root.name} <Digest text={trust.org} /> <Copy text={trust.org} />
          </Fact>
          <Fact label={texts.rootVersion}>{root.version}</Fact>
          <Fact label={texts.rootKeys}>
            <ul class="plain-list">
              {root.root.keys.map((key) => {
                const who = holder(key.public);
                return (
                  <li key={key.public}>
                    {key.alg} <Digest text={key.public} />: {who ? texts.rootKeyOf(who.person.id) : texts.rootKeyPaper}
                  </li>
                );
              })}
            </ul>
          </Fact>
          <Fact label={texts.rootThreshold}>{texts.of(root.root.threshold, root.root.keys.length)}</Fact>
          <Fact label={texts.rootAdmins}>
            <ul class="plain-list">
              {root.admin.keys.map((key) => {
                const who = holder(key.public);
                return (
                  <li key={key.public}>
                    {who ? texts.rootAdminOf(who.person.id, who.device.id) : texts.rootAdminGone} <Digest text={key.public} />
                  </li>
                );
              })}
            </ul>
          </Fact>
          <Fact label={texts.rootExpires}>
            <Time at={root.expires} whole />
          </Fact>
        </Facts>
      </Card>
    </More>
  );
}
