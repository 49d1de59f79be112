//! A whole organisation in a test: people with devices, a client, and the steps from sealing to opening.

#![allow(dead_code, reason = "each test file takes what it needs")]

use crate::common::{NOW, Org, device, ed, kem, person, policy, sign};
use stillvault_core::approver::{Own, Prompt, check_prompt};
use stillvault_core::client::{Handed, Opened, open_releases};
use stillvault_core::encoding::sha256;
use stillvault_core::error::Result;
use stillvault_core::hpke::{DiffieHellman, KemKey};
use stillvault_core::objects::{
    Claimed, ClientCert, Decision, Grade, Item, Observed, Payload, Policy, Purpose, Recovery, RecoveryKey, Request, Role, Roster,
    Tier, Verdict,
};
use stillvault_core::release::release;
use stillvault_core::seal::{Label, Sealed, seal};
use stillvault_core::signed::Signed;
use stillvault_core::trust::Trust;
use stillvault_core::value::Value;

pub const PATH: &str = "prod/db/main";
const SEALER: u16 = 60_000;
const CLIENT: u16 = 61_000;
const RECOVERY: u16 = 62_000;

pub fn system() -> impl FnMut(&mut [u8]) {
    |out: &mut [u8]| aws_lc_rs::rand::fill(out).unwrap()
}

/// The KEM key of `common::kem(number)`.
pub fn kem_key(number: u16) -> KemKey {
    KemKey::from_bytes(&sha256(&number.to_be_bytes())).unwrap()
}

/// Approvers `p0`, `p1`, .. with devices `p0-d0`, ..; a sealer `sue`; a client `host/db-1`.
pub struct World {
    pub org: Org,
    pub trust: Trust,
    pub cert: Vec<u8>,
    pub ephemeral: KemKey,
}

/// The number that the keys of a device are made of.
pub fn number(person: usize, device: usize) -> u16 {
    u16::try_from(person * 100 + device * 10).unwrap()
}

pub fn recovery_key(n: usize) -> KemKey {
    kem_key(RECOVERY + u16::try_from(n).unwrap())
}

pub fn recovery(threshold: u64, keys: usize) -> Recovery {
    let key = |n| RecoveryKey { id: format!("safe-{n}"), kem: kem(RECOVERY + u16::try_from(n).unwrap()) };
    Recovery { threshold, keys: (0..keys).map(key).collect() }
}

