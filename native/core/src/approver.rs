//! What an approver's device checks before it shows anything: sections 7.1 to 7.3, in that order.
//!
//! [`verify_request`] makes the checks of 7.1 and 7.2, which the relay makes too; [`check_prompt`] adds 7.3 and self, and gives
//! a [`Prompt`], the only thing that [`crate::release::release`] takes. What is shown comes out of a `Prompt` and nowhere else:
//! the host from the certificate, the facts from the verified request.
//!
//! Left to the caller: the local rate budget, remembering `(client, id)` and versions on disk *before* signing, and showing what
//! the caller of the client claims apart from what was observed.

use crate::encoding::{Pair, request_code};
use crate::error::{Code, Refusal, Result};
use crate::hpke::{KemPublic, SUITE};
use crate::objects::{ClientCert, Device, Hold, HoldOn, Payload, Policy, Purpose, Recipient, Request, Role, Secret};
use crate::path::matches;
use crate::secret::{RECOVERY_BASE, check_in_date, verify_secret};
use crate::signed::{Signed, Verified};
use crate::trust::{SKEW, Trust};

/// A request that may be shown and decided about on one device.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// The verified request.
    pub request: Verified<Request>,
    /// The verified secret.
    pub secret: Verified<Secret>,
    /// The verified certificate: host and subject are shown from here.
    pub cert: Verified<ClientCert>,
    /// The six digits that the requester's terminal shows.
    pub code: String,
    /// The index of one's own share.
    pub index: u64,
    /// Where one's own stanza stands.
    pub position: usize,
    /// Person and device.
    pub own: (String, String),
    /// The most seconds of lease that a decision may give.
    pub window: u64,
    /// Recipients whom the current policy does not name: shown.
    pub outside: Vec<Recipient>,
}

/// Whose prompt it is, and what this device remembers.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// The person.
    pub person: &'a str,
    /// The device.
    pub device: &'a str,
    /// Whether this `(client, id)` was decided here before.
    pub decided: bool,
    /// The highest version of the path seen here.
    pub remembered: Option<Pair>,
}

/// Every check of 7.1 to 7.3.
///
/// # Errors
/// As [`verify_request`] and [`verify_secret`]; `not-approver`, `device`, `tier`, `not-recipient`.
pub fn check_prompt(trust: &Trust, own: Own<'_>, cert: &[u8], request: &[u8], secret: &[u8], now: u64) -> Result<Prompt> {
    // 7.1 Roster valid, no newer one seen by the client; then the certificate that the request names.
    check_in_date(trust, now)?;
    let signed = Signed::parse(Request::NAME, request)?;
    let claimed: Request = signed.peek()?;
    check_request_pair(trust, &claimed)?;
    if Signed::parse(ClientCert::NAME, cert)?.oid() != claimed.client {
        return Err(other_cert());
    }
    let cert = trust.verify_cert(cert, now)?;
    // 7.1 signature and grade, 7.2
    let request = check_request(trust, &signed, &cert, now, own.decided)?;
    // 7.3 the secret
    let reseal = request.purpose == Purpose::Reseal;
    let lowest: Vec<Pair> = own.remembered.into_iter().chain([request.minimum]).collect();
    let secret = verify_secret(trust, secret, &request.path, &lowest, now, reseal)?;
    // 7.3 self
    let policy = governing(trust, &request, &secret)?;
    check_approver(trust, policy, (own.person, own.device), now)?;
    let mut recipients = secret.core.recipients.iter();
    let position = recipients
        .position(|to| to.index <= RECOVERY_BASE && to.person == own.person && to.device == own.device)
        .ok_or_else(|| Refusal::new(Code::NotRecipient, "the secret was not sealed to this device"))?;
    let index = secret.core.recipients.get(position).map_or(0, |to| to.index);
    let window = longest_window(trust, &request, &secret)?;
    let outside = outside_of(trust, trust.policy(&request.path)?, &secret.core.recipients);
    Ok(Prompt {
        code: request_code(request.oid()),
        own: (own.person.to_owned(), own.device.to_owned()),
        request,
        secret,
        cert,
        index,
        position,
        window,
        outside,
    })
}

