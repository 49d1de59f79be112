//! Strings and byte strings (section 2): the fixed set of hidden characters, the visible form, strict base64url, names and ids.
//!
//! A hidden character in a name that a person reads can make one program look like another. The set is a table and not a
//! property lookup, so that two Unicode versions cannot disagree about a signature.

use crate::error::{Code, Refusal, Result};

/// The hidden characters, as inclusive ranges in order. Surrogates cannot stand in a Rust string and are refused by the parser.
const HIDDEN: [(u32, u32); 20] = [
    (0x0, 0x1F),
    (0x7F, 0x9F),
    (0xAD, 0xAD),
    (0x34F, 0x34F),
    (0x61C, 0x61C),
    (0x115F, 0x1160),
    (0x17B4, 0x17B5),
    (0x180B, 0x180F),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x206F),
    (0x3164, 0x3164),
    (0xD800, 0xDFFF),
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
];

fn is_hidden(c: char) -> bool {
    let c = u32::from(c);
    HIDDEN.iter().any(|&(low, high)| low <= c && c <= high)
}

/// Refuses a string with a hidden character.
///
/// # Errors
/// `char`.
pub fn check_visible(text: &str) -> Result<()> {
    if text.bytes().all(|b| (0x20..0x7F).contains(&b)) {
        return Ok(());
    }
    match text.chars().find(|&c| is_hidden(c)) {
        Some(c) => Err(Refusal::new(Code::Char, format!("hidden character U+{:04X}", u32::from(c)))),
        None => Ok(()),
    }
}

/// Bytes from outside as a string that hides nothing: hidden characters and `\` become `\u{hex}`, a byte that is not UTF-8
/// becomes `\x{hex}`. The escape is itself escaped, so the form can be read back and cannot be forged.
#[must_use]
pub fn visible(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len());
    for chunk in raw.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || is_hidden(c) {
                out.push_str(&format!("\\u{{{:x}}}", u32::from(c)));
            } else {
                out.push(c);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{{{byte:x}}}"));
        }
    }
    out
}

/// Refuses a field name that is not `[a-z][a-z0-9_]*`.
///
/// # Errors
/// `field`.
pub fn check_field_name(name: &str) -> Result<()> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
    if first && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_') {
        return Ok(());
    }
    Err(Refusal::new(Code::Field, "a field name is [a-z][a-z0-9_]*"))
}

/// Refuses an id (person, device, policy, recovery key) that is not `[a-z0-9][a-z0-9._-]{0,63}`.
///
/// # Errors
/// `field`.
pub fn check_id(id: &str) -> Result<()> {
    if id.len() <= 64 && crate::path::is_segment(id) {
        return Ok(());
    }
    Err(Refusal::new(Code::Field, "an id is [a-z0-9][a-z0-9._-]{0,63}"))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// base64url without padding.
#[must_use]
pub fn b64encode(raw: &[u8]) -> String {
    let mut out = String::with_capacity(raw.len().div_ceil(3) * 4);
    for group in raw.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = (bits << 8) | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..=group.len() {
            let six = (bits >> (18 - 6 * at)) & 63;
            out.push(ALPHABET.get(six as usize).map_or('A', |&b| char::from(b)));
        }
    }
    out
}

/// Decodes base64url: no padding, no other alphabet, no white space, spare bits zero.
///
/// # Errors
/// `base64`.
pub fn b64decode(text: &str) -> Result<Vec<u8>> {
    let bad = |what: &str| Refusal::new(Code::Base64, what);
    let mut out = Vec::with_capacity(text.len() / 4 * 3 + 2);
    for group in text.as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for &byte in group {
            bits = (bits << 6) | six_bits(byte).ok_or_else(|| bad("not the base64url alphabet"))?;
        }
        let spare = match group.len() {
            4 => 0,
            3 => 2,
            2 => 4,
            _ => return Err(bad("a length that base64url does not have")),
        };
        if bits & ((1 << spare) - 1) != 0 {
            return Err(bad("spare bits are not 0"));
        }
        let bytes = (bits >> spare).to_be_bytes();
        out.extend_from_slice(bytes.get(5 - group.len()..).unwrap_or(&[]));
    }
    Ok(out)
}

/// The value of each byte of the alphabet; 64 for any other.
#[allow(clippy::cast_possible_truncation, clippy::indexing_slicing, reason = "`at` is below 64, and the compiler runs this")]
const SIX_BITS: [u8; 256] = {
    let mut table = [64; 256];
    let mut at = 0;
    while at < 64 {
        table[ALPHABET[at] as usize] = at as u8;
        at += 1;
    }
    table
};

fn six_bits(byte: u8) -> Option<u32> {
    SIX_BITS.get(usize::from(byte)).filter(|&&six| six < 64).map(|&six| u32::from(six))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_of_every_length() {
        for length in 0..70_u8 {
            let raw: Vec<u8> = (0..length).map(|n| n.wrapping_mul(37).wrapping_add(length)).collect();
            assert_eq!(b64decode(&b64encode(&raw)), Ok(raw));
        }
        assert_eq!(b64encode(&[0xfb, 0xff]), "-_8");
        for text in ["A", "AB", "AA=", "AA==", "A+==", "AA\n", " AA", "AAB", "A/AA", "AAAAA", "é"] {
            assert_eq!(b64decode(text).err().map(|r| r.code), Some(Code::Base64), "{text}");
        }
    }

    #[test]
    fn visible_escapes_and_cannot_be_forged() {
        assert_eq!(visible(b"a\nb"), "a\\u{a}b");
        assert_eq!(visible("\u{202e}\\".as_bytes()), "\\u{202e}\\u{5c}");
        assert_eq!(visible(b"\xff\xe2\x80A\xed\xa0\x80"), "\\x{ff}\\x{e2}\\x{80}A\\x{ed}\\x{a0}\\x{80}");
        assert_eq!(visible("\u{fffd}\u{e0000}".as_bytes()), "\u{fffd}\\u{e0000}");
    }
}
