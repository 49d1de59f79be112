import type { Recovery, Tier } from "../../protocol/objects";
import { tierText } from "../../texts/people";
import { policyText as texts } from "../../texts/policies";
import { Notice, Skeleton } from "../../ui";
import type { Effect } from "../../work/policies";
import type { Rule } from "../../work/roster";

/** What changes for whom: secrets first, then people. */
export function Effects({ effect, tier, busy }: { effect: Effect | undefined; tier: Tier; busy: boolean }) {
  if (!effect) return null;
  if (busy) return <Skeleton lines={2} />;
  const lines = [
    texts.governs(effect.governs),
    ...effect.takes.map((one) => texts.takes(one.path, one.from)),
    ...effect.leaves.map((one) => texts.leaves(one.path, one.to)),
    ...(effect.reseal.length ? [texts.reseal(effect.reseal)] : []),
    ...(effect.added.length ? [texts.added(effect.added)] : []),
    ...(effect.removed.length ? [texts.removed(effect.removed)] : []),
  ];
  return (
    <>
      <ul class="plain-list">
        {lines.map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
      {effect.stops.length ? <Notice kind="warn" title={texts.stops(effect.stops)} /> : null}
      {effect.without.length ? (
        <Notice kind="warn" title={texts.tooFewDevices(effect.without, tierText[tier]?.label ?? tier)} />
      ) : null}
    </>
  );
}

/** M = N, one person alone, key files: said while the form is filled in, not after. */
export function Warnings({ rule, recovery }: { rule: Rule; recovery: Recovery | undefined }) {
  const { people, threshold, tier } = rule;
  return (
    <div class="stack" role="status">
      {people.length && threshold === 1 ? <Notice kind="warn" title={texts.alone} text={texts.aloneText(people)} /> : null}
      {threshold > 1 && threshold === people.length ? (
        <Notice kind="warn" title={texts.equal} text={texts.equalText(people.length, recovery !== undefined)} />
      ) : null}
      {tier === "soft" ? <Notice kind="warn" title={texts.soft} text={texts.softText} /> : null}
      <p class="small">
        {texts.recovery}: {recovery ? texts.recoverySome(recovery.threshold, recovery.keys.length) : texts.recoveryNone}
      </p>
    </div>
  );
}
