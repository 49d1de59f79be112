//! Sealing: section 5. The public keys come from a verified roster and from nowhere else, so that nobody can slip in a key of
//! their own.
//!
//! [`seal`] makes a new version; a re-seal is the same with `revision` grown by one and the same value. Both take a fresh data
//! key, salt and polynomials: nothing of an earlier sealing opens the new one.
//!
//! Left to the caller: showing the roster changes since this sealer's last seal, and naming [`Sealed::missing`].

use crate::encoding::{Oid, Pair, Value, domain, encode, sha256};
use crate::error::{Code, Refusal, Result};
use crate::hpke::{self, KemPublic, Secret32};
use crate::keys::SigningKey;
use crate::objects::{By, Core, Payload, Policy, Recipient, Role, Secret, ShareCommitment, Stanza};
use crate::payload::{dek_commitment, encrypt};
use crate::random::Randomness;
use crate::secret::{RECOVERY_BASE, check_in_date, payload_aad, recipients_of};
use crate::shares::{Share, commitment, split};
use crate::signed::Signed;
use crate::trust::Trust;
use crate::value::Value as Plaintext;

/// What a sealing is of, beside the value.
#[derive(Debug, Clone)]
pub struct Label<'a> {
    /// Person and device that seal.
    pub by: (&'a str, &'a str),
    /// The path.
    pub path: &'a str,
    /// `(version, revision)`.
    pub version: Pair,
    /// Oid of the seal before.
    pub previous: Option<Oid>,
}

/// A signed secret and its ciphertext.
#[derive(Debug)]
pub struct Sealed {
    /// The canonical bytes of the signed secret.
    pub secret: Vec<u8>,
    /// The ciphertext, which travels apart.
    pub ciphertext: Vec<u8>,
    /// Oid of the secret.
    pub oid: Oid,
    /// For whom it is.
    pub recipients: Vec<Recipient>,
    /// People of the policy without a usable device, in the policy's order.
    pub missing: Vec<String>,
}

/// Seals `value` for the people of the policy that covers the path, signed by the sealer's device.
///
/// # Errors
/// `expired` (the roster), `sealer`, `no-policy`, `recipients` when fewer people than the threshold have a usable device.
pub fn seal(
    trust: &Trust,
    key: &SigningKey,
    label: &Label<'_>,
    value: &Plaintext,
    now: u64,
    random: &mut dyn Randomness,
) -> Result<Sealed> {
    // 1. Roster in date, a sealer who may, the policy of the path, who can open (5.1).
    check_in_date(trust, now)?;
    check_sealer(trust, key, label.by, now)?;
    let policy = trust.policy(label.path)?;
    let recipients = recipients_of(trust, policy, now);
    let missing = missing_from(policy, &recipients);
    let present = policy.people.len() - missing.len();
    if (present as u64) < policy.threshold {
        let names = missing.join(", ");
        let detail = format!("no usable device: {names}; {present} of at least {} people could open", policy.threshold);
        return Err(Refusal::new(Code::Recipients, detail));
    }
    // 2. Data key and salt (5.2), shares (5.4).
    let mut dek = Secret32::default();
    random.fill(dek.as_mut());
    let mut salt = [0; 32];
    random.fill(&mut salt);
    let shares = deal(&dek, policy, &recipients, random)?;
    // 3. The core, then the payload bound to it (5.3), then its hash into the core.
    let mut core = Core {
        org: *trust.pin(),
        path: label.path.to_owned(),
        version: label.version.0,
        revision: label.version.1,
        previous: label.previous,
        sealed: now,
        by: By { person: label.by.0.to_owned(), device: label.by.1.to_owned() },
        policy: policy.clone(),
        salt,
        dek_commitment: dek_commitment(&dek, &salt),
        ciphertext_hash: [0; 32],
        length: 0,
        recipients,
        share_commitments: shares.iter().map(|share| committed(&salt, share)).collect(),
    };
    let ciphertext = encrypt(&dek, &salt, &payload_aad(&core)?, value.padded()?)?;
    core.ciphertext_hash = sha256(&ciphertext);
    core.length = ciphertext.len() as u64;
    // 4. A stanza for each recipient (5.5), and the signature (5.6).
    let stanzas = wrap(trust, &core, &dek, &shares, random)?;
    let secret = Secret { core, stanzas };
    // `sign` holds the payload to the receiver's rules before it signs.
    let signed = Signed::sign(Secret::NAME, &encode(&secret.to_value())?, key)?;
    Ok(Sealed { secret: signed.to_bytes()?, ciphertext, oid: signed.oid(), recipients: secret.core.recipients, missing })
}

