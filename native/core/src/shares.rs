//! Shamir's scheme over GF(2^8), byte by byte, and the commitments that tell a false share. Protocol section 5.4.
//!
//! A share is 32 bytes with a one-byte index, which is its x coordinate; index 0 is where the secret lies and never a share.
//! Coefficients are uniform with zero allowed: leaving zero out would tell a holder which values the secret is not.
//! Multiplication and inversion have neither tables nor branches that depend on a secret.
//!
//! [`join`] cannot see a false share by itself; [`check`] is called on each one first.

use aws_lc_rs::digest::{Context, SHA256};
use subtle::ConstantTimeEq;

use crate::error::{Code, Refusal, Result};
use crate::hpke::{Secret32, VALUE_LENGTH};
use crate::random::Randomness;

/// x^8 + x^4 + x^3 + x + 1 (0x11b) without its highest bit.
const REDUCTION: u8 = 0x1b;
const COMMITMENT_LABEL: &[u8] = b"stillvault/v1/share\x00";

/// The share with which an index takes part.
pub struct Share {
    /// The x coordinate, 1 to 255.
    pub index: u8,
    /// The y coordinates, one a byte of the secret.
    pub value: Secret32,
}

/// Splits `secret` so that any `threshold` of the shares give it back and fewer say nothing.
///
/// Refused with `index`: an index that is 0 or stands twice; with `threshold`: a threshold of 0 or above the number of indices.
pub fn split(secret: &Secret32, threshold: usize, indices: &[u8], random: &mut dyn Randomness) -> Result<Vec<Share>> {
    distinct(indices.iter().copied())?;
    if threshold == 0 || threshold > indices.len() {
        return Err(Refusal::new(Code::Threshold, "a threshold lies between 1 and the number of shares"));
    }
    // One row of 32 coefficients for each degree; degree 0 is the secret.
    let mut coefficients = Vec::with_capacity(threshold);
    coefficients.push(secret.clone());
    for _ in 1..threshold {
        let mut row = Secret32::default();
        random.fill(row.as_mut());
        coefficients.push(row);
    }
    Ok(indices.iter().map(|&index| Share { index, value: evaluate(&coefficients, index) }).collect())
}

/// The secret that these shares lie on: Lagrange interpolation at 0 through all of them.
///
/// Refused with `quorum`: no share at all; with `index`: an index that is 0 or stands twice.
pub fn join(shares: &[Share]) -> Result<Secret32> {
    if shares.is_empty() {
        return Err(Refusal::new(Code::Quorum, "no share to join"));
    }
    distinct(shares.iter().map(|share| share.index))?;
    let mut secret = Secret32::default();
    for share in shares {
        // The indices are public; only the share's bytes are not.
        let weight = shares
            .iter()
            .filter(|other| other.index != share.index)
            .fold(1, |weight, other| multiply(weight, multiply(other.index, invert(other.index ^ share.index))));
        for (byte, part) in secret.iter_mut().zip(share.value.iter()) {
            *byte ^= multiply(weight, *part);
        }
    }
    Ok(secret)
}

