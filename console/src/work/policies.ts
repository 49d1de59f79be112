// What a policy would change, before it is signed: pure, over verified seals.
import type { Policy, Roster } from "../protocol/objects";
import { tierAtLeast } from "../protocol/trust";
import { matches } from "../protocol/path";
import type { Sealed } from "./removal-plan";
import { order, same } from "./compare";
import { governing, isAlive, type Rule } from "./roster";

export interface Effect {
  /** Paths that this policy will govern. */
  governs: string[];
  /** Of these, paths that another policy governs now. */
  takes: { path: string; from: string }[];
  /** Paths that it governed and leaves to another, or to none (`to` ""). */
  leaves: { path: string; to: string }[];
  /** Paths whose seal was made for other people or terms: old terms hold until they are sealed again. */
  reseal: string[];
  /** Of these, paths that stop being released until then: sealed for fewer people than this policy wants. */
  stops: string[];
  /** People who can newly release, and who no longer can. */
  added: string[];
  removed: string[];
  /** People of the policy without a device of its tier in date. */
  without: string[];
}

/** What changes for whom when `after` replaces `before`. */
export function effectOf(before: Roster, after: Roster, id: string, seals: readonly Sealed[], now: number): Effect {
  const old = before.policies.find((one) => one.id === id);
  const policy = after.policies.find((one) => one.id === id);
  const effect: Effect = { governs: [], takes: [], leaves: [], reseal: [], stops: [], added: [], removed: [], without: [] };
  if (!policy) return effect;
  for (const { path, payload } of [...seals].sort((a, b) => order(a.path, b.path))) {
    const [from, to] = [governing(before.policies, path), governing(after.policies, path)];
    if (to?.id === id) {
      effect.governs.push(path);
      if (from && from.id !== id) effect.takes.push({ path, from: from.id });
      if (!same(payload.core.policy, policy)) effect.reseal.push(path);
      if (payload.core.policy.threshold < policy.threshold) effect.stops.push(path);
    } else if (from?.id === id) {
      effect.leaves.push({ path, to: to?.id ?? "" });
    }
  }
  effect.added = policy.people.filter((one) => !old?.people.includes(one));
  effect.removed = old?.people.filter((one) => !policy.people.includes(one)) ?? [];
  effect.without = policy.people.filter((one) => !usable(after, one, policy, now));
  return effect;
}

/** What a policy's removal would concern: paths that it governs now, and paths whose seal carries it while another governs them. */
export function lyingUnder(roster: Roster, id: string, seals: readonly Sealed[]): { governed: string[]; sealed: string[] } {
  const governed = seals.filter((one) => governing(roster.policies, one.path)?.id === id).map((one) => one.path);
  const carry = seals.filter((one) => one.payload.core.policy.id === id && !governed.includes(one.path)).map((one) => one.path);
  return { governed: governed.sort(order), sealed: carry.sort(order) };
}

function usable(roster: Roster, person: string, policy: Policy, now: number): boolean {
  const devices = roster.people.find((one) => one.id === person)?.devices ?? [];
  return devices.some((one) => isAlive(one, now) && tierAtLeast(one.tier, policy.tier));
}

export type Preset = "ask" | "quarter" | "task" | "two";

/** A preset in words, over what stands: it sets how often and how many, and leaves names and people alone. */
export function withPreset(rule: Rule, preset: Preset): Rule {
  switch (preset) {
    case "ask":
      return { ...rule, threshold: 1, window: 0, uses: 0, scope: "process" };
    case "quarter":
      return { ...rule, threshold: 1, window: 900, uses: 0, scope: "process" };
    case "task":
      return { ...rule, threshold: 1, window: 28800, uses: 0, scope: "task" };
    case "two":
      return { ...rule, threshold: 2, window: 900, uses: 0, scope: "process" };
  }
}

/** The preset that a rule is, or undefined where it is something of its own. */
export function presetOf(rule: Rule): Preset | undefined {
  return (["ask", "quarter", "task", "two"] as const).find((one) => same(withPreset(rule, one), rule));
}

/** Whether two patterns have a path in common. */
export function meet(one: string, other: string): boolean {
  if (one === "**" || other === "**") return true;
  const prefix = (pattern: string) => pattern.slice(0, -2); // with the slash
  if (one.endsWith("/**") && other.endsWith("/**"))
    return prefix(one).startsWith(prefix(other)) || prefix(other).startsWith(prefix(one));
  return one.endsWith("/**") ? matches(one, other) : matches(other, one);
}

/** The policies under which something within these scopes is decided. */
export function overlapping(policies: readonly Policy[], scopes: readonly string[]): Policy[] {
  return policies.filter((one) => one.match.some((pattern) => scopes.some((scope) => meet(pattern, scope))));
}
