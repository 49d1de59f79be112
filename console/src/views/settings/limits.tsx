import { useEffect, useState } from "preact/hooks";
import type { Account } from "../../device/account";
import { settings } from "../../texts/settings";
import { Problem, Section, Select } from "../../ui";
import { LEAST, LIMITS, limitsOf, withLimits } from "../../work/approving/budget";
import { type Meter, meterOf } from "../../work/approving/fatigue";
import type { Limits as Chosen } from "../../work/approving/memory";
import { changeState, stateOf } from "../../work/approving/prompts";

const texts = settings.limits;
const OFFERED: Record<keyof Chosen, readonly number[]> = {
  shownAtOnce: [1, 3, 5, 10],
  shownPerHour: [1, 5, 10, 20],
  approvalsBeforeCode: [0, 1, 2, 3],
};
const NAMES = Object.keys(OFFERED) as (keyof Chosen)[];

/** What this browser lets a relay put before its person, and what it says of their habit. Each can be made narrower only. */
export function Limits({ account }: { account: Account }) {
  const [limits, setLimits] = useState<Chosen>();
  const [meter, setMeter] = useState<Meter>();
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    stateOf(account).then((state) => {
      setLimits(limitsOf(state));
      setMeter(meterOf(state));
    }, setError);
  }, [account]);
  const choose = async (name: keyof Chosen, value: string) => {
    setError(undefined);
    try {
      setLimits(limitsOf(await changeState(account, (state) => withLimits(state, { [name]: Number(value) }))));
    } catch (reason) {
      setError(reason);
    }
  };
  return (
    <Section title={texts.title}>
      <p class="lead">{texts.lead}</p>
      <Problem title={texts.failed} error={error} />
      {limits ? (
        <div class="form">
          {NAMES.map((name) => (
            <Select key={name} label={texts.names[name]} hint={texts.hints[name](LEAST[name], LIMITS[name])} value={String(limits[name])}
              options={optionsOf(name, limits[name])} onInput={(value) => void choose(name, value)} />
          ))}
        </div>
      ) : null}
      <p class="small">{meter ? texts.meter(meter.approved, meter.of, meter.median / 1000) : texts.noMeter}</p>
    </Section>
  );
}

function optionsOf(name: keyof Chosen, now: number): [string, string][] {
  const all = [...new Set([...OFFERED[name], now])].sort((a, b) => a - b);
  return all.map((one) => [String(one), name === "approvalsBeforeCode" ? texts.code(one) : String(one)]);
}