/// `SHA-256("stillvault/v1/share" || 0x00 || salt || u8 index || share)`.
#[must_use]
pub fn commitment(salt: &[u8; 32], index: u8, share: &[u8; VALUE_LENGTH]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in [COMMITMENT_LABEL, salt, &[index], share] {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Refuses with `share` a share that is not the one committed to. This is what names a false approver instead of failing at
/// the end with nobody to blame.
pub fn check(salt: &[u8; 32], share: &Share, committed: &[u8; 32]) -> Result<()> {
    if bool::from(commitment(salt, share.index, &share.value).ct_eq(committed)) {
        return Ok(());
    }
    Err(Refusal::new(Code::Share, format!("the share of index {} is not the one the sealer committed to", share.index)))
}

fn distinct(indices: impl Iterator<Item = u8>) -> Result<()> {
    let mut seen = [false; 256];
    seen[0] = true;
    for index in indices {
        if seen.get_mut(usize::from(index)).is_none_or(|seen| core::mem::replace(seen, true)) {
            return Err(Refusal::new(Code::Index, "an index is never 0 and stands once"));
        }
    }
    Ok(())
}

/// Horner's rule in each of the 32 bytes.
fn evaluate(coefficients: &[Secret32], x: u8) -> Secret32 {
    let mut value = Secret32::default();
    for row in coefficients.iter().rev() {
        for (byte, coefficient) in value.iter_mut().zip(row.iter()) {
            *byte = multiply(*byte, x) ^ coefficient;
        }
    }
    value
}

/// The product in GF(2^8): eight steps whatever the operands, masks instead of branches.
fn multiply(mut a: u8, mut b: u8) -> u8 {
    let mut product = 0;
    for _ in 0..8 {
        product ^= a & (b & 1).wrapping_neg();
        a = (a << 1) ^ (REDUCTION & (a >> 7).wrapping_neg());
        b >>= 1;
    }
    product
}

/// `a^254`, which is the inverse of every `a` but 0.
fn invert(a: u8) -> u8 {
    // 254 = 0b1111_1110: square and multiply over fixed exponent bits.
    let mut power = a;
    let mut result = 1;
    for _ in 1..8 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]
    use super::*;
    use zeroize::Zeroizing;

    fn fixed(seed: u8) -> impl FnMut(&mut [u8]) {
        let mut state = u32::from(seed) + 1;
        move |out: &mut [u8]| {
            for byte in out {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 24) as u8;
            }
        }
    }

    #[test]
    fn field_has_inverses_and_the_reduction_of_fips_197() {
        assert_eq!(multiply(0x57, 0x83), 0xc1); // the worked example of FIPS 197, 4.2
        for a in 1..=255u8 {
            assert_eq!(multiply(a, invert(a)), 1);
        }
    }

    #[test]
    fn any_m_of_n_join_and_commitments_name_a_false_share() {
        let secret = Zeroizing::new([0xa5; 32]);
        let shares = split(&secret, 3, &[1, 2, 5, 129, 255], &mut fixed(7)).unwrap();
        for a in 0..5 {
            for b in 0..5 {
                for c in 0..5 {
                    let pick: Vec<Share> =
                        [a, b, c].iter().map(|&i| Share { index: shares[i].index, value: shares[i].value.clone() }).collect();
                    match join(&pick) {
                        Ok(joined) => assert_eq!(*joined, *secret),
                        Err(refusal) => {
                            assert!(a == b || b == c || a == c);
                            assert_eq!(refusal.code, Code::Index);
                        }
                    }
                }
            }
        }
        let two = [0, 1].map(|i: usize| Share { index: shares[i].index, value: shares[i].value.clone() });
        assert_ne!(*join(&two).unwrap(), *secret);
        let salt = [9; 32];
        let committed = commitment(&salt, shares[0].index, &shares[0].value);
        check(&salt, &shares[0], &committed).unwrap();
        assert_eq!(check(&salt, &shares[1], &committed).unwrap_err().code, Code::Share); // A24
    }

    /// With one share fewer than the threshold every secret is as likely as any other: over all coefficients a share takes
    /// every value exactly once, whatever the secret. Zero is among the coefficients for this very reason. A24
    #[test]
    fn one_share_of_two_says_nothing() {
        for (secret, index) in [(0, 1), (0x57, 3), (0xff, 128), (1, 255)] {
            let mut seen = [false; 256];
            for coefficient in 0..=255u8 {
                let mut draw = |out: &mut [u8]| out.fill(coefficient);
                let shares = split(&Zeroizing::new([secret; 32]), 2, &[index, index ^ 7], &mut draw).unwrap();
                assert!(!core::mem::replace(&mut seen[usize::from(shares[0].value[0])], true));
            }
            assert!(seen.iter().all(|seen| *seen));
        }
    }

    #[test]
    fn what_is_no_split_is_refused() {
        let secret = Zeroizing::new([1; 32]);
        for (threshold, indices, code) in [
            (1, vec![0], Code::Index),
            (2, vec![3, 3], Code::Index),
            (0, vec![1], Code::Threshold),
            (3, vec![1, 2], Code::Threshold),
        ] {
            assert_eq!(split(&secret, threshold, &indices, &mut fixed(1)).err().unwrap().code, code);
        }
        assert_eq!(join(&[]).unwrap_err().code, Code::Quorum);
    }
}
