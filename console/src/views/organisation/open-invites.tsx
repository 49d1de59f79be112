import { useEffect } from "preact/hooks";
import { subscribe } from "../../app/session";
import type { Account } from "../../device/account";
import { invitePanel as texts } from "../../texts/organisation";
import { Badge, List, Name, Row, Section, Time } from "../../ui";
import { granted, invitesOf } from "../../work/invites";
import { useLoad } from "../loading";

const LIVE = ["open", "joined", "challenged", "proved"];

/** The invites of this browser that still wait, with a link to each. Nothing is drawn where there are none. */
export function OpenInvites({ account, kind, at }: { account: Account; kind: "person" | "client"; at: string }) {
  const found = useLoad(async () => {
    const [own, rows] = [await granted(account), await invitesOf(account)];
    return own.flatMap((one) => {
      const row = rows.find((each) => each.invite === one.invite);
      return one.kind === kind && row && LIVE.includes(row.state) ? [{ one, row }] : [];
    });
  }, [account, kind]);
  useEffect(() => subscribe((event) => event.kind === "enrol" && found.again()), [found.again]);
  if (!found.data?.length) return null;
  return (
    <Section title={texts.waiting}>
      <List label={texts.waiting}>
        {found.data.map(({ one, row }) => (
          <Row
            key={one.invite}
            href={`${at}?invited=${one.invite}`}
            title={<Name text={one.subject} />}
            detail={texts.states[row.state]}
            meta={<Time at={row.expires} />}
            end={row.state === "open" ? null : <Badge tone="warn">{texts.wordsTitle}</Badge>}
          />
        ))}
      </List>
    </Section>
  );
}
