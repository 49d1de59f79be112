//! Opening with recovery keys (sections 5.4 and 11): break-glass, for the day when no approver can answer.
//!
//! [`open_recovered`] takes a sealed secret as an export holds it, trusts nothing of it, and gives the value only after the last
//! check. No relay, request or decision is asked: the keys of the second polynomial are the whole authority, which is why they
//! lie on paper in different places.
//!
//! Left to the caller: that the pin is that of the paper, and saying how old the export is. Nobody else notices an opening.

use crate::error::{Code, Refusal, Result};
use crate::hpke::DiffieHellman;
use crate::objects::{Recovery, Secret};
use crate::payload::check_dek;
use crate::release::{as_share, check_share};
use crate::secret::{RECOVERY_BASE, check_in_date, open_payload, open_stanza, verify_secret};
use crate::shares::{Share, join};
use crate::signed::Verified;
use crate::trust::Trust;
use crate::value::Value;

/// A sealed secret as an export holds it.
#[derive(Debug, Clone, Copy)]
pub struct Exported<'a> {
    /// Of which path it is said to be.
    pub path: &'a str,
    /// The secret, signed.
    pub secret: &'a [u8],
    /// The payload.
    pub ciphertext: &'a [u8],
}

/// An opened secret.
#[derive(Debug)]
pub struct Recovered {
    /// The plaintext, in secret memory.
    pub value: Value,
    /// The verified secret.
    pub secret: Verified<Secret>,
}

/// Opens a secret with as many of its recovery keys as the sealed policy asks for.
///
/// # Errors
/// `expired`; any code of [`verify_secret`]; `not-recipient` where the policy has no recovery keys, or a key is none of them;
/// `index` for a key that stands twice; `quorum` for too few; then `stanza`, `share`, `dek`, `ciphertext`, `decrypt`, `padding`.
pub fn open_recovered(trust: &Trust, exported: Exported<'_>, keys: &[&dyn DiffieHellman], now: u64) -> Result<Recovered> {
    // 1. Roster in date; the secret as 7.3 without self. The threshold of today's policy counts approvers, and none is asked.
    check_in_date(trust, now)?;
    let secret = verify_secret(trust, exported.secret, exported.path, &[], now, true)?;
    // 2. Each key is a recovery key of the sealed policy, and stands once. A21
    let without = || Refusal::new(Code::NotRecipient, "no recovery key is a recipient: the policy named none at sealing");
    let group = secret.core.policy.recovery.as_ref().ok_or_else(without)?;
    let indices = indices_of(group, keys)?;
    // 3. As many of them as the sealer dealt for.
    if (keys.len() as u64) < group.threshold {
        return Err(Refusal::new(Code::Quorum, format!("{} of {} recovery keys", keys.len(), group.threshold)));
    }
    // 4. Open each share, check it against the signed core, join, compare the data key.
    let shares = indices.iter().zip(keys).map(|(index, key)| own_share(&secret, *index, *key)).collect::<Result<Vec<_>>>()?;
    let dek = join(&shares)?;
    check_dek(&dek, &secret.core.salt, &secret.core.dek_commitment)?;
    // 5. The payload.
    let value = open_payload(&secret.core, &dek, exported.ciphertext)?;
    Ok(Recovered { value, secret })
}

/// The index of each key. `not-recipient` names a stranger by its place among those given, `index` one that stands twice.
fn indices_of(group: &Recovery, keys: &[&dyn DiffieHellman]) -> Result<Vec<u64>> {
    let mut indices = Vec::with_capacity(keys.len());
    for (place, key) in (1..).zip(keys) {
        let listed = (RECOVERY_BASE + 1..).zip(&group.keys).find(|(_, one)| one.kem.public == *key.public().as_bytes());
        let stranger =
            || Refusal::new(Code::NotRecipient, format!("key {place} of those given is no recovery key of this secret"));
        let (index, one) = listed.ok_or_else(stranger)?;
        if indices.contains(&index) {
            return Err(Refusal::new(Code::Index, format!("{} is given twice", one.id)));
        }
        indices.push(index);
    }
    Ok(indices)
}

/// The share of one recovery key, as the sealer committed to it. A24
fn own_share(secret: &Secret, index: u64, key: &dyn DiffieHellman) -> Result<Share> {
    let lost = || Refusal::new(Code::Recipients, format!("no stanza for index {index}"));
    let position = secret.core.recipients.iter().position(|to| to.index == index).ok_or_else(lost)?;
    let share = as_share(index, &open_stanza(secret, position, key)?)?;
    check_share(secret, &share)?;
    Ok(share)
}
