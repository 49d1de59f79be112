import { useState } from "preact/hooks";
import { who } from "../../app/session";
import type { Account } from "../../device/account";
import { resealing as texts } from "../../texts/organisation";
import { policyText } from "../../texts/policies";
import { ButtonLink, Empty, List, Name, Notice, Page, Row, Skeleton } from "../../ui";
import { Resealing } from "../../work/resealing";
import { findSeals, stale } from "../../work/seals";
import { useLoad } from "../loading";
import { ResealRun } from "../organisation/resealing";
import { LoadFailed } from "../organisation/load-failed";

/** Everything that a seal made now would make otherwise, or one path; and sealing it again. */
export function ResealScreen({ account, path }: { account: Account; path: string }) {
  const [done, setDone] = useState<readonly string[]>();
  const find = async () => {
    const trust = await account.trust(true);
    return (await findSeals(account, trust)).filter((one) =>
      path ? one.path === path : stale(trust, one.path, one.payload, account.now()),
    );
  };
  const found = useLoad(find, [account, path]);
  const seals = found.data ?? [];
  const sealer = who.value?.roles.includes("sealer");
  return (
    <Page title={texts.title} lead={texts.lead} actions={<ButtonLink href="/policies">{policyText.back}</ButtonLink>}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {done ? (
        <Notice kind="good" title={texts.done(done.length)} />
      ) : !found.data ? (
        found.error ? null : (
          <Skeleton lines={5} />
        )
      ) : !seals.length ? (
        <Empty title={texts.none}>{texts.noneText}</Empty>
      ) : sealer ? (
        <>
          <p>
            {path ? <Name text={path} /> : texts.count(seals.length)}. {texts.ceremonies(seals.length)}
          </p>
          <ResealRun
            first={seals.map((one) => one.path)}
            begin={async (told) => new Resealing(account, await find(), told)}
            onDone={setDone}
          />
        </>
      ) : (
        <>
          <Notice title={texts.count(seals.length)} text={texts.notSealer} />
          <List label={texts.list}>
            {seals.map((one) => (
              <Row key={one.path} title={<Name text={one.path} />} />
            ))}
          </List>
        </>
      )}
    </Page>
  );
}
