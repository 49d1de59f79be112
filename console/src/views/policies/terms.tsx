import { useState } from "preact/hooks";
import type { LeaseScope, Policy, Tier } from "../../protocol/objects";
import type { Trust } from "../../protocol/trust";
import { tierText } from "../../texts/people";
import { policyText as texts, presetText, scopeText } from "../../texts/policies";
import { Check, Choice, Field, More, Select, TextArea } from "../../ui";
import { presetOf, withPreset, type Preset } from "../../work/policies";
import { SCOPES, TIERS, type Rule } from "../../work/roster";
import { seconds, written } from "./duration";

interface Props {
  rule: Rule;
  trust: Trust;
  fixed: boolean;
  disabled: boolean;
  onInput: (rule: Rule) => void;
}

/** Name, secrets, people and a preset; everything else behind "All terms". */
export function Terms({ rule, trust, fixed, disabled, onInput }: Props) {
  const [match, setMatch] = useState(rule.match.join("\n"));
  const approvers = trust.roster.people.filter((one) => one.roles.includes("approver") || rule.people.includes(one.id));
  const preset = presetOf(rule);
  const options = [
    ...Object.entries(presetText).map(([value, { label, hint }]) => ({ value, label, hint })),
    ...(preset ? [] : [texts.own]),
  ];
  const toggle = (id: string, on: boolean) => {
    // In the roster's order: a new person goes behind those who stand, since the index of a seal counts from it.
    const people = on ? [...rule.people, id] : rule.people.filter((one) => one !== id);
    onInput({ ...rule, people });
  };
  return (
    <form class="form" autocomplete="off" onSubmit={(event) => event.preventDefault()}>
      <fieldset class="checks" disabled={disabled}>
        <div class="stack">
          {fixed ? null : (
            <Field
              label={texts.id}
              hint={texts.idHint}
              value={rule.id}
              onInput={(id) => onInput({ ...rule, id: id.trim() })}
              mono
              autocapitalize="none"
              autofocus
            />
          )}
          <TextArea
            label={texts.match}
            hint={texts.matchHint}
            value={match}
            mono
            rows={2}
            onInput={(text) => {
              setMatch(text);
              onInput({ ...rule, match: text.split(/[\s,]+/).filter(Boolean) });
            }}
          />
          <fieldset class="checks two">
            <legend>{texts.people}</legend>
            {approvers.length ? (
              approvers.map((one) => (
                <Check key={one.id} label={one.id} checked={rule.people.includes(one.id)} onInput={(on) => toggle(one.id, on)} />
              ))
            ) : (
              <p>{texts.peopleNone}</p>
            )}
          </fieldset>
          <Choice
            legend={texts.preset}
            value={preset ?? "own"}
            options={options}
            onInput={(value) => value !== "own" && onInput(withPreset(rule, value as Preset))}
          />
          <More label={texts.more}>
            <Every rule={rule} onInput={onInput} />
          </More>
        </div>
      </fieldset>
    </form>
  );
}

function Every({ rule, onInput }: { rule: Rule; onInput: (rule: Rule) => void }) {
  return (
    <div class="form">
      <Field
        label={texts.threshold}
        type="number"
        min={1}
        max={127}
        value={String(rule.threshold)}
        onInput={(text) => onInput({ ...rule, threshold: Number(text) })}
      />
      <Select
        label={texts.tier}
        value={rule.tier}
        options={TIERS.map((one) => [one, tierText[one]?.label ?? one] as const)}
        onInput={(tier) => onInput({ ...rule, tier: tier as Tier })}
      />
      <Span label={texts.window} hint={texts.windowHint} value={rule.window} onInput={(window) => onInput({ ...rule, window })} />
      <Select
        label={texts.scope}
        value={rule.scope}
        options={SCOPES.map((one) => [one, scopeText[one]?.label ?? one] as const)}
        hint={scopeText[rule.scope]?.hint}
        onInput={(scope) => onInput({ ...rule, scope: scope as LeaseScope })}
      />
      <Field
        label={texts.uses}
        hint={texts.usesHint}
        type="number"
        min={0}
        value={String(rule.uses)}
        onInput={(text) => onInput({ ...rule, uses: text ? Number(text) : NaN })}
      />
      <Span label={texts.ttl} hint={texts.ttlHint} value={rule.ttl} onInput={(ttl) => onInput({ ...rule, ttl })} />
      <Select
        label={texts.deny}
        value={rule.deny}
        options={texts.denies}
        onInput={(deny) => onInput({ ...rule, deny: deny as Policy["deny"] })}
      />
      <Check label={texts.code} hint={texts.codeHint} checked={rule.code} onInput={(code) => onInput({ ...rule, code })} />
    </div>
  );
}

/** A duration as it is typed; what it means goes up as seconds, NaN while it means nothing. */
function Span({ label, hint, value, onInput }: { label: string; hint: string; value: number; onInput: (value: number) => void }) {
  const [text, setText] = useState(written(value));
  const [last, setLast] = useState(value);
  if (!Object.is(last, value)) {
    // A preset changed it from outside.
    setLast(value);
    if (!Number.isNaN(value) && seconds(text) !== value) setText(written(value));
  }
  return (
    <Field
      label={label}
      hint={hint}
      value={text}
      mono
      error={Number.isNaN(seconds(text)) ? texts.badTime : undefined}
      onInput={(typed) => {
        setText(typed);
        setLast(seconds(typed));
        onInput(seconds(typed));
      }}
    />
  );
}
