import { useEffect, useState } from "preact/hooks";
import { installOffer } from "../../app/install";
import { account, signOut, who } from "../../app/session";
import { applyTheme, theme, type Theme } from "../../app/theme";
import { join } from "../../texts/join";
import { settings as texts } from "../../texts/settings";
import { Button, ButtonLink, Choice, Digest, Fact, Facts, Name, Page, Problem, Section, Skeleton, Time } from "../../ui";
import type { Device, Key } from "../../protocol/objects";
import { Limits } from "./limits";
import { Sessions } from "./sessions";

export default function Screen() {
  return (
    <Page title={texts.title}>
      <Sessions />
      <ThisPasskey />
      {account.value && who.value?.roles.includes("approver") ? <Limits account={account.value} /> : null}
      <Look />
      <Install />
      <Section title={texts.more}>
        <div class="actions">
          <ButtonLink href="/notifications">{texts.notifications}</ButtonLink>
          <ButtonLink href="/help">{texts.help}</ButtonLink>
          <Button onClick={signOut}>{texts.signOut}</Button>
        </div>
      </Section>
    </Page>
  );
}

interface Own {
  device: Device;
  key: Key;
  deny: boolean;
  kept: number;
  persisted: boolean;
}

function ThisPasskey() {
  const [own, setOwn] = useState<Own>();
  const [error, setError] = useState<unknown>();
  const standing = account.value;
  useEffect(() => {
    if (!standing) return;
    const read = async () => {
      const { device, key } = await standing.listed();
      const deny = await standing.memory.denyKey();
      await standing.shareWrapped().catch(() => {}); // offline: what is here counts
      const kept = (await standing.memory.wrapped()).filter((one) => one.credential === standing.credential).length;
      const persisted = (await navigator.storage?.persisted?.()) ?? false;
      setOwn({ device, key, deny: deny !== undefined && deny.public === device.deny?.public, kept, persisted });
    };
    read().catch(setError);
  }, [standing]);
  return (
    <Section title={texts.device}>
      <p class="lead">{texts.deviceLead}</p>
      {error ? <Problem title={texts.device} error={error} /> : null}
      {!own && !error ? <Skeleton lines={5} /> : null}
      {own && standing ? (
        <div class="card">
          <Facts>
            <Fact label={texts.person}>{standing.person}</Fact>
            <Fact label={texts.roles}>{who.value?.roles.map((one) => join.roleNames[one] ?? one).join(", ")}</Fact>
            <Fact label={texts.deviceId}>
              {own.device.name} (<Name text={own.device.id} />)
            </Fact>
            <Fact label={texts.tier}>{texts.tiers[own.device.tier] ?? own.device.tier}</Fact>
            <Fact label={texts.backup}>{own.key.backup ? texts.backupYes : texts.backupNo}</Fact>
            <Fact label={texts.expires}>
              <Time at={own.device.expires} />
            </Fact>
            <Fact label={texts.denyKey}>{own.deny ? texts.denyHere : texts.denyNot}</Fact>
            <Fact label={texts.kept}>{texts.keptHere(own.kept)}</Fact>
            <Fact label={texts.storage}>{own.persisted ? texts.storageKept : texts.storageMay}</Fact>
            <Fact label={texts.org}>
              <Digest text={standing.org} />
            </Fact>
          </Facts>
        </div>
      ) : null}
    </Section>
  );
}

function Look() {
  const [now, setNow] = useState<Theme>(theme());
  const options = (Object.keys(texts.themes) as Theme[]).map((value) => ({ value, label: texts.themes[value] }));
  return (
    <Section title={texts.look}>
      <Choice legend={texts.theme} value={now} options={options} onInput={(value) => {
        applyTheme(value as Theme);
        setNow(value as Theme);
      }} />
    </Section>
  );
}

function Install() {
  const offer = installOffer.value;
  return (
    <Section title={texts.install}>
      <p class="lead">{texts.installText}</p>
      {offer ? (
        <div class="actions">
          <Button onClick={() => offer.prompt()}>{texts.installButton}</Button>
        </div>
      ) : null}
    </Section>
  );
}