/// Refuses early what every verifier would refuse later: a sealer without the role, device or key.
fn check_sealer(trust: &Trust, key: &SigningKey, (person, device): (&str, &str), now: u64) -> Result<()> {
    let refused = |why: &str| Refusal::new(Code::Sealer, format!("{person}/{device} {why}"));
    let owner = trust.roster().person(person).filter(|owner| owner.has(Role::Sealer));
    let device = owner.and_then(|owner| owner.device(device)).ok_or_else(|| refused("is no rostered sealer"))?;
    if !device.in_date(now) {
        return Err(refused("is not in date"));
    }
    if !device.auth.iter().any(|listed| listed.alg == key.key().alg && listed.public == key.key().public) {
        return Err(refused("has another key on the roster"));
    }
    Ok(())
}

fn missing_from(policy: &Policy, recipients: &[Recipient]) -> Vec<String> {
    policy.people.iter().filter(|id| !recipients.iter().any(|to| to.person == **id)).cloned().collect()
}

/// The shares by ascending index: of the people where the threshold is above 1, of the recovery keys always, from a second
/// polynomial, so that people and recovery keys cannot be mixed to a quorum.
fn deal(dek: &Secret32, policy: &Policy, recipients: &[Recipient], random: &mut dyn Randomness) -> Result<Vec<Share>> {
    let index = |to: &Recipient| u8::try_from(to.index).map_err(|_| Refusal::new(Code::Recipients, "an index has one byte"));
    let mut indices = recipients.iter().map(index).collect::<Result<Vec<u8>>>()?;
    indices.dedup();
    let people = indices.partition_point(|index| u64::from(*index) <= RECOVERY_BASE);
    let (people, recovery) = indices.split_at(people);
    let mut shares = Vec::new();
    if policy.threshold > 1 {
        shares.extend(split(dek, as_count(policy.threshold)?, people, random)?);
    }
    if let Some(group) = &policy.recovery {
        shares.extend(split(dek, as_count(group.threshold)?, recovery, random)?);
    }
    Ok(shares)
}

fn as_count(threshold: u64) -> Result<usize> {
    usize::try_from(threshold).map_err(|_| Refusal::new(Code::Threshold, "a threshold is at most 127"))
}

fn committed(salt: &[u8; 32], share: &Share) -> ShareCommitment {
    ShareCommitment { index: u64::from(share.index), hash: commitment(salt, share.index, &share.value) }
}

fn wrap(trust: &Trust, core: &Core, dek: &Secret32, shares: &[Share], random: &mut dyn Randomness) -> Result<Vec<Stanza>> {
    // Hashed once: with many recipients the core is the larger part of the work.
    let hash = Value::bytes(&core.hash()?);
    let mut stanzas = Vec::with_capacity(core.recipients.len());
    for (position, to) in (0..).zip(&core.recipients) {
        let part = shares.iter().find(|share| u64::from(share.index) == to.index).map_or(dek, |share| &share.value);
        let info = domain("stanza", &[hash.clone(), Value::Int(position)])?;
        let sealed = hpke::seal(&kem_of(trust, &core.policy, to)?, &info, part, random)?;
        stanzas.push(Stanza { enc: sealed.enc.to_vec(), ct: sealed.ct.to_vec() });
    }
    Ok(stanzas)
}

/// The key of a recipient, from the verified roster or the policy in it. A1
fn kem_of(trust: &Trust, policy: &Policy, to: &Recipient) -> Result<KemPublic> {
    let lost = || Refusal::new(Code::Recipients, format!("{}/{} has no key on the roster", to.person, to.device));
    let public = match to.index.checked_sub(RECOVERY_BASE + 1) {
        Some(at) => {
            let keys = policy.recovery.as_ref().map(|group| &group.keys);
            let at = usize::try_from(at).map_err(|_| lost())?;
            keys.and_then(|keys| keys.get(at)).map(|key| &key.kem.public)
        }
        None => trust.roster().person(&to.person).and_then(|person| person.device(&to.device)).map(|d| &d.kem.public),
    };
    KemPublic::parse(public.ok_or_else(lost)?)
        .map_err(|_| Refusal::new(Code::Recipients, format!("the key of {}/{} is no point of the curve", to.person, to.device)))
}