/// 7.1 and 7.2 for a certificate that was verified before, without what a device remembers: for the relay.
///
/// # Errors
/// `expired`, `future`, `stale-roster`, `cert`, `revoked`, `signature` or another code of the signature, `org`, `grade`, `scope`,
/// `purpose`, `hold`, `clock`, `no-policy`, `ttl`, `suite`, `ephemeral`, or a code of the encoding.
pub fn verify_request(trust: &Trust, wrapper: &[u8], cert: &Verified<ClientCert>, now: u64) -> Result<Verified<Request>> {
    check_in_date(trust, now)?;
    let signed = Signed::parse(Request::NAME, wrapper)?;
    let claimed: Request = signed.peek()?;
    check_request_pair(trust, &claimed)?;
    if claimed.client != *cert.oid() {
        return Err(other_cert());
    }
    trust.check_cert(cert, now)?;
    check_request(trust, &signed, cert, now, false)
}

fn other_cert() -> Refusal {
    Refusal::new(Code::Cert, "not the certificate that the request names")
}

fn check_request_pair(trust: &Trust, request: &Request) -> Result<()> {
    if request.org != *trust.pin() {
        return Err(Refusal::new(Code::Org, "of another organisation"));
    }
    trust.check_pair(request.roster)
}

/// From the signature on; pair and certificate are checked.
fn check_request(
    trust: &Trust,
    signed: &Signed,
    cert: &Verified<ClientCert>,
    now: u64,
    decided: bool,
) -> Result<Verified<Request>> {
    // 7.1 Nothing below reads bytes that the client did not sign. A3, A9
    let request: Verified<Request> = signed.open([&cert.key], &[])?;
    if request.observed.grade > cert.grade {
        return Err(Refusal::new(Code::Grade, "observed by a better grade than the certificate's"));
    }
    // 7.2 Scope, then who may ask for what, then holds. C2
    if !cert.scopes.iter().any(|scope| matches(scope, &request.path)) {
        return Err(Refusal::new(Code::Scope, format!("{} is not in the scopes of {}", request.path, cert.subject)));
    }
    check_purpose(trust, &cert.subject, request.purpose)?;
    check_holds(trust, cert, &request, now)?;
    // 7.2 Its time. The ttl is the current policy's, for a reseal too. A25
    if request.issued > now.saturating_add(SKEW) {
        return Err(Refusal::new(Code::Clock, format!("issued {}, now {now}", request.issued)));
    }
    if now >= request.expires {
        return Err(Refusal::new(Code::Expired, format!("expired {}, now {now}", request.expires)));
    }
    let ttl = trust.policy(&request.path)?.ttl;
    if !request.expires.checked_sub(request.issued).is_some_and(|life| life > 0 && life <= ttl) {
        return Err(Refusal::new(Code::Ttl, format!("a request lives at most {ttl} seconds")));
    }
    // 7.2 Once. A7
    if decided {
        return Err(Refusal::new(Code::Replay, "this request was decided here before"));
    }
    // 7.2 A key that exists, under a suite that is spoken. A17
    check_ephemeral(&request)?;
    Ok(request)
}

