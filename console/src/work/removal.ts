// Removing a person, a device or a passkey (protocol 11, (a) to (e)): what was begun is written down in this browser and
// resumes.
//
// (a) blocked where a secret would keep fewer people than its threshold. (b) a roster in which the devices end now and leave
// every policy, still listed, so that what they sealed stays readable. (c) everything they can open or have sealed is sealed
// again. (d) a roster with raised floors, without them. (e) the list of what they have known: rotate it at its source, for a
// removal does not make anyone forget. A passkey has no (b): its seals hold until the roster of (d) drops it.
import type { Account } from "../device/account";
import type { Trust } from "../protocol/trust";
import { removalText } from "../texts/removal";
import { order } from "./compare";
import { adminKey, certsOf, publish } from "./publish";
import { BLOCKED, concerns, isRetired, leavingDevices, plan, unblocked, type Going, type Plan, type Standing } from "./removal-plan";
import { Resealing, type Told } from "./resealing";
import { both, dropped, retired, withFloors, withoutPasskey, withRevoked, type Edit, type Floor } from "./roster";
import { findSeals, type Seal } from "./seals";
import { Stopped } from "./stopped";

const RECORD = "removal";

/** A removal under way, as this browser keeps it. */
export interface Removal {
  going: Going;
  known: string[]; // (e)
  paths: string[]; // (c)
  floors: Floor[]; // sealed again already
}

export interface Done {
  going: Going;
  roster: number;
  resealed: string[];
  rotate: string[];
}

/** What it would do; nothing is signed. */
export async function planned(account: Account, going: Going): Promise<Plan> {
  const trust = await account.trust(true);
  const standing = standingOf(account, trust);
  return plan(going, await findSeals(account, trust), standing);
}

function standingOf(account: Account, trust: Trust): Standing {
  return {
    roster: trust.roster,
    admins: trust.root.admin.keys.map((key) => key.public),
    own: [account.person, account.device],
    ownPasskey: adminKey(account, trust).public,
    now: account.now(),
  };
}

/** The removal that was begun in this browser and is not finished. */
export async function unfinished(account: Account): Promise<Removal | undefined> {
  return (await account.memory.read<Removal | null>(RECORD)) ?? undefined;
}

/** (b), and the record that everything after it resumes from. */
export async function begin(account: Account, found: Plan): Promise<Removal> {
  const standing = await unfinished(account);
  if (standing) throw new Stopped("removal", removalText.other(standing.going.person));
  await outlive(account, found.going);
  const record: Removal = { going: found.going, known: found.known, paths: found.paths, floors: [] };
  // Written down first: if the answer is lost, the second run finds the devices retired and goes on.
  await account.memory.change<Removal | null>(RECORD, () => record);
  try {
    await retire(account, record.going);
  } catch (error) {
    // Nothing was published, or nobody knows: a roster that stands says which.
    if (!isRetired((await account.trust(true)).roster, record.going, account.now())) await forget(account);
    throw error;
  }
  return record;
}

/** What a device sealed must lie before its end, or nobody could open it to seal it again (7.3). A clock that is ahead costs at most
 * the five minutes that a seal may lie in the future. */
async function outlive(account: Account, going: Going): Promise<void> {
  if (going.passkey) return;
  const trust = await account.trust(true);
  const ids = leavingDevices(trust.roster, going);
  const theirs = (await findSeals(account, trust)).filter((one) => ids.has(one.payload.core.by.device));
  const latest = Math.max(0, ...theirs.map((one) => one.payload.core.sealed));
  while (account.now() <= latest) await new Promise((done) => setTimeout(done, 100));
}

async function forget(account: Account): Promise<void> {
  await account.memory.change<Removal | null>(RECORD, () => null);
}

async function retire(account: Account, going: Going): Promise<void> {
  if (going.passkey) return;
  const trust = await account.trust(true);
  const still = unblocked(going, await findSeals(account, trust), standingOf(account, trust));
  const revoked = await certsOf(account, `person/${going.person}`, going.device);
  await publish(account, both(still, retired(going.person, going.device, account.now()), withRevoked(revoked)));
}

