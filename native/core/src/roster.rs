//! Which policy a path falls under (section 2), and the rules that a roster keeps beyond its form (section 4).
//!
//! A roster that breaks one is refused whole, whoever signed it: a slip or a hostile admin would otherwise weaken every policy
//! in it.

use std::collections::HashSet;
use std::hash::Hash;

use crate::error::{Code, Refusal, Result};
use crate::objects::{Device, Policy, RECOVERY, Role, Roster, Tier};
use crate::path::{check_path, rank};

/// Seconds: the ceiling of a lease window.
pub const MAX_WINDOW: u64 = 28_800;
/// Seconds: the ceiling of a request's life.
pub const MAX_TTL: u64 = 3_600;
/// People of a policy, and keys of a recovery group: an index has seven bits.
pub const MAX_PEOPLE: usize = 127;

/// The policy whose pattern covers `path` most closely.
///
/// # Errors
/// `path` where `path` is none, `no-policy` where no pattern covers it.
pub fn select<'a>(policies: &'a [Policy], path: &str) -> Result<&'a Policy> {
    check_path(path)?;
    let ranked = policies.iter().flat_map(|policy| policy.matches.iter().map(move |pattern| (rank(pattern, path), policy)));
    let best = ranked.filter(|(rank, _)| rank.is_some()).max_by_key(|(rank, _)| *rank);
    best.map(|(_, policy)| policy).ok_or_else(|| Refusal::new(Code::NoPolicy, "no policy covers this path"))
}

fn invalid(why: impl Into<String>) -> Refusal {
    Refusal::new(Code::RosterInvalid, why)
}

fn check_once<T: Hash + Eq>(items: impl IntoIterator<Item = T>, what: &str) -> Result<()> {
    let mut seen = HashSet::new();
    if items.into_iter().all(|item| seen.insert(item)) {
        return Ok(());
    }
    Err(invalid(format!("{what} stands twice")))
}

/// Every rule of section 4 about a roster.
///
/// # Errors
/// `roster-invalid`.
pub fn check_roster(roster: &Roster) -> Result<()> {
    let devices = || roster.people.iter().flat_map(|person| &person.devices);
    // 1. Names are unique, each among its kind, and nobody is called as the recovery group is.
    check_once(roster.people.iter().map(|p| &p.id), "a person id")?;
    check_once(devices().map(|d| &d.id), "a device id")?;
    check_once(roster.policies.iter().map(|p| &p.id), "a policy id")?;
    if roster.person(RECOVERY).is_some() {
        return Err(invalid("a person is called recovery"));
    }
    // 2. A pattern stands once, or two policies would cover one path equally well.
    check_once(roster.policies.iter().flat_map(|p| &p.matches), "a pattern")?;
    // 3. A public key stands once: shared keys let one person count as two, or a signature be made where a key is unwrapped.
    check_public_keys(roster)?;
    // 4. What a device signs with.
    devices().try_for_each(check_device)?;
    // 5. Floors by path, one each.
    if !roster.floors.is_sorted_by(|a, b| a.path < b.path) {
        return Err(invalid("floors are not sorted by path"));
    }
    // 6. Policies that can be met, by people who may decide.
    for policy in &roster.policies {
        check_policy(policy)?;
        for id in &policy.people {
            if !roster.person(id).is_some_and(|person| person.has(Role::Approver)) {
                return Err(invalid(format!("policy {}: {id} is no rostered approver", policy.id)));
            }
        }
    }
    Ok(())
}

fn check_public_keys(roster: &Roster) -> Result<()> {
    let mut keys: Vec<&[u8]> = Vec::new();
    for device in roster.people.iter().flat_map(|person| &person.devices) {
        keys.push(&device.kem.public);
        keys.extend(device.auth.iter().chain(&device.deny).map(|key| key.public.as_slice()));
    }
    // A recovery key is one key in one hand; every policy may list it, always under its one id (within a policy once: below).
    let groups = roster.policies.iter().filter_map(|policy| policy.recovery.as_ref());
    let recovery: HashSet<(&str, &[u8])> =
        groups.flat_map(|group| &group.keys).map(|key| (key.id.as_str(), key.kem.public.as_slice())).collect();
    check_once(recovery.iter().map(|(id, _)| id), "a recovery key id, with two keys,")?;
    keys.extend(recovery.iter().map(|(_, public)| public));
    check_once(keys, "a public key")
}

fn check_device(device: &Device) -> Result<()> {
    let several = device.tier == Tier::Synced;
    if device.auth.is_empty() || (device.auth.len() > 1 && !several) {
        return Err(invalid(format!("device {}: {} auth keys", device.id, device.auth.len())));
    }
    if device.deny.as_ref().is_some_and(|key| key.check_deny().is_err()) {
        return Err(invalid(format!("device {}: a deny key is es256", device.id)));
    }
    Ok(())
}

/// The rules of one policy that need no roster; they hold for the policy in a sealed secret too.
///
/// # Errors
/// `roster-invalid`.
pub fn check_policy(policy: &Policy) -> Result<()> {
    let bad = |why: &str| Err(invalid(format!("policy {}: {why}", policy.id)));
    if policy.window > MAX_WINDOW {
        return bad("window above 8 hours");
    }
    if policy.ttl > MAX_TTL {
        return bad("ttl above an hour");
    }
    check_once(&policy.people, "a person of a policy")?;
    let people = policy.people.len();
    if people > MAX_PEOPLE || policy.threshold < 1 || policy.threshold > people as u64 {
        return bad("1 <= threshold <= people <= 127 is wanted");
    }
    if let Some(group) = &policy.recovery {
        let keys = group.keys.len();
        if keys > MAX_PEOPLE || group.threshold < 2 || group.threshold > keys as u64 {
            return bad("2 <= recovery threshold <= keys <= 127 is wanted");
        }
        check_once(group.keys.iter().map(|key| &key.id), "a recovery key id")?;
        check_once(group.keys.iter().map(|key| &key.kem.public), "a recovery key")?;
    }
    Ok(())
}
