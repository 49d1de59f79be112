//! What a data key does: derive the payload key and the commitment, pad, encrypt, and all of it backwards. Protocol 5.2, 5.3.
//!
//! Each revision of a secret has its own data key and salt, so the payload key encrypts exactly one message: that is why the
//! nonce may be zero. The aad names organisation, path, version, revision and salt, so that no ciphertext can be moved.
//!
//! Opening is strict: the data key must be the one committed to (an AEAD alone does not commit), length and hash of the
//! ciphertext are those of the signed core, and the padding has exactly one valid form.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use core::ops::Range;
use subtle::ConstantTimeEq;

use crate::error::{Code, Refusal, Result};
use crate::hpke::{Secret32, expand};
use crate::memory::SecretBytes;

/// The longest value: 60 KiB.
pub const DATA_LIMIT: usize = 60 * 1024;
/// Bytes that the AEAD adds.
pub const TAG_LENGTH: usize = 16;

const LENGTH_BYTES: usize = 4;
const SMALLEST: usize = 64;
/// The power of two that holds the longest value.
const LARGEST: usize = 64 * 1024;
/// The canonical arrays of one domain string.
const INFO_PAYLOAD: &[u8] = br#"["stillvault/v1/payload"]"#;
const INFO_DEK_COMMIT: &[u8] = br#"["stillvault/v1/dek-commit"]"#;

/// `HKDF(dek, salt, info payload)`.
#[must_use]
pub fn payload_key(dek: &Secret32, salt: &[u8; 32]) -> Secret32 {
    derive(dek, salt, INFO_PAYLOAD)
}

/// `HKDF(dek, salt, info dek-commit)`: public, in the signed core.
#[must_use]
pub fn dek_commitment(dek: &Secret32, salt: &[u8; 32]) -> [u8; 32] {
    *derive(dek, salt, INFO_DEK_COMMIT)
}

/// Refuses with `dek` a data key that is not the one committed to. Constant time.
pub fn check_dek(dek: &Secret32, salt: &[u8; 32], committed: &[u8; 32]) -> Result<()> {
    if bool::from(dek_commitment(dek, salt).ct_eq(committed)) {
        return Ok(());
    }
    Err(Refusal::new(Code::Dek, "the data key is not the one the sealer committed to"))
}

/// Bytes of the padded form of `length` bytes: the least power of two from 64 that holds length and data. Above 60 KiB: `size`.
pub fn padded_length(length: usize) -> Result<usize> {
    if length > DATA_LIMIT {
        return Err(Refusal::new(Code::Size, "a value is at most 60 KiB"));
    }
    Ok((length + LENGTH_BYTES).next_power_of_two().max(SMALLEST))
}

/// Writes `u32be(len) || data || zeros` over the whole of `out`, whose length is [`padded_length`].
pub fn pad(data: &[u8], out: &mut [u8]) -> Result<()> {
    let length = u32::try_from(data.len()).map_err(|_| Refusal::new(Code::Size, "a value is at most 60 KiB"))?;
    if out.len() != padded_length(data.len())? {
        return Err(Refusal::new(Code::Padding, "the padded form has one length"));
    }
    let (head, rest) = out.split_at_mut(LENGTH_BYTES);
    let (body, zeros) = rest.split_at_mut(data.len());
    head.copy_from_slice(&length.to_be_bytes());
    body.copy_from_slice(data);
    zeros.fill(0);
    Ok(())
}

/// Where the data stand in a padded value. `padding` unless the form is the only one that [`pad`] makes.
pub fn unpad(padded: &[u8]) -> Result<Range<usize>> {
    let refused = || Refusal::new(Code::Padding, "the padding is not the one form it can have");
    let (head, rest) = padded.split_first_chunk::<LENGTH_BYTES>().ok_or_else(refused)?;
    let length = usize::try_from(u32::from_be_bytes(*head)).map_err(|_| refused())?;
    if padded_length(length).map_err(|_| refused())? != padded.len() {
        return Err(refused());
    }
    let zeros = rest.get(length..).ok_or_else(refused)?;
    // The bytes are looked at all alike: they are plaintext.
    if zeros.iter().fold(0, |all, byte| all | byte) != 0 {
        return Err(refused());
    }
    Ok(LENGTH_BYTES..LENGTH_BYTES + length)
}

/// The ciphertext of a padded value, with its tag. The plaintext is read where it lies.
pub fn encrypt(dek: &Secret32, salt: &[u8; 32], aad: &[u8], padded: &[u8]) -> Result<Vec<u8>> {
    let refused = |_| Refusal::new(Code::Decrypt, "the payload cannot be encrypted");
    let mut sealed = vec![0; padded.len() + TAG_LENGTH];
    let (ciphertext, tag) = sealed.split_at_mut(padded.len());
    key(dek, salt)?.seal_out_of_place_scatter(zero_nonce(), Aad::from(aad), padded, ciphertext, &[], tag).map_err(refused)?;
    Ok(sealed)
}

