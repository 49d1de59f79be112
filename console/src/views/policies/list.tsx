import { useEffect } from "preact/hooks";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import type { Policy } from "../../protocol/objects";
import { signing } from "../../texts/organisation";
import { policiesText as texts } from "../../texts/policies";
import { Badge, ButtonLink, Empty, List, Name, Notice, Page, Row, Skeleton } from "../../ui";
import { isAdmin } from "../../work/publish";
import { findSeals, stale } from "../../work/seals";
import { useLoad } from "../loading";
import { LoadFailed } from "../organisation/load-failed";

export function PolicyList({ account }: { account: Account }) {
  const found = useLoad(() => account.trust(), [account]);
  const seals = useLoad(async () => {
    const trust = await account.trust();
    return (await findSeals(account, trust)).filter((one) => stale(trust, one.path, one.payload, account.now()));
  }, [account]);
  useEffect(
    () =>
      subscribe((event) => {
        if (event.kind !== "roster" && event.kind !== "secret") return;
        if (event.kind === "roster") account.forget();
        found.again();
        seals.again();
      }),
    [account, found.again, seals.again],
  );
  const trust = found.data;
  const admin = trust ? isAdmin(account, trust) : false;
  const make = admin ? (
    <ButtonLink href="/policies?new=" kind="accent">
      {texts.make}
    </ButtonLink>
  ) : undefined;
  return (
    <Page title={texts.title} lead={trust && !admin ? signing.notAdmin : texts.lead} actions={make}>
      <LoadFailed title={texts.loadFailed} of={found} />
      <LoadFailed title={texts.loadFailed} of={seals} />
      {seals.data?.length ? (
        <Notice kind="warn" title={texts.staleTitle(seals.data.length)} text={texts.staleText}>
          <div class="actions">
            <ButtonLink href="/policies?reseal=">{texts.reseal}</ButtonLink>
          </div>
        </Notice>
      ) : null}
      {!trust ? (
        found.error ? null : (
          <Skeleton lines={5} />
        )
      ) : trust.roster.policies.length ? (
        <List label={texts.list}>
          {trust.roster.policies.map((one) => (
            <PolicyRow key={one.id} policy={one} />
          ))}
        </List>
      ) : (
        <Empty title={texts.none} action={make}>
          {texts.noneText}
        </Empty>
      )}
    </Page>
  );
}

function PolicyRow({ policy }: { policy: Policy }) {
  const { people, threshold } = policy;
  return (
    <Row
      href={`/policies/${policy.id}`}
      title={<Name text={policy.id} />}
      detail={
        <>
          {policy.match.map((one, at) => (
            <>
              {at ? ", " : ""}
              <Name text={one} />
            </>
          ))}{" "}
          · {texts.who(people, threshold)}
        </>
      }
      meta={texts.terms(policy.window, policy.scope)}
      end={
        <span class="badges">
          {people.length === 1 ? (
            <Badge tone="warn">{texts.alone}</Badge>
          ) : threshold === people.length ? (
            <Badge tone="warn">{texts.all}</Badge>
          ) : null}
          {policy.tier === "soft" ? <Badge tone="warn">{texts.soft}</Badge> : null}
        </span>
      }
    />
  );
}
