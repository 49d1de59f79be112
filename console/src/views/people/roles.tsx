import { useState } from "preact/hooks";
import { navigate } from "../../app/router";
import type { Account } from "../../device/account";
import { peopleText, personText as texts, roleText } from "../../texts/people";
import { rules } from "../../texts/rules";
import { announce, ButtonLink, Check, Page, Skeleton } from "../../ui";
import { ROLES, withRoles } from "../../work/roster";
import { findSeals } from "../../work/seals";
import { Stopped } from "../../work/stopped";
import { useLoad } from "../loading";
import { Signing } from "../organisation/signing";
import { LoadFailed } from "../organisation/load-failed";

/** All roles that a person is to have, and what signing them changes. */
export function Roles({ account, person }: { account: Account; person: string }) {
  const found = useLoad(() => account.trust(true), [account, person]);
  const [chosen, setChosen] = useState<readonly string[]>();
  const trust = found.data;
  const before: readonly string[] = trust?.person(person)?.roles ?? [];
  const roles = chosen ?? before;
  const same = ROLES.every((role) => roles.includes(role) === before.includes(role));
  // Who sealed what stands must stay a sealer: a seal by anybody else is refused by every reader (7.3).
  const check = async () => {
    if (!trust || roles.includes("sealer") || !before.includes("sealer")) return;
    const paths = (await findSeals(account, trust)).filter((one) => one.payload.core.by.person === person).map((one) => one.path);
    if (paths[0] !== undefined) throw new Stopped("sealed-by", rules.sealedBy(person, paths[0], paths.length - 1));
  };
  return (
    <Page title={texts.rolesTitle(person)} actions={<ButtonLink href={`/people/${person}`}>{person}</ButtonLink>}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {trust ? (
        <>
          <RoleChecks roles={roles} onInput={setChosen} />
          {same ? (
            <p>{texts.rolesSame}</p>
          ) : (
            <Signing
              key={roles.join()}
              account={account}
              trust={trust}
              edit={withRoles(person, roles, before)}
              check={check}
              onDone={() => {
                announce(peopleText.roles(roles));
                navigate(`/people/${person}`);
              }}
            />
          )}
        </>
      ) : found.error ? null : (
        <Skeleton lines={4} />
      )}
    </Page>
  );
}

export function RoleChecks({ roles, onInput }: { roles: readonly string[]; onInput: (roles: string[]) => void }) {
  return (
    <fieldset class="checks two">
      <legend>{texts.rolesLegend}</legend>
      {ROLES.map((role) => (
        <Check
          key={role}
          label={roleText[role]?.label}
          hint={roleText[role]?.hint}
          checked={roles.includes(role)}
          onInput={(on) => onInput(on ? [...roles, role] : roles.filter((one) => one !== role))}
        />
      ))}
    </fieldset>
  );
}
