//! From sealing to opening: any quorum opens, nothing less does, no changed byte passes, nothing panics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;
mod world;

use common::NOW;
use proptest::prelude::*;
use stillvault_core::client::{Handed, open_releases};
use stillvault_core::error::Code;
use stillvault_core::objects::Secret;
use stillvault_core::payload::{check_dek, decrypt, unpad};
use stillvault_core::secret::{open_stanza, payload_aad, verify_new_secret};
use stillvault_core::shares::{Share, join};
use stillvault_core::signed::Signed;
use world::{World, kem_key, number, policy_of, recovery, recovery_key};

/// Some `take` of `of`, in some order.
fn some(of: usize, take: usize, seed: u64) -> Vec<usize> {
    let mut all: Vec<usize> = (0..of).collect();
    let mut state = seed;
    for at in (1..of).rev() {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        all.swap(at, (state >> 33) as usize % (at + 1));
    }
    all.truncate(take);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_quorum_opens_and_nothing_less(
        people in 1usize..6, wanted in 1u64..6, devices in 1usize..3, offline in 0usize..4, seed: u64,
        data in prop::collection::vec(any::<u8>(), 0..700),
    ) {
        let wanted = wanted.min(people as u64);
        let mut policy = policy_of(people, wanted);
        policy.recovery = (offline >= 2).then(|| recovery(2, offline));
        let world = World::new(policy, devices);
        let sealed = world.seal(&data).unwrap();
        verify_new_secret(&world.trust, &sealed.secret, &sealed.ciphertext, NOW).unwrap();
        prop_assert_eq!(sealed.recipients.len(), people * devices + if offline >= 2 { offline } else { 0 });

        let request = world.request(|_| ());
        let who = some(people, usize::try_from(wanted).unwrap(), seed);
        let device = usize::try_from(seed).unwrap_or_default() % devices;
        let releases: Vec<Vec<u8>> = who.iter().map(|p| world.approve((*p, device), &request, &sealed).unwrap()).collect();
        let opened = world.open(&request, &sealed, &releases).unwrap();
        prop_assert_eq!(opened.value.expose().unwrap(), &data[..]);
        prop_assert_eq!(opened.approvers.len(), who.len());
        prop_assert_eq!((opened.terms.window, opened.terms.uses), (700, 9));

        // One fewer, the same one twice, or two devices of one person: no quorum. A24
        let refused = |releases: &[Vec<u8>]| world.open(&request, &sealed, releases).unwrap_err().code;
        prop_assert_eq!(refused(&releases[1..]), Code::Quorum);
        if wanted > 1 {
            let mut twice = releases[..releases.len() - 1].to_vec();
            twice.push(world.approve((who[0], devices - 1), &request, &sealed).unwrap());
            prop_assert_eq!(refused(&twice), Code::SamePerson);
        }
    }

    #[test]
    fn recovery_keys_open_with_their_own_shares_alone(offline in 2usize..5, wanted in 2u64..5, people in 1usize..4, seed: u64) {
        let wanted = wanted.min(offline as u64);
        let mut policy = policy_of(people, people as u64);
        policy.recovery = Some(recovery(wanted, offline));
        let world = World::new(policy, 1);
        let sealed = world.seal(b"offline").unwrap();
        let secret: Secret = Signed::parse("secret", &sealed.secret).unwrap().peek().unwrap();
        let part = |position: usize, key: &stillvault_core::hpke::KemKey| Share {
            index: u8::try_from(secret.core.recipients[position].index).unwrap(),
            value: open_stanza(&secret, position, key).unwrap(),
        };
        let shares: Vec<Share> =
            some(offline, usize::try_from(wanted).unwrap(), seed).into_iter().map(|n| part(people + n, &recovery_key(n))).collect();
        let core = &secret.core;
        let dek = join(&shares).unwrap();
        check_dek(&dek, &core.salt, &core.dek_commitment).unwrap();
        let padded = decrypt(&dek, &core.salt, &payload_aad(core).unwrap(), &sealed.ciphertext).unwrap();
        let padded = padded.expose().unwrap();
        prop_assert_eq!(&padded[unpad(padded).unwrap()], b"offline");

        // A person's share in the place of a recovery key's: another polynomial, another secret.
        let mut mixed: Vec<Share> = shares.into_iter().skip(1).collect();
        if people > 1 {
            mixed.push(part(0, &kem_key(number(0, 0))));
        }
        let refused = join(&mixed).map(|dek| check_dek(&dek, &core.salt, &core.dek_commitment).unwrap_err().code);
        prop_assert_eq!(refused, Ok(Code::Dek));
    }

    #[test]
    fn nothing_panics(bytes: Vec<u8>, at in 0usize..4, position: prop::sample::Index, byte: u8) {
        let world = World::new(policy_of(2, 2), 1);
        let sealed = world.seal(b"value").unwrap();
        let request = world.request(|_| ());
        let releases = [world.approve((0, 0), &request, &sealed).unwrap(), world.approve((1, 0), &request, &sealed).unwrap()];
        // Garbage in one place, then one byte of the honest part replaced.
        let honest = [request.as_slice(), &sealed.secret, &sealed.ciphertext, &releases[0]][at];
        let mut bent = honest.to_vec();
        let place = position.index(bent.len());
        bent[place] = byte;
        for part in [bytes, bent] {
            let place = |n: usize, honest| if n == at { part.as_slice() } else { honest };
            let own = place(3, releases[0].as_slice());
            let handed = Handed {
                request: place(0, &request),
                secret: place(1, &sealed.secret),
                ciphertext: place(2, &sealed.ciphertext),
                releases: &[own, &releases[1]],
            };
            if let Ok(opened) = open_releases(&world.trust, handed, &world.ephemeral, None, NOW) {
                prop_assert_eq!(opened.value.expose().unwrap(), b"value");
            }
        }
    }
}

