//! From a pinned organisation id to people who may be believed (sections 4, 7.1 and 8).
//!
//! [`Trust::verify`] takes the root chain and the roster as the relay hands them out and returns a value that can only exist when
//! every check held; everything else in this crate that needs to know who somebody is takes a `&Trust`. Nothing is remembered
//! here: the caller keeps `(pair, oid)` of what it accepted and hands it in as `seen`, which is what stops a relay from showing an
//! older or another roster.
//!
//! Left to the caller: storing `seen` **before** using the result, and looking at [`Trust::expires`] again before long waits.

use crate::encoding;
use crate::encoding::{Oid, Pair, Value};
use crate::error::{Code, Refusal, Result};
use crate::keys::Key;
use crate::objects::{self, ClientCert, Decision, Device, Payload, Person, Policy, Quorum, Role, Root, Roster, Verdict};
use crate::roster::{check_roster, select};
use crate::signed::{Signed, Verified};

/// Seconds by which another machine's clock may be ahead of ours.
pub const SKEW: u64 = 300;

/// A verified root chain and roster.
#[derive(Debug, Clone)]
pub struct Trust {
    pin: Oid,
    root: Verified<Root>,
    roster: Verified<Roster>,
}

/// In date: `issued <= now + 300` and `now < expires`.
///
/// # Errors
/// `future` or `expired`.
pub fn check_dates(issued: u64, expires: u64, now: u64) -> Result<()> {
    if issued > now.saturating_add(SKEW) {
        return Err(Refusal::new(Code::Future, format!("issued {issued}, now {now}")));
    }
    if now >= expires {
        return Err(Refusal::new(Code::Expired, format!("expired {expires}, now {now}")));
    }
    Ok(())
}

fn check_org(org: &Oid, pin: &Oid) -> Result<()> {
    if org == pin { Ok(()) } else { Err(Refusal::new(Code::Org, "of another organisation")) }
}