pub fn policy_of(people: usize, threshold: u64) -> Policy {
    let ids: Vec<String> = (0..people).map(|n| format!("p{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    Policy { uses: 9, ..policy("prod", "prod/**", &ids, threshold) }
}

impl World {
    pub fn new(policy: Policy, devices: usize) -> Self {
        Self::with(policy, devices, |_| ())
    }

    pub fn with(policy: Policy, devices: usize, change: impl FnOnce(&mut Roster)) -> Self {
        let org = Org::new();
        let roster = org.roster(|roster| {
            let own = |n: usize| (0..devices).map(|d| device(&format!("p{n}-d{d}"), Tier::Soft, number(n, d))).collect();
            roster.people = (0..policy.people.len()).map(|n| person(&format!("p{n}"), &[Role::Approver], own(n))).collect();
            roster.people.push(person("sue", &[Role::Sealer], vec![device("sue-cli", Tier::Soft, SEALER)]));
            roster.policies = vec![policy];
            change(roster);
        });
        let trust = Trust::verify(&org.pin, &org.roots, &roster, NOW, None).unwrap();
        let cert = ClientCert {
            org: org.pin,
            subject: "host/db-1".to_owned(),
            host: "db-1.example.com".to_owned(),
            key: ed(CLIENT).key().clone(),
            scopes: vec!["prod/**".to_owned()],
            grade: Grade::System,
            issued: NOW - 10,
            expires: NOW + 10_000,
        };
        let cert = sign(&cert, &[&org.admin]);
        Self { org, trust, cert, ephemeral: KemKey::generate(&mut system()) }
    }

    pub fn seal(&self, data: &[u8]) -> Result<Sealed> {
        let label = Label { by: ("sue", "sue-cli"), path: PATH, version: (3, 0), previous: None };
        seal(&self.trust, &ed(SEALER + 1), &label, &Value::new(data)?, NOW, &mut system())
    }

    /// What the client asks; a test may bend it before it is signed.
    pub fn request(&self, change: impl FnOnce(&mut Request)) -> Vec<u8> {
        let mut request = Request {
            org: self.org.pin,
            id: [7; 16],
            client: Signed::parse("client-cert", &self.cert).unwrap().oid(),
            path: PATH.to_owned(),
            minimum: (0, 0),
            suite: "p256".to_owned(),
            ephemeral: self.ephemeral.public().as_bytes().to_vec(),
            issued: NOW - 5,
            expires: NOW + 100,
            window: 700,
            uses: 0,
            roster: self.trust.pair(),
            log_head: None,
            purpose: Purpose::Use,
            observed: Observed {
                host: "db-1".to_owned(),
                uid: 1000,
                user: "app".to_owned(),
                exe: "/usr/bin/app".to_owned(),
                exe_sha256: [3; 32],
                chain: vec![],
                unit: None,
                container: None,
                grade: Grade::System,
            },
            claimed: Claimed::default(),
        };
        change(&mut request);
        sign(&request, &[&ed(CLIENT)])
    }

    pub fn prompt(&self, (person, device): (usize, usize), request: &[u8], sealed: &Sealed) -> Result<Prompt> {
        let (person, device) = (format!("p{person}"), format!("p{person}-d{device}"));
        let own = Own { person: &person, device: &device, decided: false, remembered: None };
        check_prompt(&self.trust, own, &self.cert, request, &sealed.secret, NOW)
    }

    /// The approving decision on these prompts; a test may bend it before it is signed.
    pub fn decide(&self, (person, device): (usize, usize), prompts: &[&Prompt], change: impl FnOnce(&mut Decision)) -> Vec<u8> {
        let item = |prompt: &&Prompt| Item {
            request: *prompt.request.oid(),
            secret: *prompt.secret.oid(),
            path: prompt.request.path.clone(),
            version: prompt.secret.core.version,
            revision: prompt.secret.core.revision,
            index: prompt.index,
            window: prompt.window,
            uses: 0,
        };
        let mut decision = Decision {
            org: self.org.pin,
            verdict: Verdict::Approve,
            person: format!("p{person}"),
            device: format!("p{person}-d{device}"),
            issued: NOW,
            expires: NOW + 90,
            roster: self.trust.pair(),
            log_head: None,
            note: None,
            items: prompts.iter().map(item).collect(),
        };
        change(&mut decision);
        sign(&decision, &[&ed(number(person, device) + 1)])
    }

    pub fn approve(&self, who: (usize, usize), request: &[u8], sealed: &Sealed) -> Result<Vec<u8>> {
        let prompt = self.prompt(who, request, sealed)?;
        let decision = self.decide(who, &[&prompt], |_| ());
        release(&self.trust, &[&prompt], &decision, &kem_key(number(who.0, who.1)), NOW, &mut system())
    }

    pub fn open(&self, request: &[u8], sealed: &Sealed, releases: &[Vec<u8>]) -> Result<Opened> {
        let releases: Vec<&[u8]> = releases.iter().map(Vec::as_slice).collect();
        let handed = Handed { request, secret: &sealed.secret, ciphertext: &sealed.ciphertext, releases: &releases };
        open_releases(&self.trust, handed, &self.ephemeral, None, NOW)
    }
}

/// The oid of a payload, for bent objects.
pub fn oid_of<T: Payload>(wrapper: &[u8]) -> [u8; 32] {
    Signed::parse(T::NAME, wrapper).unwrap().oid()
}
