//! What has to hold of a sealed secret before anybody uses it: section 7.3 without self. The approver's device, the client and
//! the relay make these checks, each for itself.
//!
//! [`verify_secret`] proves authorship (public-key encryption alone is none: everybody can seal to a public key), freshness and
//! that recipients, commitments and stanzas are those that the sealed policy calls for. [`verify_new_secret`] is for the relay at
//! upload, which also wants the policy and the recipients of its current roster.
//!
//! Left to the caller: opening anything, and remembering the highest version of each path.

use crate::encoding::{Pair, Value, domain};
use crate::error::{Code, Refusal, Result};
use crate::hpke::{self, DiffieHellman, Secret32};
use crate::objects::{Core, Payload, Policy, RECOVERY, Recipient, Role, Secret};
use crate::payload::{check_ciphertext, decrypt};
use crate::roster::check_policy;
use crate::signed::{Signed, Verified};
use crate::trust::{SKEW, Trust};
use crate::value::Value as Plaintext;

/// Recovery key n has index `RECOVERY_BASE + n`; people stand below.
pub const RECOVERY_BASE: u64 = 128;
/// Seconds: how old a sealing may be when it is uploaded.
const UPLOAD_AGE: u64 = 300;

/// Verifies a secret served for `path`; `lowest` are the pairs that it may not undercut (remembered, minimum).
///
/// With `reseal` the threshold of the current policy is not asked: a re-seal serves to bring an old sealing up to it.
///
/// # Errors
/// `sealer`, `signature` or another code of the signature, `org`, `path-mismatch`, `future`, `version`, `no-policy`, `threshold`,
/// `recipients`, or a code of the encoding.
pub fn verify_secret(
    trust: &Trust,
    wrapper: &[u8],
    path: &str,
    lowest: &[Pair],
    now: u64,
    reseal: bool,
) -> Result<Verified<Secret>> {
    // 1. Who sealed it, of which organisation, for which path. A16, A4
    let secret = verify_authorship(trust, wrapper, path)?;
    let core = &secret.core;
    // 2. Not in the future, as far as clocks may differ.
    if core.sealed > now.saturating_add(SKEW) {
        return Err(Refusal::new(Code::Future, format!("sealed {}, now {now}", core.sealed)));
    }
    // 3. Not older than remembered, than the floor of that exact path, than asked for. A11
    let least = lowest.iter().copied().chain(trust.roster().floor(path)).max().unwrap_or_default();
    if core.pair() < least {
        return Err(Refusal::new(Code::Version, format!("{:?} where at least {least:?} is wanted", core.pair())));
    }
    // 4. Sealed for as many people as the policy of today wants. A13
    if !reseal && core.policy.threshold < trust.policy(path)?.threshold {
        return Err(Refusal::new(Code::Threshold, format!("sealed with a threshold of {}", core.policy.threshold)));
    }
    // 5. Its form: that of sections 4 and 5.
    check_form(&secret)?;
    Ok(secret)
}

/// The first half of 7.3: sealed by a rostered sealer's device while it was in date, for this organisation and path.
///
/// # Errors
/// `sealer`, a code of the signature, `org`, `path-mismatch`, or a code of the encoding.
pub fn verify_authorship(trust: &Trust, wrapper: &[u8], path: &str) -> Result<Verified<Secret>> {
    let signed = Signed::parse(Secret::NAME, wrapper)?;
    // Unverified until the next step: only `by` is read, to choose the key.
    let claimed: Secret = signed.peek()?;
    let by = claimed.core.by.clone();
    let stranger = || Refusal::new(Code::Sealer, format!("{}/{} is no rostered sealer", by.person, by.device));
    let person = trust.roster().person(&by.person).filter(|person| person.has(Role::Sealer)).ok_or_else(stranger)?;
    let device = person.device(&by.device).ok_or_else(stranger)?;
    // The deny key is not among `auth`: it signs deny and freeze and nothing else.
    signed.verify(&device.auth, trust.origins())?;
    // The very bytes that were verified were parsed above; with many recipients a second parse is most of the work.
    let secret = Verified::new(signed.oid(), signed.unverified_payload().to_vec(), claimed);
    let core = &secret.core;
    // A retired device stays listed, so that what it sealed before holds.
    if !(device.added <= core.sealed && core.sealed < device.expires) {
        return Err(Refusal::new(Code::Sealer, format!("{} was not in date when this was sealed", device.id)));
    }
    if core.org != *trust.pin() {
        return Err(Refusal::new(Code::Org, "of another organisation"));
    }
    if core.path != path {
        return Err(Refusal::new(Code::PathMismatch, "the secret of another path"));
    }
    Ok(secret)
}

/// What the relay can check of a new secret and its ciphertext (5.6). Whether version and revision follow is the store's to say.
///
/// # Errors
/// As [`verify_secret`]; `expired` for a sealing older than 300 s, `recipients` where policy or recipients are not those of the
/// roster, `ciphertext`, `padding`.
pub fn verify_new_secret(trust: &Trust, wrapper: &[u8], ciphertext: &[u8], now: u64) -> Result<Verified<Secret>> {
    let path = Signed::parse("secret", wrapper)?.peek::<Secret>()?.core.path;
    let secret = verify_secret(trust, wrapper, &path, &[], now, false)?;
    let core = &secret.core;
    if core.sealed.saturating_add(UPLOAD_AGE) < now {
        return Err(Refusal::new(Code::Expired, format!("sealed {}, now {now}", core.sealed)));
    }
    let policy = trust.policy(&path)?;
    if core.policy != *policy {
        return Err(Refusal::new(Code::Recipients, "sealed under another policy than that of the roster: seal again"));
    }
    // At the time of sealing: a device may have come into date, or gone out of it, on the way here.
    if core.recipients != recipients_of(trust, policy, core.sealed) {
        return Err(Refusal::new(Code::Recipients, "sealed to others than the roster names: seal again"));
    }
    check_ciphertext(ciphertext, core.length, &core.ciphertext_hash)?;
    Ok(secret)
}