/// Refuses with `ciphertext` bytes that are not those the sealer signed for; the AEAD would too, but this needs no key.
pub fn check_ciphertext(ciphertext: &[u8], length: u64, hash: &[u8; 32]) -> Result<()> {
    // The hash is public: no need for constant time.
    if u64::try_from(ciphertext.len()) != Ok(length) || digest(&SHA256, ciphertext).as_ref() != hash {
        return Err(Refusal::new(Code::Ciphertext, "length or hash of the ciphertext is not the signed one"));
    }
    if ciphertext.len() > LARGEST + TAG_LENGTH {
        return Err(Refusal::new(Code::Padding, "a ciphertext is at most 65536 bytes and a tag"));
    }
    Ok(())
}

/// Decrypts into secret memory, padding and all. `decrypt` when the tag is wrong.
pub fn decrypt(dek: &Secret32, salt: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<SecretBytes> {
    let refused = || Refusal::new(Code::Decrypt, "the payload does not open under its own path, version and revision");
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LENGTH>().ok_or_else(refused)?;
    let mut padded = SecretBytes::new(ciphertext.len())?;
    key(dek, salt)?
        .open_separate_gather(zero_nonce(), Aad::from(aad), ciphertext, tag, padded.expose_mut()?)
        .map_err(|_| refused())?;
    Ok(padded)
}

fn key(dek: &Secret32, salt: &[u8; 32]) -> Result<LessSafeKey> {
    let refused = |_| Refusal::new(Code::Decrypt, "the payload key is not a key");
    Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, payload_key(dek, salt).as_ref()).map_err(refused)?))
}

/// Zero, since the key encrypts one message and never a second: data key and salt are fresh for each revision.
fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

fn derive(dek: &Secret32, salt: &[u8; 32], info: &[u8]) -> Secret32 {
    let mut out = Secret32::default();
    expand(&Salt::new(HKDF_SHA256, salt).extract(dek.as_ref()), &[info], out.as_mut());
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]
    use super::*;

    #[test]
    fn padding_has_one_form() {
        for (length, total) in [(0, 64), (60, 64), (61, 128), (124, 128), (125, 256), (DATA_LIMIT, LARGEST)] {
            assert_eq!(padded_length(length).unwrap(), total);
            let mut padded = vec![0xff; total];
            pad(&vec![7; length], &mut padded).unwrap();
            assert_eq!(unpad(&padded).unwrap(), 4..4 + length);
            if length + 4 < total {
                padded[total - 1] = 1;
                assert_eq!(unpad(&padded).unwrap_err().code, Code::Padding);
            }
        }
        assert_eq!(padded_length(DATA_LIMIT + 1).unwrap_err().code, Code::Size);
        // Twice the size, no room for the length, a length beyond the end: each is another form.
        let mut twice = vec![0; 128];
        twice[3] = 60;
        let mut beyond = vec![0; 64];
        beyond[3] = 61;
        for padded in [twice, vec![], vec![0; 3], vec![0; 32], beyond, vec![0xff; 64]] {
            assert_eq!(unpad(&padded).unwrap_err().code, Code::Padding);
        }
    }

    #[test]
    fn what_was_encrypted_opens_under_its_own_names_alone() {
        let (dek, salt) = (Secret32::new([3; 32]), [4; 32]);
        let mut padded = [0; 64];
        pad(b"value", &mut padded).unwrap();
        let sealed = encrypt(&dek, &salt, b"aad", &padded).unwrap();
        assert_eq!(sealed.len(), 80);
        assert_eq!(decrypt(&dek, &salt, b"aad", &sealed).unwrap().expose().unwrap(), padded);
        assert_eq!(decrypt(&dek, &salt, b"AAD", &sealed).unwrap_err().code, Code::Decrypt); // B3
        assert_eq!(decrypt(&dek, &[5; 32], b"aad", &sealed).unwrap_err().code, Code::Decrypt);
        for cut in 0..sealed.len() {
            assert_eq!(decrypt(&dek, &salt, b"aad", &sealed[..cut]).unwrap_err().code, Code::Decrypt); // N8
        }
        check_dek(&dek, &salt, &dek_commitment(&dek, &salt)).unwrap();
        assert_eq!(check_dek(&dek, &salt, &dek_commitment(&dek, &[5; 32])).unwrap_err().code, Code::Dek);
    }
}