/// `1 <= threshold <= distinct keys`.
fn check_quorum(quorum: &Quorum, what: &str) -> Result<()> {
    let mut distinct: Vec<&[u8]> = quorum.keys.iter().map(|key| key.public.as_slice()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    if quorum.threshold >= 1 && quorum.threshold <= distinct.len() as u64 {
        return Ok(());
    }
    Err(Refusal::new(Code::RootInvalid, format!("{what}: threshold {} of {} keys", quorum.threshold, distinct.len())))
}

/// Verifies the root chain from version 1 and returns the newest root. Its dates are not looked at.
///
/// # Errors
/// `pin`, `root-chain`, `root-invalid`, `root-threshold`, or a code of the encoding.
pub fn verify_roots<R: AsRef<[u8]>>(pin: &Oid, roots: &[R]) -> Result<Verified<Root>> {
    let mut newest: Option<Verified<Root>> = None;
    for (at, wrapper) in roots.iter().enumerate() {
        let signed = Signed::parse(Root::NAME, wrapper.as_ref())?;
        let oid = signed.oid();
        // 1. The first root is the pinned one. The pin is a hash over it, so its keys may be read before its signatures.
        if newest.is_none() && oid != *pin {
            return Err(Refusal::new(Code::Pin, "root 1 is not the pinned organisation"));
        }
        let root: Verified<Root> = signed.believe()?;
        // 2. Without gaps, each naming the one before.
        if root.version != at as u64 + 1 || root.previous != newest.as_ref().map(|before| *before.oid()) {
            return Err(Refusal::new(Code::RootChain, format!("root {} at place {}", root.version, at + 1)));
        }
        // 3. A quorum that can be met and cannot be met by nobody.
        check_quorum(&root.root, "root")?;
        check_quorum(&root.admin, "admin")?;
        // 4. Signed by the neighbours' thresholds: the keys before hand over, the new keys agree. A passkey signs at an
        //    origin of the root that lists it.
        if let Some(before) = &newest {
            signed.require(&before.root, &before.origins, Code::RootThreshold)?;
        }
        signed.require(&root.root, &root.origins, Code::RootThreshold)?;
        newest = Some(root);
    }
    newest.ok_or_else(|| Refusal::new(Code::RootChain, "no root"))
}

impl Trust {
    /// Verifies the root chain and the roster; `seen` is pair and oid of the roster that was accepted last.
    ///
    /// # Errors
    /// As [`verify_roots`]; `expired`, `future`, `roster-threshold`, `org`, `roster-root`, `roster-invalid`, `rollback`, `fork`.
    pub fn verify<R: AsRef<[u8]>>(pin: &Oid, roots: &[R], roster: &[u8], now: u64, seen: Option<(Pair, Oid)>) -> Result<Self> {
        // 1. The chain; only the newest must be in date.
        let root = verify_roots(pin, roots)?;
        check_dates(root.issued, root.expires, now)?;
        // 2. The roster is signed by the admins of the newest root, before anything in it is read.
        let signed = Signed::parse(Roster::NAME, roster)?;
        signed.require(&root.admin, &root.origins, Code::RosterThreshold)?;
        let roster: Verified<Roster> = signed.believe()?;
        // 3. It is of this organisation and under this root: one from under an older root is not revived by shared admins.
        check_org(&roster.org, pin)?;
        if roster.root != *root.oid() {
            return Err(Refusal::new(Code::RosterRoot, "the roster names another root"));
        }
        // 4. Its own rules, and its dates: an old roster does not freeze the organisation.
        check_roster(&roster)?;
        check_dates(roster.issued, roster.expires, now)?;
        let trust = Self { pin: *pin, root, roster };
        // 5. Never back, never aside.
        if let Some((pair, oid)) = seen {
            trust.check_seen(pair, &oid)?;
        }
        Ok(trust)
    }

    fn check_seen(&self, seen: Pair, oid: &Oid) -> Result<()> {
        let pair = self.pair();
        if pair < seen {
            return Err(Refusal::new(Code::Rollback, format!("roster {pair:?} after {seen:?}")));
        }
        if pair == seen && self.oid() != oid {
            return Err(Refusal::new(Code::Fork, format!("another roster {pair:?} than the one seen")));
        }
        // The next version has to name the one seen. Later ones may skip it, and under a new root the count begins anew.
        if pair.0 == seen.0 && seen.1.checked_add(1) == Some(pair.1) && self.roster.previous != Some(*oid) {
            return Err(Refusal::new(Code::Fork, format!("roster {pair:?} does not follow the one seen")));
        }
        Ok(())
    }

    /// The organisation id.
    #[must_use]
    pub fn pin(&self) -> &Oid {
        &self.pin
    }

    /// `(root version, roster version)`.
    #[must_use]
    pub fn pair(&self) -> Pair {
        (self.root.version, self.roster.version)
    }

    /// The roster's oid.
    #[must_use]
    pub fn oid(&self) -> &Oid {
        self.roster.oid()
    }

    /// The newest root.
    #[must_use]
    pub fn root(&self) -> &Verified<Root> {
        &self.root
    }

    /// The roster.
    #[must_use]
    pub fn roster(&self) -> &Verified<Roster> {
        &self.roster
    }

    /// Where passkeys sign.
    #[must_use]
    pub fn origins(&self) -> &[String] {
        &self.root.origins
    }

    /// Unix seconds: the earlier end of root and roster.
    #[must_use]
    pub fn expires(&self) -> u64 {
        self.root.expires.min(self.roster.expires)
    }

    /// The policy that covers `path` most closely.
    ///
    /// # Errors
    /// `path` or `no-policy`.
    pub fn policy(&self, path: &str) -> Result<&Policy> {
        select(&self.roster.policies, path)
    }

    /// A rostered person and a device of theirs, whatever its dates.
    ///
    /// # Errors
    /// `device`.
    pub fn device(&self, person: &str, device: &str) -> Result<(&Person, &Device)> {
        let stranger = || Refusal::new(Code::Device, format!("{person}/{device} is not on the roster"));
        let person = self.roster.person(person).ok_or_else(stranger)?;
        let device = person.device(device).ok_or_else(stranger)?;
        Ok((person, device))
    }

    /// [`Trust::device`], in date.
    ///
    /// # Errors
    /// `device`.
    pub fn device_in_date(&self, person: &str, device: &str, now: u64) -> Result<(&Person, &Device)> {
        let (owner, found) = self.device(person, device)?;
        if !found.in_date(now) {
            return Err(Refusal::new(Code::Device, format!("{person}/{device} is not in date")));
        }
        Ok((owner, found))
    }

    /// Refuses a roster that this one is older than: the signer of a request or decision saw a newer one.
    ///
    /// # Errors
    /// `stale-roster`.
    pub fn check_pair(&self, theirs: Pair) -> Result<()> {
        if self.pair() >= theirs {
            return Ok(());
        }
        Err(Refusal::new(Code::StaleRoster, format!("they saw {theirs:?}, we have {:?}", self.pair())))
    }

    /// A client certificate: signed by the admin threshold of the newest root, unrevoked, in date.
    ///
    /// # Errors
    /// `cert-threshold`, `org`, `alg`, `revoked`, `expired`, `future`, or a code of the encoding.
    pub fn verify_cert(&self, wrapper: &[u8], now: u64) -> Result<Verified<ClientCert>> {
        let signed = Signed::parse(ClientCert::NAME, wrapper)?;
        signed.require(&self.root.admin, &self.root.origins, Code::CertThreshold)?;
        let cert: Verified<ClientCert> = signed.believe()?;
        check_org(&cert.org, &self.pin)?;
        self.check_cert(&cert, now)?;
        Ok(cert)
    }

    /// A certificate that was verified earlier, perhaps under an older roster: unrevoked, in date.
    pub(crate) fn check_cert(&self, cert: &Verified<ClientCert>, now: u64) -> Result<()> {
        if self.roster.revoked.contains(cert.oid()) {
            return Err(Refusal::new(Code::Revoked, format!("the certificate of {} is revoked", cert.subject)));
        }
        check_dates(cert.issued, cert.expires, now)
    }

    /// An object `name` signed by a device in date: by one of its `auth` keys, or with `deny` by its deny key instead.
    /// The dates of the object itself are the caller's to look at.
    ///
    /// # Errors
    /// `device`, `signature`, `alg`, `org`, `type`, a code of an assertion or of the encoding.
    pub fn verify_by_device(
        &self,
        name: &str,
        wrapper: &[u8],
        (person, device): (&str, &str),
        now: u64,
        deny: bool,
    ) -> Result<Verified<Value>> {
        let signed = Signed::parse(name, wrapper)?;
        let (_, device) = self.device_in_date(person, device, now)?;
        let keys: Vec<&Key> = if deny { device.deny.iter().collect() } else { device.auth.iter().collect() };
        signed.verify(keys, self.origins())?;
        self.believe_any(&signed)
    }

    /// An object `name` signed by the key of a certificate: request, receipt, use, cancel, login.
    ///
    /// # Errors
    /// `revoked`, `expired` or `future` (of the certificate), `signature`, `alg`, `org`, `type`, or a code of the encoding.
    pub fn verify_by_client(&self, name: &str, wrapper: &[u8], cert: &Verified<ClientCert>, now: u64) -> Result<Verified<Value>> {
        self.check_cert(cert, now)?;
        let signed = Signed::parse(name, wrapper)?;
        signed.verify([&cert.key], &[])?;
        self.believe_any(&signed)
    }

    /// What verified bytes say, with the schema of their name and the organisation checked.
    fn believe_any(&self, signed: &Signed) -> Result<Verified<Value>> {
        let payload = signed.unverified_payload();
        objects::check(signed.name(), payload)?;
        let value = encoding::decode(payload, objects::limit_of(signed.name()))?;
        let org = value.get("org").and_then(Value::as_text);
        if org != Some(crate::text::b64encode(&self.pin).as_str()) {
            return Err(Refusal::new(Code::Org, "of another organisation"));
        }
        Ok(Verified::new(signed.oid(), payload.to_vec(), value))
    }

    /// A decision, as far as it can be judged without the requests and secrets that it names (section 8).
    ///
    /// Left to the caller: that the person is in the policy of each secret, tier, index, quorum, and the items.
    ///
    /// # Errors
    /// `org`, `device`, `not-approver`, `signature`, `alg`, a code of an assertion, `expired`, `future`, `stale-roster`, `item`.
    pub fn verify_decision(&self, wrapper: &[u8], now: u64) -> Result<Verified<Decision>> {
        let signed = Signed::parse(Decision::NAME, wrapper)?;
        self.verify_signed_decision(&signed, now)
    }

    /// [`Trust::verify_decision`] of a wrapper that is parsed already: the one inside a release.
    ///
    /// # Errors
    /// As [`Trust::verify_decision`].
    pub fn verify_signed_decision(&self, signed: &Signed, now: u64) -> Result<Verified<Decision>> {
        // 1. Who claims to have signed, and what kind of word it is: enough to choose the keys.
        let claimed: Decision = signed.peek()?;
        check_org(&claimed.org, &self.pin)?;
        // 2. A rostered approver, on a device in date.
        let (person, device) = self.device_in_date(&claimed.person, &claimed.device, now)?;
        if !person.has(Role::Approver) {
            return Err(Refusal::new(Code::NotApprover, format!("{} is no approver", person.id)));
        }
        // 3. The signature. The deny key is kept without user verification: it stops things and releases nothing.
        let deny = device.deny.iter().filter(|_| claimed.verdict != Verdict::Approve);
        let decision: Verified<Decision> = signed.open(device.auth.iter().chain(deny), self.origins())?;
        // 4. In date, and seen under a roster that we have reached.
        check_dates(decision.issued, decision.expires, now)?;
        self.check_pair(decision.roster)?;
        // 5. One item for each request, or a person could be counted for an item that they never looked at.
        for (at, item) in decision.items.iter().enumerate() {
            if decision.items.iter().take(at).any(|before| before.request == item.request) {
                return Err(Refusal::new(Code::Item, "a request stands twice"));
            }
        }
        Ok(decision)
    }
}
