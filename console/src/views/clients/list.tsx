import type { Account } from "../../device/account";
import { clientsText as texts, clientText, stateText } from "../../texts/clients";
import { signing } from "../../texts/organisation";
import { Badge, ButtonLink, Empty, List, More, Name, Notice, Page, Row, Section, Skeleton, Time } from "../../ui";
import { clientsOf, holdsInForce, type Client } from "../../work/clients";
import { isAdmin } from "../../work/publish";
import { OpenInvites } from "../organisation/open-invites";
import { LoadFailed } from "../organisation/load-failed";
import { Names } from "../organisation/names";
import { useRenewed } from "../organisation/renewed";

export function useClients(account: Account) {
  const load = async () => {
    const trust = await account.trust();
    return { trust, ...(await clientsOf(account, trust)), admin: isAdmin(account, trust) };
  };
  return useRenewed(account, load, ({ kind, state }) =>
    kind === "roster" || kind === "enrol" || (kind === "state" && ["frozen", "lifted"].includes(state ?? "")));
}

export function ClientList({ account }: { account: Account }) {
  const found = useClients(account);
  const data = found.data;
  const clients = data?.clients.filter((one) => !one.cert.subject.startsWith("person/")) ?? [];
  const people = data?.clients.filter((one) => one.cert.subject.startsWith("person/") && one.state === "valid") ?? [];
  const holds = data ? holdsInForce(data.trust.roster.holds, account.now()) : [];
  const invite = (
    <ButtonLink href="/clients?invite=" kind="accent">
      {texts.invite}
    </ButtonLink>
  );
  return (
    <Page
      title={texts.title}
      lead={data && !data.admin ? signing.notAdmin : texts.lead}
      actions={
        data?.admin ? (
          <>
            <ButtonLink href="/clients?hold=">{texts.hold}</ButtonLink>
            {invite}
          </>
        ) : undefined
      }
    >
      <LoadFailed title={texts.loadFailed} of={found} />
      {data ? (
        <>
          {data.admin ? <OpenInvites account={account} kind="client" at="/clients" /> : null}
          {clients.length ? (
            <List label={texts.list}>
              {clients.map((one) => (
                <ClientRow key={one.oid} client={one} />
              ))}
            </List>
          ) : (
            <Empty title={texts.none} action={data.admin ? invite : undefined}>
              {texts.noneText}
            </Empty>
          )}
          {data.unreadable.length ? (
            <Notice kind="warn" title={texts.unreadable(data.unreadable.length)} text={texts.unreadableText}
              code={[...new Set(data.unreadable)].join(", ")} />
          ) : null}
          {holds.length ? (
            <Section title={texts.holds}>
              <List label={texts.holds}>
                {holds.map(({ target, until }) => (
                  <Row
                    key={target}
                    title={<Name text={target} />}
                    detail={texts.holdUntil(until)}
                    end={
                      data.admin ? (
                        <ButtonLink href={`/clients?hold=${encodeURIComponent(target)}`}>{clientText.lift}</ButtonLink>
                      ) : null
                    }
                  />
                ))}
              </List>
            </Section>
          ) : null}
          {people.length ? (
            <More label={texts.people}>
              <div class="stack">
                <p>{texts.peopleText}</p>
                <List label={texts.people}>
                  {people.map((one) => (
                    <ClientRow key={one.oid} client={one} />
                  ))}
                </List>
              </div>
            </More>
          ) : null}
        </>
      ) : found.error ? null : (
        <Skeleton lines={6} />
      )}
    </Page>
  );
}

function ClientRow({ client: { cert, state, lastSeen, heldUntil, freezes } }: { client: Client }) {
  return (
    <Row
      href={`/clients/${cert.subject}`}
      title={<Name text={cert.subject} />}
      detail={
        <>
          {texts.on(cert.host)} · <Names names={cert.scopes} />
        </>
      }
      meta={
        lastSeen ? (
          <>
            {texts.seen} <Time at={lastSeen} />
          </>
        ) : (
          texts.never
        )
      }
      end={
        <span class="badges">
          {state === "valid" ? (
            <Badge>{texts.grade(cert.grade)}</Badge>
          ) : (
            <Badge tone="danger">{stateText[state] ?? state}</Badge>
          )}
          {heldUntil ? <Badge tone="warn">{texts.held}</Badge> : null}
          {freezes.length ? <Badge tone="warn">{texts.frozen}</Badge> : null}
        </span>
      }
    />
  );
}
