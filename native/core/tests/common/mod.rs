//! An organisation to test with: keys of fixed bytes, a root, a roster that keeps every rule, and a passkey in software.

#![allow(dead_code, reason = "each test file takes what it needs")]

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair};
use stillvault_core::encoding::{Oid, sha256};
use stillvault_core::keys::{Alg, Key, Passkey, SigningKey};
use stillvault_core::objects::{Deny, Device, Kem, LogKey, Payload, Person, Policy, Quorum, Role, Root, Roster, Scope, Tier};
use stillvault_core::signed::{Signature, Signed};
use stillvault_core::text::b64encode;

pub const NOW: u64 = 1_900_000_000;
pub const ORIGIN: &str = "https://vault.example.com";
pub const RP_ID: &str = "vault.example.com";

/// A key of the given number.
pub fn key(alg: Alg, number: u16) -> SigningKey {
    SigningKey::from_bytes(alg, &sha256(&number.to_be_bytes())).unwrap()
}

pub fn ed(number: u16) -> SigningKey {
    key(Alg::Ed25519, number)
}

pub fn kem(number: u16) -> Kem {
    Kem { public: key(Alg::Es256, number).key().public.as_slice().try_into().unwrap() }
}

pub fn quorum(keys: &[&SigningKey], threshold: u64) -> Quorum {
    Quorum { keys: keys.iter().map(|k| k.key().clone()).collect(), threshold }
}

pub fn root(version: u64, previous: Option<Oid>, root: Quorum, admin: Quorum) -> Root {
    Root {
        name: "Example".to_owned(),
        version,
        previous,
        root,
        admin,
        log: LogKey { origin: "vault.example.com/log".to_owned(), public: [7; 32] },
        rp_id: RP_ID.to_owned(),
        origins: vec![ORIGIN.to_owned()],
        issued: NOW - 1000,
        expires: NOW + 1_000_000,
    }
}

pub fn device(id: &str, tier: Tier, number: u16) -> Device {
    Device {
        id: id.to_owned(),
        name: id.to_owned(),
        tier,
        kem: kem(number),
        auth: vec![ed(number + 1).key().clone()],
        deny: Some(key(Alg::Es256, number + 2).key().clone()),
        attestation: None,
        added: NOW - 1000,
        expires: NOW + 1_000_000,
    }
}

pub fn person(id: &str, roles: &[Role], devices: Vec<Device>) -> Person {
    Person { id: id.to_owned(), name: id.to_uppercase(), roles: roles.to_vec(), devices }
}

pub fn policy(id: &str, pattern: &str, people: &[&str], threshold: u64) -> Policy {
    Policy {
        id: id.to_owned(),
        matches: vec![pattern.to_owned()],
        threshold,
        people: people.iter().map(|&p| p.to_owned()).collect(),
        tier: Tier::Soft,
        window: 900,
        scope: Scope::Process,
        uses: 0,
        ttl: 300,
        code: false,
        deny: Deny::Veto,
        recovery: None,
    }
}

/// A roster that keeps every rule.
pub fn roster(org: Oid, root: Oid, version: u64) -> Roster {
    let both = [Role::Approver, Role::Sealer];
    Roster {
        org,
        root,
        version,
        previous: (version > 1).then_some([9; 32]),
        issued: NOW - 100,
        expires: NOW + 100_000,
        people: vec![
            person("ana", &both, vec![device("ana-cli", Tier::Soft, 100), device("ana-phone", Tier::Synced, 110)]),
            person("ben", &both, vec![device("ben-token", Tier::DeviceBound, 120)]),
            person("dan", &[Role::Sealer], vec![device("dan-cli", Tier::Soft, 130)]),
        ],
        policies: vec![policy("default", "**", &["ana"], 1), policy("prod", "prod/**", &["ana", "ben"], 2)],
        floors: Vec::new(),
        revoked: Vec::new(),
        holds: Vec::new(),
    }
}

pub fn sign<T: Payload>(object: &T, keys: &[&SigningKey]) -> Vec<u8> {
    let mut signed = Signed::sign(T::NAME, &object.encode().unwrap(), keys[0]).unwrap();
    for key in &keys[1..] {
        signed.add(key).unwrap();
    }
    signed.to_bytes().unwrap()
}

pub fn oid<T: Payload>(object: &T) -> Oid {
    T::oid_of(&object.encode().unwrap())
}

/// An organisation of one root key (1) and one admin key (2).
pub struct Org {
    pub pin: Oid,
    pub roots: Vec<Vec<u8>>,
    pub admin: SigningKey,
}

impl Org {
    pub fn new() -> Self {
        let admin = ed(2);
        let first = root(1, None, quorum(&[&ed(1)], 1), quorum(&[&admin], 1));
        Self { pin: oid(&first), roots: vec![sign(&first, &[&ed(1)])], admin }
    }

    pub fn roster(&self, change: impl FnOnce(&mut Roster)) -> Vec<u8> {
        let mut roster = roster(self.pin, self.pin, 5);
        change(&mut roster);
        // Not `sign`: a test may want a roster that breaks a rule, and the form alone is checked here.
        sign(&roster, &[&self.admin])
    }
}

/// A passkey in software.
pub struct Authenticator {
    pair: EcdsaKeyPair,
    pub key: Key,
}

/// What an assertion says; each field can be bent.
pub struct Ceremony {
    pub client_data: String,
    pub rp_id: String,
    pub flags: u8,
    pub tail: Vec<u8>,
}

impl Ceremony {
    pub fn of(oid: &Oid) -> Self {
        let client_data =
            format!(r#"{{"type":"webauthn.get","challenge":"{}","origin":"{ORIGIN}","crossOrigin":false}}"#, b64encode(oid));
        Self { client_data, rp_id: RP_ID.to_owned(), flags: 0x05, tail: Vec::new() }
    }
}

impl Authenticator {
    pub fn new(number: u16) -> Self {
        let secret = sha256(&number.to_be_bytes());
        let private = PrivateKey::from_private_key(&ECDH_P256, &secret).unwrap();
        let public = private.compute_public_key().unwrap().as_ref().to_vec();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_ASN1_SIGNING, &secret, &public).unwrap();
        let passkey = Passkey { credential: vec![1, 2, 3], rp_id: RP_ID.to_owned(), backup: false };
        Self { pair, key: Key { alg: Alg::WebauthnEs256, public, passkey: Some(passkey) } }
    }

    pub fn assert(&self, ceremony: &Ceremony) -> Signature {
        let mut auth_data = sha256(ceremony.rp_id.as_bytes()).to_vec();
        auth_data.push(ceremony.flags);
        auth_data.extend_from_slice(&[0; 4]);
        auth_data.extend_from_slice(&ceremony.tail);
        let mut message = auth_data.clone();
        message.extend_from_slice(&sha256(ceremony.client_data.as_bytes()));
        let sig = self.pair.sign(&SystemRandom::new(), &message).unwrap().as_ref().to_vec();
        Signature {
            alg: self.key.alg.as_str().to_owned(),
            key: self.key.hint().to_vec(),
            sig,
            auth_data: Some(auth_data),
            client_data: Some(ceremony.client_data.as_bytes().to_vec()),
        }
    }
}
