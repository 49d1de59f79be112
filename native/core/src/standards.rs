//! The primitives as this crate calls them, against vectors and implementations made elsewhere: Wycheproof, the `hpke` crate.
//! RFC 9180's own vectors are in `hpke/tests.rs`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::DhP256HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use wycheproof::TestResult;

use crate::hpke::{DiffieHellman, KemKey, KemPublic, expand, open, seal};
use crate::keys::{verify_ed25519, verify_es256, verify_es256_der};

fn system() -> impl FnMut(&mut [u8]) {
    |out: &mut [u8]| aws_lc_rs::rand::fill(out).unwrap()
}

/// Whether what we said is what the vector wants; `Acceptable` leaves the choice to us.
fn agrees(wanted: TestResult, accepted: bool) -> bool {
    match wanted {
        TestResult::Valid => accepted,
        TestResult::Invalid => !accepted,
        TestResult::Acceptable => true,
    }
}

#[test]
fn wycheproof_aes_256_gcm() {
    let mut run = 0;
    for group in wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap().test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &test.key).unwrap());
            let nonce = || Nonce::try_assume_unique_for_key(&test.nonce).unwrap();
            let mut opened = vec![0; test.ct.len()];
            let result = key.open_separate_gather(nonce(), Aad::from(&test.aad[..]), &test.ct, &test.tag, &mut opened);
            assert!(agrees(test.result, result.is_ok()), "{}", test.tc_id);
            if test.result == TestResult::Valid {
                assert_eq!(opened, test.pt[..]);
                let (mut sealed, mut tag) = (vec![0; test.pt.len()], vec![0; 16]);
                key.seal_out_of_place_scatter(nonce(), Aad::from(&test.aad[..]), &test.pt, &mut sealed, &[], &mut tag).unwrap();
                assert_eq!((sealed, tag), (test.ct.to_vec(), test.tag.to_vec()));
            }
            run += 1;
        }
    }
    assert!(run > 60, "{run}");
}

#[test]
fn wycheproof_ecdh_p256() {
    let mut run = 0;
    for group in wycheproof::ecdh::TestSet::load(wycheproof::ecdh::TestName::EcdhSecp256r1Ecpoint).unwrap().test_groups {
        for test in group.tests {
            // A scalar is written with as many bytes as it needs, or with a zero in front.
            let mut scalar = vec![0; 32_usize.saturating_sub(test.private_key.len())];
            scalar.extend_from_slice(&test.private_key[test.private_key.len().saturating_sub(32)..]);
            let key = KemKey::from_bytes(&scalar).unwrap();
            let shared = KemPublic::parse(&test.public_key).and_then(|peer| key.agree(&peer));
            match shared {
                Ok(shared) => assert_eq!(shared.as_ref(), &test.shared_secret[..], "{}", test.tc_id),
                // Compressed points are valid elsewhere and refused here.
                Err(_) => assert!(test.result != TestResult::Valid || test.public_key.len() == 33, "{}", test.tc_id),
            }
            assert!(test.result != TestResult::Invalid || KemPublic::parse(&test.public_key).is_err(), "{}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 200, "{run}");
}

#[test]
fn wycheproof_ecdsa_p256() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut run = 0;
    for (name, der) in [(TestName::EcdsaSecp256r1Sha256, true), (TestName::EcdsaSecp256r1Sha256P1363, false)] {
        for group in TestSet::load(name).unwrap().test_groups {
            let public = &group.key.key[..];
            for test in group.tests {
                let verified =
                    if der { verify_es256_der(public, &test.msg, &test.sig) } else { verify_es256(public, &test.msg, &test.sig) };
                assert!(agrees(test.result, verified.is_ok()), "{name:?} {}: {verified:?}", test.tc_id);
                run += 1;
            }
        }
    }
    assert!(run > 400, "{run}");
}

#[test]
fn wycheproof_ed25519() {
    let mut run = 0;
    for group in wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap().test_groups {
        for test in group.tests {
            let verified = verify_ed25519(&group.key.pk, &test.msg, &test.sig);
            assert!(agrees(test.result, verified.is_ok()), "{}: {verified:?}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 100, "{run}");
}

#[test]
fn wycheproof_hkdf_sha256() {
    let mut run = 0;
    for group in wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap().test_groups {
        for test in group.tests.iter().filter(|test| test.result == TestResult::Valid) {
            let mut okm = vec![0; test.size];
            expand(&Salt::new(HKDF_SHA256, &test.salt).extract(&test.ikm), &[&test.info], &mut okm);
            assert_eq!(okm, test.okm[..], "{}", test.tc_id);
            run += 1;
        }
    }
    assert!(run > 50, "{run}");
}

/// What one implementation seals the other opens, in both directions.
#[test]
fn agrees_with_the_hpke_crate() {
    type Suite = DhP256HkdfSha256;
    for round in 0..50u8 {
        let info = vec![round; usize::from(round)];
        let ours = KemKey::generate(&mut system());
        let (their_secret, their_public) = Suite::gen_keypair();

        let to = KemPublic::parse(&their_public.to_bytes()).unwrap();
        let sealed = seal(&to, &info, &[round; 32], &mut system()).unwrap();
        let enc = <Suite as Kem>::EncappedKey::from_bytes(&sealed.enc).unwrap();
        let opened =
            hpke::single_shot_open::<AesGcm256, HkdfSha256, Suite>(&OpModeR::Base, &their_secret, &enc, &info, &sealed.ct, b"");
        assert_eq!(opened.unwrap(), [round; 32]);

        let to = <Suite as Kem>::PublicKey::from_bytes(ours.public().as_bytes()).unwrap();
        let (enc, ct) =
            hpke::single_shot_seal::<AesGcm256, HkdfSha256, Suite>(&OpModeS::Base, &to, &info, &[round; 32], b"").unwrap();
        assert_eq!(*open(&ours, &info, &enc.to_bytes(), &ct).unwrap(), [round; 32]);
    }
}
