// What changed between two rosters: shown to a sealer since their last seal (section 5.1), and before a roster is signed.
import { changed } from "../texts/changes";
import type { Device, Person, Roster } from "../protocol/objects";
import { order, same } from "./compare";

export function changes(before: Roster, after: Roster): string[] {
  return [...people(before, after), ...policies(before, after)];
}

function byId<T extends { id: string }>(items: readonly T[]): Map<string, T> {
  return new Map(items.map((one) => [one.id, one]));
}

function ids(...maps: Map<string, unknown>[]): string[] {
  return [...new Set(maps.flatMap((one) => [...one.keys()]))].sort(order);
}

function people(before: Roster, after: Roster): string[] {
  const [old_people, new_people] = [byId<Person>(before.people), byId<Person>(after.people)];
  const lines: string[] = [];
  for (const id of ids(old_people, new_people)) {
    const [old, now] = [old_people.get(id), new_people.get(id)];
    if (!now) lines.push(changed.gonePerson(id));
    else if (!old) lines.push(changed.newPerson(id, now.roles));
    else if (!same(old.roles, now.roles)) lines.push(changed.roles(id, now.roles));
    if (now) lines.push(...devices(id, byId<Device>(old?.devices ?? []), byId<Device>(now.devices)));
  }
  return lines;
}

function devices(person: string, before: Map<string, Device>, after: Map<string, Device>): string[] {
  const lines: string[] = [];
  for (const id of ids(before, after)) {
    const [old, now] = [before.get(id), after.get(id)];
    if (!now) lines.push(changed.goneDevice(id, person));
    else if (!old) lines.push(changed.newDevice(id, person, now.tier));
    else {
      if (!same(old.kem, now.kem)) lines.push(changed.key(id, person));
      if (old.tier !== now.tier) lines.push(changed.tier(id, person, now.tier));
      if (now.expires < old.expires) lines.push(changed.retiredDevice(id, person));
      if (!same(old.auth, now.auth)) lines.push(changed.passkeys(id, person, now.auth.length));
    }
  }
  return lines;
}

function policies(before: Roster, after: Roster): string[] {
  const [old_ones, new_ones] = [byId(before.policies), byId(after.policies)];
  return ids(old_ones, new_ones).flatMap((id) => {
    const now = new_ones.get(id);
    if (!now) return [changed.gonePolicy(id)];
    const old = old_ones.get(id);
    if (same(old, now)) return [];
    const recovery = same(old?.recovery, now.recovery) ? [] : [changed.recovery(id, now.recovery)];
    return [changed.policy(now), ...recovery];
  });
}
