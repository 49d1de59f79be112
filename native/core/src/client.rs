//! What the client checks before it delivers (section 8), and how it knows a real denial.
//!
//! [`open_releases`] takes everything as it came from the relay, trusts none of it, and gives a value only after the last check.
//! The first check that fails names the refusal; nothing of the plaintext leaves this function before that.
//!
//! Left to the caller: identifying the calling process again, delivering through its descriptor, erasing the ephemeral key, the
//! receipt, and remembering the version.

use crate::approver::{check_approver, check_ephemeral, governing};
use crate::encoding::Pair;
use crate::error::{Code, Refusal, Result};
use crate::hpke::{self, DiffieHellman, Secret32};
use crate::lease::{Terms, lease_terms};
use crate::objects::{Decision, Item, Payload, Policy, Purpose, Release, Request, SealedEntry, Secret, Verdict};
use crate::payload::check_dek;
use crate::release::{as_share, check_share, is_of, release_info};
use crate::secret::{check_in_date, open_payload, verify_authorship, verify_secret};
use crate::shares::join;
use crate::signed::{Signed, Verified};
use crate::trust::Trust;
use crate::value::Value;

/// An opened secret and what may be done with it.
#[derive(Debug)]
pub struct Opened {
    /// The plaintext, in secret memory.
    pub value: Value,
    /// The verified secret.
    pub secret: Verified<Secret>,
    /// The lease that the delivery starts.
    pub terms: Terms,
    /// Person and device of each decision.
    pub approvers: Vec<(String, String)>,
}

/// What the relay handed over for one request.
#[derive(Debug, Clone, Copy)]
pub struct Handed<'a> {
    /// One's own request, signed.
    pub request: &'a [u8],
    /// The secret, signed.
    pub secret: &'a [u8],
    /// The payload.
    pub ciphertext: &'a [u8],
    /// The releases.
    pub releases: &'a [&'a [u8]],
}

/// An approval that passed every check, and the sealed entries that came with it.
struct Approval {
    decision: Verified<Decision>,
    item: Item,
    sealed: Vec<SealedEntry>,
}

/// Every check of section 8, in its order; then the plaintext. `remembered` is the highest version that this client saw.
///
/// # Errors
/// `expired`, `org`, `stale-roster`, `suite`, `ephemeral`; any code of [`verify_secret`]; for a decision `device`,
/// `not-approver`, a code of the signature, `future`, `tier`, `verdict`, `item`, `index`; then `same-person`, `quorum`,
/// `release`, `share`, `dek`, `ciphertext`, `decrypt`, `padding`; or a code of the encoding.
pub fn open_releases(
    trust: &Trust,
    handed: Handed<'_>,
    ephemeral: &dyn DiffieHellman,
    remembered: Option<Pair>,
    now: u64,
) -> Result<Opened> {
    // 1. Roster in date; one's own request, under no newer roster, unexpired.
    let request = own_request(trust, handed.request, now)?;
    if now >= request.expires {
        return Err(Refusal::new(Code::Expired, format!("the request expired {}, now {now}", request.expires)));
    }
    check_ephemeral(&request)?;
    // 2. The secret, as 7.3 without self.
    let reseal = request.purpose == Purpose::Reseal;
    let lowest: Vec<Pair> = remembered.into_iter().chain([request.minimum]).collect();
    let secret = verify_secret(trust, handed.secret, &request.path, &lowest, now, reseal)?;
    // 3. Each decision. One that fails is not skipped: a relay that mixes in a bad one is found out.
    let policy = governing(trust, &request, &secret)?;
    let mut approvals = Vec::with_capacity(handed.releases.len());
    for release in handed.releases {
        approvals.push(check_release(trust, policy, &request, &secret, release, now)?);
    }
    // 4. Distinct people under distinct indices, as many as were sealed for.
    check_quorum(&approvals, &secret)?;
    // 5. Open, check each part against the signed core, join, compare the data key.
    let dek = open_all(&approvals, &request, &secret, ephemeral)?;
    // 6. The payload.
    let core = &secret.core;
    let value = open_payload(core, &dek, handed.ciphertext)?;
    // 7. What follows the delivery.
    let items: Vec<(u64, u64)> = approvals.iter().map(|one| (one.item.window, one.item.uses)).collect();
    let current = trust.policy(&request.path)?;
    let terms = lease_terms(current, &core.policy, &items, (request.window, request.uses), request.purpose);
    let approvers = approvals.iter().map(|one| (one.decision.person.clone(), one.decision.device.clone())).collect();
    Ok(Opened { value, secret, terms, approvers })
}

/// A denial that ends a request: one deny or freeze that verifies as a decision does (section 8, the last rule). Tier, secret and
/// quorum are not asked; `secret` counts for a reseal alone, where it says who the people are. With `deny: count` the caller
/// counts distinct people.
///
/// # Errors
/// `expired`, `org`, `stale-roster`, `device`, `not-approver`, a code of the signature, `future`, `verdict`, `item`, `no-policy`;
/// for a reseal the codes of [`verify_authorship`]; or a code of the encoding.
pub fn verify_denial(
    trust: &Trust,
    request: &[u8],
    secret: Option<&[u8]>,
    decision: &[u8],
    now: u64,
) -> Result<Verified<Decision>> {
    let request = own_request(trust, request, now)?;
    let decision = trust.verify_decision(decision, now)?;
    if decision.verdict == Verdict::Approve {
        return Err(Refusal::new(Code::Verdict, "an approve denies nothing"));
    }
    // The relay cannot name the people: they are the current policy's, or stand in a secret that a sealer signed.
    let sealed;
    let policy = match request.purpose {
        Purpose::Use => trust.policy(&request.path)?,
        Purpose::Reseal => {
            let secret = secret.ok_or_else(|| Refusal::new(Code::Sealer, "a reseal is judged with its secret"))?;
            sealed = verify_authorship(trust, secret, &request.path)?;
            &sealed.core.policy
        }
    };
    if policy.index_of(&decision.person).is_none() {
        return Err(Refusal::new(Code::NotApprover, format!("{} is not in the policy", decision.person)));
    }
    own_item(&decision, &request)?;
    Ok(decision)
}

