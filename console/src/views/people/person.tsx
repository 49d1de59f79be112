import type { Account } from "../../device/account";
import type { Device, Key, Person } from "../../protocol/objects";
import type { Trust } from "../../protocol/trust";
import { peopleText, personText as texts, tierText } from "../../texts/people";
import { Badge, ButtonLink, Card, Digest, Empty, Fact, Facts, Name, Page, Section, Skeleton, Time } from "../../ui";
import { isAdmin, ownKey } from "../../work/publish";
import { isAlive } from "../../work/roster";
import { LoadFailed } from "../organisation/load-failed";
import { PolicyLinks } from "../organisation/names";
import { useRenewed } from "../organisation/renewed";

export function PersonDetail({ account, person }: { account: Account; person: string }) {
  const found = useRenewed(account, () => account.trust(), (event) => event.kind === "roster", [person]);
  const trust = found.data;
  const one = trust?.person(person);
  const back = <ButtonLink href="/people">{texts.back}</ButtonLink>;
  if (trust && !one) {
    return (
      <Page title={person} actions={back}>
        <Empty title={texts.unknown}>{texts.unknownText}</Empty>
      </Page>
    );
  }
  return (
    <Page title={one?.name ?? person} actions={back}>
      <LoadFailed title={texts.loadFailed} of={found} />
      {trust && one ? <Standing account={account} trust={trust} person={one} /> : found.error ? null : <Skeleton lines={6} />}
    </Page>
  );
}

function Standing({ account, trust, person }: { account: Account; trust: Trust; person: Person }) {
  const admin = isAdmin(account, trust);
  const names = new Set(trust.root.admin.keys.map((key) => key.public));
  const signs = person.devices.some((one) => one.auth.some((key) => names.has(key.public)));
  const policies = trust.roster.policies.filter((one) => one.people.includes(person.id));
  const own = person.id === account.person;
  const at = `/people/${person.id}`;
  return (
    <>
      <Card>
        <Facts>
          <Fact label={texts.id}>
            <Name text={person.id} />
          </Fact>
          <Fact label={texts.roles}>{peopleText.roles(person.roles)}</Fact>
          <Fact label={texts.signs}>
            {signs ? texts.yes : texts.no}
            {person.roles.includes("admin") && !signs ? <p class="small">{texts.noAdmin(person.id)}</p> : null}
          </Fact>
          <Fact label={texts.policies}>
            <PolicyLinks policies={policies} none={texts.noPolicies} />
          </Fact>
        </Facts>
        {admin ? (
          <div class="actions">
            <ButtonLink href={`${at}?roles=`}>{texts.changeRoles}</ButtonLink>
            {own ? null : <ButtonLink href={`${at}?remove=`}>{texts.remove}</ButtonLink>}
          </div>
        ) : null}
      </Card>
      <Section
        title={texts.devices}
        actions={admin ? <ButtonLink href={`${at}?invite=`}>{texts.addDevice}</ButtonLink> : undefined}
      >
        {admin ? <p class="small">{texts.addDeviceText}</p> : null}
        {person.devices.map((one) => (
          <DeviceCard key={one.id} account={account} trust={trust} person={person} device={one} admin={admin} names={names} />
        ))}
      </Section>
    </>
  );
}

function DeviceCard({
  account,
  trust,
  person,
  device,
  admin,
  names,
}: {
  account: Account;
  trust: Trust;
  person: Person;
  device: Device;
  admin: boolean;
  names: ReadonlySet<string>;
}) {
  const at = `/people/${person.id}`;
  const here = person.id === account.person && device.id === account.device;
  const alive = isAlive(device, account.now());
  const tier = tierText[device.tier];
  const synced = device.tier === "synced" && alive;
  return (
    <Card as="article" class="device" aria-label={device.id}>
      <h3>
        <Name text={device.name} /> {here ? <Badge tone="good">{texts.here}</Badge> : null}{" "}
        {alive ? null : <Badge tone="warn">{texts.ended}</Badge>}
      </h3>
      <Facts>
        <Fact label={texts.deviceId}>
          <Name text={device.id} />
        </Fact>
        <Fact label={texts.tier}>
          {tier?.label ?? device.tier}
          <p class="small">{tier?.hint}</p>
        </Fact>
        <Fact label={texts.added}>
          <Time at={device.added} />
        </Fact>
        <Fact label={texts.until}>
          <Time at={device.expires} />
        </Fact>
        <Fact label={texts.passkeys}>
          {device.auth.map((key, n) => (
            <Passkey
              key={key.public}
              passkey={key}
              n={n + 1}
              here={ownKey(account, trust)?.public === key.public}
              signs={names.has(key.public)}
              revoke={admin && device.auth.length > 1 ? `${at}?remove=${device.id}&passkey=${key.public}` : undefined}
            />
          ))}
        </Fact>
      </Facts>
      <div class="actions">
        {admin && synced ? <ButtonLink href={`${at}?invite=&passkey=${device.id}`}>{texts.addPasskey}</ButtonLink> : null}
        {here && synced ? <ButtonLink href={`${at}?handover=`}>{texts.handOver}</ButtonLink> : null}
        {admin && !here && alive ? <ButtonLink href={`${at}?remove=${device.id}`}>{texts.removeDevice}</ButtonLink> : null}
      </div>
      {admin && synced ? <p class="small">{texts.addPasskeyText}</p> : null}
    </Card>
  );
}

function Passkey({
  passkey,
  n,
  here,
  signs,
  revoke,
}: {
  passkey: Key;
  n: number;
  here: boolean;
  signs: boolean;
  revoke: string | undefined;
}) {
  const webauthn = passkey.alg === "webauthn-es256";
  return (
    <div class="passkey">
      <span>{webauthn ? texts.passkey(n) : texts.keyFile}</span>
      <Digest text={passkey.public} />
      {webauthn ? <span class="small">{passkey.backup ? texts.synced : texts.bound}</span> : null}
      {here ? <Badge tone="good">{texts.here}</Badge> : null}
      {signs ? <Badge tone="good">{texts.signsKey}</Badge> : null}
      {revoke && !here ? (
        <span class="actions">
          <ButtonLink href={revoke}>{texts.revokePasskey}</ButtonLink>
        </span>
      ) : null}
    </div>
  );
}
