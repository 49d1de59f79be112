//! The scheme against RFC 9180's own vectors, and the limits that this product adds.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]

use super::*;
use serde_json::Value;

const RFC_9180: &str = include_str!("../../tests/rfc9180/p256_sha256_aes256gcm.json");

fn hex(value: &Value, field: &str) -> Vec<u8> {
    let text = value[field].as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn system() -> impl FnMut(&mut [u8]) {
    |out: &mut [u8]| aws_lc_rs::rand::fill(out).unwrap()
}

#[test]
fn every_base_mode_vector_of_the_suite() {
    let vectors: Vec<Value> = serde_json::from_str(RFC_9180).unwrap();
    for vector in &vectors {
        let recipient = KemKey::from_bytes(&hex(vector, "skRm")).unwrap();
        let ephemeral = KemKey::from_bytes(&hex(vector, "skEm")).unwrap();
        assert_eq!(recipient.public.bytes.to_vec(), hex(vector, "pkRm"));
        assert_eq!(ephemeral.public.bytes.to_vec(), hex(vector, "enc"));
        assert_eq!(recipient.to_bytes().unwrap().to_vec(), hex(vector, "skRm"));
        let (info, enc) = (hex(vector, "info"), hex(vector, "enc"));

        let shared = recipient.agree(&ephemeral.public).unwrap();
        let schedule = Schedule::derive(&shared, &ephemeral.public, &recipient.public, &info);
        assert_eq!(schedule.key.to_vec(), hex(vector, "key"));
        assert_eq!(schedule.base_nonce.to_vec(), hex(vector, "base_nonce"));

        for (sequence, message) in vector["encryptions"].as_array().unwrap().iter().enumerate() {
            let (aad, plain, ct) = (hex(message, "aad"), hex(message, "pt"), hex(message, "ct"));
            if sequence == 0 {
                assert_eq!(
                    seal_any(&recipient.public, &info, &aad, &plain, &ephemeral).unwrap(),
                    (ephemeral.public.bytes, ct.clone())
                );
                assert_eq!(*open_any(&recipient, &info, &aad, &enc, &ct).unwrap(), plain);
            }
            let mut nonce = schedule.base_nonce;
            for (byte, count) in nonce[4..].iter_mut().zip((sequence as u64).to_be_bytes()) {
                *byte ^= count;
            }
            assert_eq!(nonce.to_vec(), hex(message, "nonce"));
            let mut opened = ct;
            let opened = schedule.key().unwrap().open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(&aad), &mut opened);
            assert_eq!(opened.unwrap(), plain);
        }
    }
    assert_eq!(vectors.len(), 1);
}

#[test]
fn one_bit_another_key_or_another_binding_is_refused() {
    let (key, other) = (KemKey::generate(&mut system()), KemKey::generate(&mut system()));
    let sealed = seal(key.public(), b"[1]", &[7; 32], &mut system()).unwrap();
    assert_eq!(*open(&key, b"[1]", &sealed.enc, &sealed.ct).unwrap(), [7; 32]);
    let refused = |key: &KemKey, info: &[u8], enc: &[u8], ct: &[u8]| {
        assert_eq!(open(key, info, enc, ct).err().map(|refusal| refusal.code), Some(Code::Open));
    };
    refused(&other, b"[1]", &sealed.enc, &sealed.ct);
    refused(&key, b"[2]", &sealed.enc, &sealed.ct);
    for bit in 0..ENC_LENGTH * 8 {
        let mut enc = sealed.enc;
        enc[bit / 8] ^= 1 << (bit % 8);
        refused(&key, b"[1]", &enc, &sealed.ct);
    }
    for bit in 0..CT_LENGTH * 8 {
        let mut ct = sealed.ct;
        ct[bit / 8] ^= 1 << (bit % 8);
        refused(&key, b"[1]", &sealed.enc, &ct);
    }
}

#[test]
fn only_32_bytes_and_only_uncompressed_points() {
    let key = KemKey::generate(&mut system());
    for length in [0, 31, 33, 64] {
        let (enc, ct) = seal_any(key.public(), b"", b"", &vec![1; length], &KemKey::generate(&mut system())).unwrap();
        assert!(open_any(&key, b"", b"", &enc, &ct).is_ok());
        assert_eq!(open(&key, b"", &enc, &ct).unwrap_err().code, Code::Open);
    }
    let point = key.public.bytes;
    let mut compressed = vec![2 + (point[64] & 1)];
    compressed.extend_from_slice(&point[1..33]);
    let mut hybrid = point;
    hybrid[0] = 6 + (point[64] & 1);
    let mut off_curve = point;
    off_curve[64] ^= 1;
    let mut zero = [0; ENC_LENGTH];
    zero[0] = 4;
    // Coordinates not below the field's prime are another form of the same point, or none.
    let mut above = [0xff; ENC_LENGTH];
    above[0] = 4;
    for form in [&compressed[..], &hybrid, &off_curve, &zero, &above, &[0], &[], &point[..64]] {
        assert_eq!(KemPublic::parse(form).unwrap_err().code, Code::Open);
    }
}

#[test]
fn a_scalar_is_above_zero_and_below_the_order() {
    let order: Vec<u8> = hex(&serde_json::json!({"n": "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"}), "n");
    let mut below = order.clone();
    below[31] -= 1;
    assert!(KemKey::from_bytes(&below).is_ok());
    for scalar in [vec![0; 32], order, vec![0xff; 32], vec![1; 31], vec![1; 33], vec![]] {
        assert_eq!(KemKey::from_bytes(&scalar).unwrap_err().code, Code::Open);
    }
    // A draw that is no scalar is drawn again, not reduced.
    let mut draws = [0xff, 0x00, 0x11].into_iter();
    let key = KemKey::generate(&mut |out: &mut [u8]| out.fill(draws.next().unwrap()));
    assert_eq!(*key.to_bytes().unwrap(), [0x11; 32]);
    assert_eq!(format!("{key:?} {:?}", key.public()), "KemKey(..) KemPublic(p256)");
}