/** (c): what is left to seal again. The floors of what somebody else sealed anew meanwhile are written down here. */
export async function resealOf(account: Account, told: Told): Promise<Resealing> {
  let record = await unfinished(account);
  if (!record) throw new Error("no removal is under way");
  const { going } = record;
  // (b) never reached the relay: without it, (c) would seal for them again.
  if (!isRetired((await account.trust(true)).roster, going, account.now())) {
    await retire(account, going).catch(async (error: unknown) => {
      if (error instanceof Stopped && error.code === BLOCKED) await forget(account); // nothing was begun, and cannot be now
      throw error;
    });
  }
  const trust = await account.trust(true);
  const ids = stillThere(trust, going) ? leavingDevices(trust.roster, going) : new Set<string>();
  const seals = (await findSeals(account, trust)).filter((one) => record?.paths.includes(one.path));
  const done = new Set(record.floors.map(([path]) => path));
  // Sealed again before an interruption, or sealed anew by somebody since: nothing to do but the floor.
  const ready = seals
    .filter((one) => !done.has(one.path) && !concerns(one, going, ids))
    .map((one): Floor => [one.path, ...one.version]);
  record = await addFloors(account, ready);
  const left = seals.filter((one: Seal) => concerns(one, going, ids));
  // The list is the relay's: a secret that it stops showing would stay openable by whoever leaves, and without a floor.
  const seen = new Set([...record.floors.map(([path]) => path), ...left.map((one) => one.path)]);
  const hidden = record.paths.filter((path) => !seen.has(path)).sort(order)[0];
  if (hidden !== undefined) throw new Stopped("version", removalText.hidden(hidden));
  return new Resealing(account, left, told, async (floor) => void (await addFloors(account, [floor])));
}

/** What (c) has still to seal again; undefined where (b) never reached the relay. Signs nothing. */
export async function leftOf(account: Account): Promise<string[] | undefined> {
  const record = await unfinished(account);
  const trust = await account.trust(true);
  if (!record || !isRetired(trust.roster, record.going, account.now())) return undefined;
  const ids = stillThere(trust, record.going) ? leavingDevices(trust.roster, record.going) : new Set<string>();
  return (await findSeals(account, trust))
    .filter((one) => record.paths.includes(one.path) && concerns(one, record.going, ids))
    .map((one) => one.path);
}

/** Whether the roster lists what leaves: (d) may have been published before its answer was lost. */
function stillThere(trust: Trust, { person, device }: Going): boolean {
  const found = trust.person(person);
  return Boolean(found && (!device || found.devices.some((one) => one.id === device)));
}

async function addFloors(account: Account, floors: readonly Floor[]): Promise<Removal> {
  const record = await account.memory.change<Removal | null>(RECORD, (old) =>
    old ? { ...old, floors: [...old.floors, ...floors] } : null,
  );
  if (!record) throw new Error("no removal is under way");
  return record;
}

/** (d) and (e). Refuses while something is not sealed again. */
export async function finish(account: Account, left: readonly string[]): Promise<Done> {
  const record = await unfinished(account);
  if (!record) throw new Error("no removal is under way");
  if (left.length) throw new Stopped("reseal", removalText.waiting(left));
  const trust = await account.trust(true);
  const edit = await dropping(account, trust, record);
  const stands = await publish(account, edit);
  await forget(account);
  return { going: record.going, roster: stands.pair[1], resealed: record.floors.map(([path]) => path), rotate: record.known };
}

async function dropping(account: Account, trust: Trust, { going, floors }: Removal): Promise<Edit> {
  if (!going.passkey) return dropped(going.person, going.device, floors);
  const device = trust.device(going.person, going.device);
  if (!device?.auth.some((key) => key.public === going.passkey)) return withFloors(floors); // dropped before its answer was lost
  // The certificate for sealing again belongs to the passkey that joined first.
  const first = device.auth[0]?.public === going.passkey;
  const revoked = first ? await certsOf(account, `person/${going.person}`, going.device) : [];
  return both(withFloors(floors), withoutPasskey(going.person, going.device, going.passkey), withRevoked(revoked));
}