/// Section 5.1: every rostered device of the policy's people that is in date and of the tier, then the recovery keys; sorted by
/// (index, device).
#[must_use]
pub fn recipients_of(trust: &Trust, policy: &Policy, now: u64) -> Vec<Recipient> {
    let mut found = Vec::new();
    for (index, id) in (1..).zip(&policy.people) {
        let devices = trust.roster().person(id).map_or(&[][..], |person| &person.devices);
        let usable = devices.iter().filter(|device| device.in_date(now) && device.tier >= policy.tier);
        found.extend(usable.map(|device| Recipient { index, person: id.clone(), device: device.id.clone() }));
    }
    found.sort_unstable_by(|a, b| (a.index, &a.device).cmp(&(b.index, &b.device)));
    found.extend(recovery_of(policy));
    found
}

fn recovery_of(policy: &Policy) -> impl Iterator<Item = Recipient> {
    let keys = policy.recovery.iter().flat_map(|group| &group.keys);
    (RECOVERY_BASE + 1..).zip(keys).map(|(index, key)| Recipient { index, person: RECOVERY.to_owned(), device: key.id.clone() })
}

/// Recipients, commitments and stanzas as in sections 4 and 5, judged by the sealed policy alone. A24
fn check_form(secret: &Secret) -> Result<()> {
    let core = &secret.core;
    let bad = |why: &str| Err(Refusal::new(Code::Recipients, why));
    // 1. The policy stood in a roster once, so it keeps the rules of one.
    check_policy(&core.policy).map_err(|refusal| Refusal::new(Code::Recipients, refusal.detail))?;
    if core.policy.index_of(RECOVERY).is_some() {
        return bad("a person is called recovery");
    }
    // 2. Sorted by (index, device), none twice.
    if !core.recipients.is_sorted_by(|a, b| (a.index, &a.device) < (b.index, &b.device)) {
        return bad("recipients are not sorted, or one stands twice");
    }
    // 3. People under their own index, as many of them as the threshold.
    let (people, recovery) = core.recipients.split_at(core.recipients.partition_point(|to| to.index <= RECOVERY_BASE));
    if people.iter().any(|to| core.policy.index_of(&to.person) != Some(to.index)) {
        return bad("a recipient under an index that is not theirs");
    }
    let mut indices: Vec<u64> = people.iter().map(|to| to.index).collect();
    indices.dedup();
    if (indices.len() as u64) < core.policy.threshold {
        return bad("fewer people than the threshold");
    }
    // 4. Every recovery key of the policy, in its order, and nothing else. A21
    if !recovery.iter().cloned().eq(recovery_of(&core.policy)) {
        return bad("not the recovery keys of the policy");
    }
    // 5. A commitment for exactly the indices with a share: people share from two on, recovery keys always.
    if core.policy.threshold == 1 {
        indices.clear();
    }
    indices.extend(recovery.iter().map(|to| to.index));
    if !core.share_commitments.iter().map(|commitment| commitment.index).eq(indices) {
        return bad("share commitments of other indices than those with a share");
    }
    // 6. A stanza each; each of the one length that opens, or it would not have been read.
    if secret.stanzas.len() != core.recipients.len() {
        return bad("not one stanza for each recipient");
    }
    Ok(())
}

/// A [`Trust`] may have been verified long ago: is it in date still?
///
/// # Errors
/// `expired`.
pub fn check_in_date(trust: &Trust, now: u64) -> Result<()> {
    if now < trust.expires() {
        return Ok(());
    }
    Err(Refusal::new(Code::Expired, format!("root or roster expired {}, now {now}", trust.expires())))
}

/// The `info` of a stanza: bound to the whole core and to its place.
///
/// # Errors
/// None for a decoded core.
pub fn stanza_info(core: &Core, position: usize) -> Result<Vec<u8>> {
    domain("stanza", &[Value::bytes(&core.hash()?), Value::Int(position as u64)])
}

/// Opens the stanza at `position`: the data key at threshold 1 of people, else a share.
///
/// # Errors
/// `stanza`.
pub fn open_stanza(secret: &Secret, position: usize, key: &dyn DiffieHellman) -> Result<Secret32> {
    let none = || Refusal::new(Code::Stanza, "no such stanza");
    let stanza = secret.stanzas.get(position).ok_or_else(none)?;
    hpke::open(key, &stanza_info(&secret.core, position)?, &stanza.enc, &stanza.ct)
        .map_err(|refusal| Refusal::new(Code::Stanza, refusal.detail))
}

/// The aad of the payload (5.3): what a ciphertext cannot be moved away from.
///
/// # Errors
/// None for a decoded core.
pub fn payload_aad(core: &Core) -> Result<Vec<u8>> {
    domain(
        "payload",
        &[
            Value::bytes(&core.org),
            Value::text(&core.path),
            Value::Int(core.version),
            Value::Int(core.revision),
            Value::bytes(&core.salt),
        ],
    )
}

/// The plaintext of a verified core, with a data key that was compared with its commitment.
///
/// # Errors
/// `ciphertext`, `decrypt`, `padding`.
pub fn open_payload(core: &Core, dek: &Secret32, ciphertext: &[u8]) -> Result<Plaintext> {
    check_ciphertext(ciphertext, core.length, &core.ciphertext_hash)?;
    Plaintext::from_padded(decrypt(dek, &core.salt, &payload_aad(core)?, ciphertext)?)
}
