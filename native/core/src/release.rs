//! Releasing (section 7.5): the share or data key of one's own stanza, sealed again to the requester's ephemeral key. And the
//! wrapper that carries it.
//!
//! [`release`] takes prompts that passed every check and a decision that the person signed, compares the two, and only then
//! touches the private key. The secret's value never comes to this device: the payload ciphertext is not among the inputs.
//!
//! [`split`] and [`join`] are the relay's: a requester gets its own entry of `sealed` and no other.

use crate::approver::{Prompt, check_approver, check_ephemeral, check_still, governing};
use crate::encoding::{Oid, Value, domain};
use crate::error::{Code, Refusal, Result};
use crate::hpke::{self, CT_LENGTH, DiffieHellman, ENC_LENGTH, Secret32};
use crate::objects::{Decision, Item, Payload, Release, SealedEntry, Secret, Verdict};
use crate::payload::check_dek;
use crate::random::Randomness;
use crate::secret::{check_in_date, open_stanza};
use crate::shares::{self, Share};
use crate::signed::{Signed, Verified};
use crate::trust::Trust;

/// The release of every item of an approving decision, as canonical bytes.
///
/// # Errors
/// `expired`, a code of [`Trust::verify_decision`], `verdict`, `item`, `device`, `lease-window`; `revoked`, `hold`, `version`,
/// `threshold`, `not-approver`, `tier` where the roster changed meanwhile; `stanza`, `share`, `dek`.
pub fn release(
    trust: &Trust,
    prompts: &[&Prompt],
    decision: &[u8],
    key: &dyn DiffieHellman,
    now: u64,
    random: &mut dyn Randomness,
) -> Result<Vec<u8>> {
    // 1. The decision: who signed it, with which key, in date, and that it approves.
    check_in_date(trust, now)?;
    let signed = Signed::parse(Decision::NAME, decision)?;
    let decision = trust.verify_signed_decision(&signed, now)?;
    if decision.verdict != Verdict::Approve {
        return Err(Refusal::new(Code::Verdict, "only an approve releases anything"));
    }
    // 2. It names what was shown: one item for each prompt and nothing else, all of one client.
    if prompts.is_empty() || prompts.len() != decision.items.len() {
        return Err(Refusal::new(Code::Item, "one item for each prompt, and at least one"));
    }
    if prompts.iter().any(|prompt| prompt.cert.oid() != prompts.first().map_or(prompt.cert.oid(), |p| p.cert.oid())) {
        return Err(Refusal::new(Code::Item, "the items are of one client"));
    }
    let mut pairs: Vec<(&Prompt, &Item)> = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        // A prompt given twice would leave an item over that nobody was shown.
        if pairs.iter().any(|(before, _)| before.request.oid() == prompt.request.oid()) {
            return Err(Refusal::new(Code::Item, "a prompt stands twice"));
        }
        pairs.push((*prompt, check_item(trust, prompt, &decision, key, now)?));
    }
    // 3. Only now the private key: open one's own stanza, seal to the requester, wipe.
    let mut sealed = Vec::with_capacity(pairs.len());
    for (prompt, item) in pairs {
        sealed.push(seal_item(prompt, item, decision.oid(), key, random)?);
    }
    Release { decision: signed, sealed }.encode()
}

/// Compares one prompt with its item, and the device with the roster of now.
fn check_item<'d>(
    trust: &Trust,
    prompt: &Prompt,
    decision: &'d Verified<Decision>,
    key: &dyn DiffieHellman,
    now: u64,
) -> Result<&'d Item> {
    let (person, device) = (prompt.own.0.as_str(), prompt.own.1.as_str());
    if decision.person != person || decision.device != device {
        return Err(Refusal::new(Code::Device, "signed for another device than the one that was asked"));
    }
    let core = &prompt.secret.core;
    let mut items = decision.items.iter().filter(|item| item.request == *prompt.request.oid());
    let item = items.next().ok_or_else(|| Refusal::new(Code::Item, "no item for a request that was shown"))?;
    if !is_of(item, prompt.secret.oid(), &prompt.secret) || item.index != prompt.index {
        return Err(Refusal::new(Code::Item, format!("the item does not name {} as it was shown", core.path)));
    }
    // The window may only shrink.
    if item.window > prompt.request.window {
        return Err(Refusal::new(Code::LeaseWindow, "a longer window than was asked for"));
    }
    // An approve expires no later than its requests.
    if decision.expires > prompt.request.expires || now >= prompt.request.expires {
        return Err(Refusal::new(Code::Expired, "an approve expires no later than its requests"));
    }
    check_still(trust, prompt, now)?;
    let policy = governing(trust, &prompt.request, &prompt.secret)?;
    let listed = check_approver(trust, policy, (person, device), now)?;
    if listed.kem.public != *key.public().as_bytes() {
        return Err(Refusal::new(Code::Device, "the key is not that of the device"));
    }
    Ok(item)
}

