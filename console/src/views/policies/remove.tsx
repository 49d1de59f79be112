import { navigate } from "../../app/router";
import type { Account } from "../../device/account";
import { policyText as texts, removePolicyText as words } from "../../texts/policies";
import { rules } from "../../texts/rules";
import { announce, ButtonLink, Empty, List, Name, Notice, Page, Row, Section, Skeleton } from "../../ui";
import { lyingUnder } from "../../work/policies";
import { withoutPolicy } from "../../work/roster";
import { findSeals } from "../../work/seals";
import { Stopped } from "../../work/stopped";
import { useLoad } from "../loading";
import { LoadFailed } from "../organisation/load-failed";
import { Signing } from "../organisation/signing";

/** Taking a policy out: which secrets lie under it, which only carry its old terms, and the signature. */
export function RemovePolicy({ account, id }: { account: Account; id: string }) {
  const look = async () => {
    const trust = await account.trust(true);
    const standing = trust.roster.policies.find((one) => one.id === id);
    return { trust, standing, under: lyingUnder(trust.roster, id, await findSeals(account, trust)) };
  };
  const found = useLoad(look, [account, id]);
  // Somebody may have sealed under it since this page was loaded.
  const check = async () => {
    const { governed } = (await look()).under;
    if (governed.length) throw new Stopped("policy-used", rules.policyUsed(id, governed), "id");
  };
  const data = found.data;
  if (data && !data.standing)
    return (
      <Page title={id} actions={<ButtonLink href="/policies">{texts.back}</ButtonLink>}>
        <Empty title={texts.unknown}>{texts.unknownText}</Empty>
      </Page>
    );
  return (
    <Page title={words.title(id)} lead={words.lead} actions={<ButtonLink href={`/policies/${id}`}>{id}</ButtonLink>}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {data?.standing ? (
        <>
          {data.under.sealed.length ? (
            <Section title={words.sealed}>
              <p>{words.sealedText}</p>
              <List label={words.sealed}>
                {data.under.sealed.map((one) => (
                  <Row key={one} href={`/secrets/${one}`} title={<Name text={one} />} />
                ))}
              </List>
            </Section>
          ) : null}
          {data.under.governed.length ? null : <Notice title={words.free} />}
          <Signing
            account={account}
            trust={data.trust}
            edit={withoutPolicy(data.standing, data.under.governed)}
            check={check}
            label={words.go}
            kind="danger"
            onDone={() => {
              announce(words.done(id));
              navigate("/policies");
            }}
          />
        </>
      ) : found.error ? null : (
        <Skeleton lines={5} />
      )}
    </Page>
  );
}
