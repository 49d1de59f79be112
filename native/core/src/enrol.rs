//! Joining an organisation (section 11): what an invite is worth, what both screens show, and what a joiner signs.
//!
//! The nonce of an invite never reaches the relay. The relay knows its hash, by which it files the invite, and a bearer that is
//! derived from it; the five words are derived from the nonce **and** the enrolment, so a relay that swaps the joiner's keys
//! changes the words. Left to the caller: that a bearer serves once and for 30 minutes, and all dates.

use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};

use crate::encoding::{Hash, Oid, Value, domain, sha256};
use crate::error::{Code, Refusal, Result};
use crate::objects::{Enrol, Payload};
use crate::signed::{Signed, Verified};
use crate::text::b64encode;

/// Bytes of an invite's nonce.
pub const NONCE: usize = 32;
/// Words that a joiner's screen shows.
pub const WORDS: usize = 5;
/// The English list of BIP-39: 2048 words, 11 bits each.
const LIST: &str = include_str!("words.txt");

/// By what name the relay files an invite: `SHA-256([enrol, "id", b64(nonce)])`.
///
/// # Errors
/// None for a nonce of this length; the type says so because the encoding can refuse.
pub fn invite(nonce: &[u8; NONCE]) -> Result<Hash> {
    Ok(sha256(&domain("enrol", &[Value::text("id"), Value::bytes(nonce)])?))
}

/// What the joiner shows the relay, once: `b64(HKDF(nonce, salt org, info [enrol, "bearer"]))`.
///
/// # Errors
/// As [`invite`].
pub fn bearer(pin: &Oid, nonce: &[u8; NONCE]) -> Result<String> {
    let mut out = [0; 32];
    let info = domain("enrol", &[Value::text("bearer")])?;
    let extracted = Salt::new(HKDF_SHA256, pin).extract(nonce);
    let expanded = extracted.expand(&[&info], HKDF_SHA256).and_then(|okm| okm.fill(&mut out));
    expanded.map_err(|_| Refusal::new(Code::Invite, "no bearer"))?;
    Ok(b64encode(&out))
}

/// The indices of the five words: the first 55 bits of `SHA-256([enrol, "words", b64(oid), b64(nonce)])`.
///
/// # Errors
/// As [`invite`].
pub fn word_indices(oid: &Oid, nonce: &[u8; NONCE]) -> Result<[u16; WORDS]> {
    let digest = sha256(&domain("enrol", &[Value::text("words"), Value::bytes(oid), Value::bytes(nonce)])?);
    let bits = digest.iter().take(8).fold(0_u64, |bits, &byte| (bits << 8) | u64::from(byte));
    let mut words = [0; WORDS];
    for (at, word) in words.iter_mut().enumerate() {
        *word = u16::try_from((bits >> (53 - 11 * at)) & 0x7FF).unwrap_or(0);
    }
    Ok(words)
}

/// The five words as people read them.
///
/// # Errors
/// As [`invite`].
pub fn words(oid: &Oid, nonce: &[u8; NONCE]) -> Result<Vec<&'static str>> {
    let indices = word_indices(oid, nonce)?;
    let word = |index: u16| LIST.lines().nth(usize::from(index));
    Ok(indices.into_iter().filter_map(word).collect())
}

/// The HPKE info of the challenge that an admin seals to a joiner's KEM key.
///
/// # Errors
/// As [`invite`].
pub fn proof_info() -> Result<Vec<u8>> {
    domain("enrol", &[Value::text("proof")])
}

/// An enrolment: form, signature by its own `auth`, organisation, invite, algorithms. Dates are the caller's.
///
/// # Errors
/// `signature`, `alg`, a code of an assertion, `org`, `invite`, or a code of the encoding.
pub fn verify_enrol(pin: &Oid, origins: &[String], wrapper: &[u8], invite: &Hash) -> Result<Verified<Enrol>> {
    let signed = Signed::parse(Enrol::NAME, wrapper)?;
    // 1. It is signed by the key that it brings: whoever sent it holds that key.
    let claimed: Enrol = signed.peek()?;
    let enrol: Verified<Enrol> = signed.open([&claimed.auth], origins)?;
    // 2. For this organisation and this invite.
    if enrol.org != *pin {
        return Err(Refusal::new(Code::Org, "of another organisation"));
    }
    if enrol.invite != *invite {
        return Err(Refusal::new(Code::Invite, "of another invite"));
    }
    // 3. Algorithms: a deny key works without user verification, a client's key without a person.
    //    The schema looks at `deny` and `client`; without a KEM key it is a client that joins, with `auth` as its key.
    if enrol.kem.is_none() {
        enrol.auth.check_client()?;
    }
    Ok(enrol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_that_of_bip_39() {
        let list: Vec<&str> = LIST.lines().collect();
        assert_eq!(list.len(), 2048);
        assert!(list.is_sorted());
        assert_eq!((list.first(), list.last()), (Some(&"abandon"), Some(&"zoo")));
        let four = |word: &&str| word.chars().take(4).collect::<String>();
        assert_eq!(list.iter().map(four).collect::<std::collections::HashSet<_>>().len(), 2048);
    }
}