/// The one oracle: after any change there is a refusal or the right plaintext, never another one. Here each byte of what the
/// relay hands out is changed in turn. A4, A5, A9, A13, B2
#[test]
fn every_changed_byte_is_refused() {
    let world = World::new(policy_of(2, 2), 1);
    let sealed = world.seal(b"value").unwrap();
    let request = world.request(|_| ());
    let releases = [world.approve((0, 0), &request, &sealed).unwrap(), world.approve((1, 0), &request, &sealed).unwrap()];
    let open = |secret: &[u8], ciphertext: &[u8], first: &[u8]| {
        let handed = Handed { request: &request, secret, ciphertext, releases: &[first, &releases[1]] };
        open_releases(&world.trust, handed, &world.ephemeral, None, NOW).is_err()
    };
    assert!(!open(&sealed.secret, &sealed.ciphertext, &releases[0]));
    let bend = |honest: &[u8], at: usize| {
        let mut bent = honest.to_vec();
        bent[at] ^= 1;
        bent
    };
    for at in 0..sealed.secret.len() {
        assert!(open(&bend(&sealed.secret, at), &sealed.ciphertext, &releases[0]), "secret {at}");
    }
    for at in 0..sealed.ciphertext.len() {
        assert!(open(&sealed.secret, &bend(&sealed.ciphertext, at), &releases[0]), "ciphertext {at}");
    }
    for at in 0..releases[0].len() {
        assert!(open(&sealed.secret, &sealed.ciphertext, &bend(&releases[0], at)), "release {at}");
    }
    // And each byte of what the approver is asked.
    let prompt = |request: &[u8], secret: &[u8], cert: &[u8]| {
        let own = stillvault_core::approver::Own { person: "p0", device: "p0-d0", decided: false, remembered: None };
        stillvault_core::approver::check_prompt(&world.trust, own, cert, request, secret, NOW).is_err()
    };
    assert!(!prompt(&request, &sealed.secret, &world.cert));
    for at in 0..request.len() {
        assert!(prompt(&bend(&request, at), &sealed.secret, &world.cert), "request {at}"); // A3
    }
    for at in 0..world.cert.len() {
        assert!(prompt(&request, &sealed.secret, &bend(&world.cert, at)), "certificate {at}");
    }
}

#[test]
fn two_sealings_share_nothing_and_their_parts_cannot_be_exchanged() {
    let world = World::new(policy_of(2, 1), 1);
    let (one, two) = (world.seal(b"one").unwrap(), world.seal(b"two").unwrap());
    let first: Secret = Signed::parse("secret", &one.secret).unwrap().peek().unwrap();
    let second: Secret = Signed::parse("secret", &two.secret).unwrap().peek().unwrap();
    assert_ne!(first.core.salt, second.core.salt);
    assert_ne!(first.core.dek_commitment, second.core.dek_commitment);
    let request = world.request(|_| ());
    let releases = [world.approve((0, 0), &request, &one).unwrap()];
    assert_eq!(world.open(&request, &two, &releases).unwrap_err().code, Code::Item); // A5
    // A stanza moved to another place or another sealing does not open, by its own key or another's. B3
    let mut moved = first.clone();
    moved.stanzas.swap(0, 1);
    assert_eq!(open_stanza(&moved, 0, &kem_key(number(1, 0))).unwrap_err().code, Code::Stanza);
    moved.stanzas = second.stanzas;
    assert_eq!(open_stanza(&moved, 0, &kem_key(number(0, 0))).unwrap_err().code, Code::Stanza);
    // A release answers one request: another one, though of the same client and path, gets nothing out of it. A6
    let again = world.request(|request| request.id = [8; 16]);
    assert_eq!(world.open(&again, &one, &releases).unwrap_err().code, Code::Item);
}

#[test]
fn sealing_stops_when_too_few_can_open() {
    let out = |roster: &mut stillvault_core::objects::Roster| roster.people[1].devices[0].expires = NOW;
    let world = World::with(policy_of(2, 2), 1, out);
    let refusal = world.seal(b"x").unwrap_err();
    assert_eq!(refusal.code, Code::Recipients);
    assert!(refusal.detail.contains("p1"), "{refusal}");
    let world = World::with(policy_of(2, 1), 1, out);
    assert_eq!(world.seal(b"x").unwrap().missing, ["p1"]);
}