/// Section 6: a reseal is raised by the certificate of a person who is a rostered sealer, and such a certificate raises nothing
/// else.
fn check_purpose(trust: &Trust, subject: &str, purpose: Purpose) -> Result<()> {
    let person = subject.strip_prefix("person/");
    let allowed = match (purpose, person) {
        (Purpose::Use, None) => true,
        (Purpose::Reseal, Some(id)) => trust.roster().person(id).is_some_and(|person| person.has(Role::Sealer)),
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    Err(Refusal::new(Code::Purpose, format!("{subject} may not raise a request to {}", purpose.as_str())))
}

fn check_holds(trust: &Trust, cert: &ClientCert, request: &Request, now: u64) -> Result<()> {
    let covers = |hold: &&Hold| match &hold.on {
        HoldOn::Subject(subject) => *subject == cert.subject,
        HoldOn::Match(pattern) => matches(pattern, &request.path),
    };
    match trust.roster().holds.iter().filter(covers).find(|hold| now < hold.until) {
        Some(hold) => Err(Refusal::new(Code::Hold, format!("on hold until {}", hold.until))),
        None => Ok(()),
    }
}

/// What a newer roster may have changed since a prompt was shown: the certificate, holds, the floor, the threshold.
pub(crate) fn check_still(trust: &Trust, prompt: &Prompt, now: u64) -> Result<()> {
    trust.check_cert(&prompt.cert, now)?;
    check_holds(trust, &prompt.cert, &prompt.request, now)?;
    let core = &prompt.secret.core;
    if trust.roster().floor(&core.path).is_some_and(|floor| core.pair() < floor) {
        return Err(Refusal::new(Code::Version, "below the floor of the path by now"));
    }
    if prompt.request.purpose == Purpose::Use && core.policy.threshold < trust.policy(&core.path)?.threshold {
        return Err(Refusal::new(Code::Threshold, "the policy wants more people by now"));
    }
    Ok(())
}

/// The key that releases are sealed to.
pub(crate) fn check_ephemeral(request: &Request) -> Result<KemPublic> {
    if request.suite != SUITE {
        return Err(Refusal::new(Code::Suite, "only p256 is spoken"));
    }
    KemPublic::parse(&request.ephemeral).map_err(|refusal| Refusal::new(Code::Ephemeral, refusal.detail))
}

/// Section 6: people, threshold and tier are the current policy's; for a reseal those of the sealed one.
pub(crate) fn governing<'a>(trust: &'a Trust, request: &Request, secret: &'a Secret) -> Result<&'a Policy> {
    match request.purpose {
        Purpose::Reseal => Ok(&secret.core.policy),
        Purpose::Use => trust.policy(&request.path),
    }
}

/// A rostered approver of the policy, on a device in date and of the tier.
pub(crate) fn check_approver<'a>(
    trust: &'a Trust,
    policy: &Policy,
    (person, device): (&str, &str),
    now: u64,
) -> Result<&'a Device> {
    let owner = trust.roster().person(person).filter(|owner| owner.has(Role::Approver));
    let owner = owner.filter(|_| policy.index_of(person).is_some());
    let owner = owner.ok_or_else(|| Refusal::new(Code::NotApprover, format!("{person} is no approver here")))?;
    let found = owner.device(device).filter(|found| found.in_date(now));
    let found = found.ok_or_else(|| Refusal::new(Code::Device, format!("{person}/{device} is not in date")))?;
    if found.tier < policy.tier {
        let detail = format!("{person}/{device} is {}, the policy wants {}", found.tier.as_str(), policy.tier.as_str());
        return Err(Refusal::new(Code::Tier, detail));
    }
    Ok(found)
}

fn longest_window(trust: &Trust, request: &Request, secret: &Secret) -> Result<u64> {
    let current = trust.policy(&request.path)?.window;
    Ok(match request.purpose {
        Purpose::Use => request.window.min(current).min(secret.core.policy.window),
        Purpose::Reseal => 0,
    })
}

/// Recipients whom the current policy does not name: people who have left it, devices that are off the roster or below the tier,
/// recovery keys that are not its own. A2, A21
fn outside_of(trust: &Trust, policy: &Policy, recipients: &[Recipient]) -> Vec<Recipient> {
    let keys = || policy.recovery.iter().flat_map(|group| &group.keys);
    let named = |to: &Recipient| {
        if to.index > RECOVERY_BASE {
            return keys().any(|key| key.id == to.device);
        }
        let device = trust.roster().person(&to.person).and_then(|person| person.device(&to.device));
        policy.index_of(&to.person).is_some() && device.is_some_and(|device| device.tier >= policy.tier)
    };
    recipients.iter().filter(|to| !named(to)).cloned().collect()
}