/// Whether an item names this secret, by oid and by name.
pub(crate) fn is_of(item: &Item, oid: &Oid, secret: &Secret) -> bool {
    let core = &secret.core;
    item.secret == *oid && item.path == core.path && (item.version, item.revision) == core.pair()
}

fn seal_item(
    prompt: &Prompt,
    item: &Item,
    decision: &Oid,
    key: &dyn DiffieHellman,
    random: &mut dyn Randomness,
) -> Result<SealedEntry> {
    let part = open_stanza(&prompt.secret, prompt.position, key)?;
    check_part(&prompt.secret, item.index, &part)?;
    let to = check_ephemeral(&prompt.request)?;
    let info = release_info(prompt.request.oid(), decision, prompt.secret.oid(), item.index)?;
    let sealed = hpke::seal(&to, &info, &part, random)?;
    Ok(SealedEntry { request: *prompt.request.oid(), enc: sealed.enc.to_vec(), ct: sealed.ct.to_vec() })
}

/// A sealer who put something else into a stanza is found here rather than blamed on the approver.
fn check_part(secret: &Secret, index: u64, part: &Secret32) -> Result<()> {
    let core = &secret.core;
    if core.policy.threshold == 1 {
        return check_dek(part, &core.salt, &core.dek_commitment);
    }
    check_share(secret, &as_share(index, part)?)
}

/// Refuses with `share` a share that is not the one committed to in the signed core.
pub(crate) fn check_share(secret: &Secret, share: &Share) -> Result<()> {
    let core = &secret.core;
    let committed = core.share_commitments.iter().find(|committed| committed.index == u64::from(share.index));
    let committed = committed.ok_or_else(|| Refusal::new(Code::Share, format!("no commitment for index {}", share.index)))?;
    shares::check(&core.salt, share, &committed.hash)
}

pub(crate) fn as_share(index: u64, part: &Secret32) -> Result<Share> {
    let index = u8::try_from(index).map_err(|_| Refusal::new(Code::Index, "an index has one byte"))?;
    Ok(Share { index, value: part.clone() })
}

/// The `info` of a release: bound to request, decision, secret and index, so that none of them can be exchanged. A5, A6
///
/// # Errors
/// None.
pub fn release_info(request: &Oid, decision: &Oid, secret: &Oid, index: u64) -> Result<Vec<u8>> {
    domain("release", &[Value::bytes(request), Value::bytes(decision), Value::bytes(secret), Value::Int(index)])
}

/// A release apart: the signed decision's bytes and the entries. Strict; nothing is verified here.
///
/// # Errors
/// A code of the encoding; `release` for an entry of another length.
pub fn split(release: &[u8]) -> Result<(Vec<u8>, Vec<SealedEntry>)> {
    let release = Release::decode(release)?;
    check_lengths(&release.sealed)?;
    Ok((release.decision.to_bytes()?, release.sealed))
}

/// The release of `decision` with these entries.
///
/// # Errors
/// As [`split`].
pub fn join(decision: &[u8], sealed: Vec<SealedEntry>) -> Result<Vec<u8>> {
    check_lengths(&sealed)?;
    Release { decision: Signed::parse(Decision::NAME, decision)?, sealed }.encode()
}

fn check_lengths(sealed: &[SealedEntry]) -> Result<()> {
    if sealed.iter().all(|entry| entry.enc.len() == ENC_LENGTH && entry.ct.len() == CT_LENGTH) {
        return Ok(());
    }
    Err(Refusal::new(Code::Release, "an entry of another length"))
}