/// One's own request: made here, so its signature is not asked; what it asks is held against the roster of now.
fn own_request(trust: &Trust, wrapper: &[u8], now: u64) -> Result<Verified<Request>> {
    check_in_date(trust, now)?;
    let request: Verified<Request> = Signed::parse(Request::NAME, wrapper)?.believe()?;
    if request.org != *trust.pin() {
        return Err(Refusal::new(Code::Org, "of another organisation"));
    }
    trust.check_pair(request.roster)?;
    Ok(request)
}

/// One release: its decision by section 8.
fn check_release(
    trust: &Trust,
    policy: &Policy,
    request: &Verified<Request>,
    secret: &Verified<Secret>,
    release: &[u8],
    now: u64,
) -> Result<Approval> {
    let release = Release::decode(release)?;
    // 1. Signed by a rostered approver's device in date, in date itself, under no newer roster.
    let decision = trust.verify_signed_decision(&release.decision, now)?;
    // 2. Of the policy, and of its tier.
    check_approver(trust, policy, (&decision.person, &decision.device), now)?;
    // 3. It approves.
    if decision.verdict != Verdict::Approve {
        return Err(Refusal::new(Code::Verdict, "not an approve"));
    }
    // 4. One item with this request's oid, and in it this secret by oid and by name. A4, A5
    let item = own_item(&decision, request)?.clone();
    if !is_of(&item, secret.oid(), secret) {
        return Err(Refusal::new(Code::Item, "approves another secret, path or version"));
    }
    // 5. Under the index that the sealer gave to this very device.
    let listed = secret
        .core
        .recipients
        .iter()
        .any(|to| to.index == item.index && to.person == decision.person && to.device == decision.device);
    if !listed {
        return Err(Refusal::new(Code::Index, "no recipient under this index"));
    }
    Ok(Approval { decision, item, sealed: release.sealed })
}

/// Exactly one item with this request's oid.
fn own_item<'d>(decision: &'d Decision, request: &Verified<Request>) -> Result<&'d Item> {
    let mut items = decision.items.iter().filter(|item| item.request == *request.oid());
    match (items.next(), items.next()) {
        (Some(item), None) => Ok(item),
        _ => Err(Refusal::new(Code::Item, "not one item for this request")),
    }
}

fn check_quorum(approvals: &[Approval], secret: &Secret) -> Result<()> {
    for (at, one) in approvals.iter().enumerate() {
        let before = || approvals.iter().take(at);
        if before().any(|other| other.decision.person == one.decision.person) {
            return Err(Refusal::new(Code::SamePerson, format!("{} stands twice", one.decision.person)));
        }
        if before().any(|other| other.item.index == one.item.index) {
            return Err(Refusal::new(Code::Index, format!("index {} stands twice", one.item.index)));
        }
    }
    let wanted = secret.core.policy.threshold;
    if (approvals.len() as u64) < wanted {
        return Err(Refusal::new(Code::Quorum, format!("{} of {wanted} people", approvals.len())));
    }
    Ok(())
}

/// The data key, from parts of which each was checked: any m of them join, more are checked too.
fn open_all(
    approvals: &[Approval],
    request: &Verified<Request>,
    secret: &Verified<Secret>,
    ephemeral: &dyn DiffieHellman,
) -> Result<Secret32> {
    let core = &secret.core;
    let mut parts = Vec::with_capacity(approvals.len());
    for one in approvals {
        // Entries of other requests are other people's business; of this one there is exactly one.
        let mut own = one.sealed.iter().filter(|entry| entry.request == *request.oid());
        let (Some(entry), None) = (own.next(), own.next()) else {
            return Err(Refusal::new(Code::Release, "not one sealed entry for this request"));
        };
        let info = release_info(request.oid(), one.decision.oid(), secret.oid(), one.item.index)?;
        let part = hpke::open(ephemeral, &info, &entry.enc, &entry.ct)
            .map_err(|refusal| Refusal::new(Code::Release, format!("{}: {}", one.decision.person, refusal.detail)))?;
        parts.push(as_share(one.item.index, &part)?);
    }
    if core.policy.threshold == 1 {
        // Every part is the data key itself: a second one that is not is a lie of somebody's.
        for part in &parts {
            check_dek(&part.value, &core.salt, &core.dek_commitment)?;
        }
        let first = parts.into_iter().next().ok_or_else(|| Refusal::new(Code::Quorum, "no part"))?;
        return Ok(first.value);
    }
    for part in &parts {
        check_share(secret, part)?;
    }
    let dek = join(&parts)?;
    check_dek(&dek, &core.salt, &core.dek_commitment)?;
    Ok(dek)
}
