import { useState } from "preact/hooks";
import { navigate } from "../../app/router";
import type { Account } from "../../device/account";
import { signing } from "../../texts/organisation";
import { inviteText as texts, personText } from "../../texts/people";
import { Button, ButtonLink, Field, Notice, Page, Problem, Skeleton } from "../../ui";
import { invite } from "../../work/invites";
import { isAdmin } from "../../work/publish";
import { useLoad } from "../loading";
import { RoleChecks } from "./roles";
import { LoadFailed } from "../organisation/load-failed";

/** A link for a person, for a further device of theirs (`person`), or for a second passkey of a synced key (`device`). */
export function InvitePerson({ account, person, device }: { account: Account; person: string; device: string }) {
  const found = useLoad(() => account.trust(), [account]);
  const [who, setWho] = useState(person);
  const [roles, setRoles] = useState<readonly string[]>(["approver"]);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const title = device ? texts.titlePasskey(device) : person ? texts.titleDevice(person) : texts.title;
  const back = person ? `/people/${person}` : "/people";
  const make = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const made = await invite(account, {
        kind: "person",
        subject: who.trim(),
        roles: person ? [] : [...roles],
        ...(device ? { device } : {}),
      });
      navigate(`${back}?invited=${made.invite}`, true);
    } catch (reason) {
      setError(reason);
      setBusy(false);
    }
  };
  return (
    <Page
      title={title}
      lead={device ? texts.passkeyText : texts.lead}
      actions={<ButtonLink href={back}>{personText.back}</ButtonLink>}
    >
      <LoadFailed title={personText.loadFailed} of={found} />
      {found.data && !isAdmin(account, found.data) ? <Notice title={signing.notAdmin} /> : null}
      {found.data && isAdmin(account, found.data) ? (
        <form
          class="form"
          autocomplete="off"
          onSubmit={(event) => {
            event.preventDefault();
            if (!busy) void make();
          }}
        >
          {person ? null : (
            <Field label={texts.who} hint={texts.whoHint} value={who} onInput={setWho} mono autocapitalize="none" autofocus />
          )}
          {person ? null : <RoleChecks roles={roles} onInput={setRoles} />}
          <Problem title={texts.failed} error={error} />
          <div class="actions">
            <Button kind="accent" type="submit" busy={busy}>
              {texts.make}
            </Button>
          </div>
        </form>
      ) : found.data || found.error ? null : (
        <Skeleton lines={3} />
      )}
    </Page>
  );
}
