//! The forms in which a program may print a value, for masking: as it is, base64, hex, URL-encoded, inside JSON.
//!
//! A value inside a longer base64 text stands there in one of three ways, by its distance from the beginning modulo 3; at each
//! end a character may mix with its neighbours, so the stable middle is what is looked for.

use zeroize::Zeroizing;

/// Bytes that are wiped.
pub type Secret = Zeroizing<Vec<u8>>;

/// The alphabet of RFC 4648, section 4.
pub const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The alphabet of RFC 4648, section 5.
pub const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Which characters a JSON writer escapes beyond those that it must.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Escapes {
    /// None (RFC 8785).
    Few,
    /// All that is not ASCII, as `\uXXXX`.
    Ascii,
    /// The slash, as `\/`.
    Slash,
    /// What is special in HTML, as `\u003c`.
    Html,
}

/// All forms of `value` that are looked for, without a line end at its end. None is shorter than `shortest`.
pub fn all(value: &[u8], shortest: usize) -> Vec<Secret> {
    let value = value.trim_suffix_line_ends();
    if value.len() < shortest {
        return Vec::new();
    }
    let mut forms = vec![Zeroizing::new(value.to_vec())];
    for alphabet in [STANDARD, URL] {
        forms.push(base64(value, alphabet));
        forms.extend((0..3).map(|before| base64_middle(value, before, alphabet)));
    }
    for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
        forms.push(hex(value, digits));
        forms.extend([&b""[..], b"/", b"/*'()!~", b"*'()!~"].into_iter().map(|plain| url_encoded(value, plain, false, digits)));
        forms.push(url_encoded(value, b"*", true, digits));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        let ways = [Escapes::Few, Escapes::Ascii, Escapes::Slash, Escapes::Html];
        forms.extend(ways.into_iter().map(|escapes| json_escaped(text, escapes)));
    }
    forms.retain(|form| form.len() >= shortest);
    forms.sort_unstable_by(|a, b| a.as_slice().cmp(b.as_slice()));
    forms.dedup();
    forms
}

trait LineEnds {
    fn trim_suffix_line_ends(&self) -> &Self;
}

impl LineEnds for [u8] {
    fn trim_suffix_line_ends(&self) -> &[u8] {
        let end = self.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        self.get(..end).unwrap_or_default()
    }
}

/// base64 without padding.
pub fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len().div_ceil(3) * 4));
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for position in 0..=chunk.len() {
            let index = (group >> (18 - 6 * position)) & 63;
            out.extend(alphabet.get(index as usize));
        }
    }
    out
}

/// The characters of base64 that `bytes` alone decide, when `before` other bytes stand in front of them.
fn base64_middle(bytes: &[u8], before: usize, alphabet: &[u8; 64]) -> Secret {
    let mut padded = Zeroizing::new(vec![0; before]);
    padded.reserve_exact(bytes.len());
    padded.extend_from_slice(bytes);
    let whole = base64(&padded, alphabet);
    let (first, last) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
    Zeroizing::new(whole.get(first..last).unwrap_or_default().to_vec())
}

fn hex(bytes: &[u8], digits: &[u8; 16]) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * 2));
    for byte in bytes {
        out.extend(digits.get(usize::from(byte >> 4)));
        out.extend(digits.get(usize::from(byte & 15)));
    }
    out
}

/// `%XX` for all but letters, digits, `-._~` less what a writer may leave, and `plain`; `plus` writes a space as `+`.
fn url_encoded(bytes: &[u8], plain: &[u8], plus: bool, digits: &[u8; 16]) -> Secret {
    let mut out = Zeroizing::new(Vec::with_capacity(bytes.len() * 3));
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._".contains(&byte) || plain.contains(&byte) || (byte == b'~' && !plus) {
            out.push(byte);
        } else if plus && byte == b' ' {
            out.push(b'+');
        } else {
            out.push(b'%');
            out.extend(digits.get(usize::from(byte >> 4)));
            out.extend(digits.get(usize::from(byte & 15)));
        }
    }
    out
}

/// The inside of a JSON string, without its quotes.
pub fn json_escaped(text: &str, escapes: Escapes) -> Secret {
    // At most twelve bytes a character: a pair of \uXXXX.
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 12));
    for character in text.chars() {
        let short = match character {
            '"' | '\\' => Some(character),
            '/' if escapes == Escapes::Slash => Some('/'),
            '\u{8}' => Some('b'),
            '\u{c}' => Some('f'),
            '\n' => Some('n'),
            '\r' => Some('r'),
            '\t' => Some('t'),
            _ => None,
        };
        let long = u32::from(character) < 0x20
            || (escapes == Escapes::Ascii && !character.is_ascii())
            || (escapes == Escapes::Html && matches!(character, '<' | '>' | '&' | '\u{2028}' | '\u{2029}'));
        if let Some(letter) = short {
            out.extend_from_slice(&[b'\\', letter as u8]);
        } else if long {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let bytes = unit.to_be_bytes();
                out.extend_from_slice(b"\\u");
                out.extend_from_slice(&hex(&bytes, b"0123456789abcdef"));
            }
        } else {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(secret: &Secret) -> String {
        String::from_utf8_lossy(secret).into_owned()
    }

    #[test]
    fn base64_of_rfc_4648_section_10() {
        for (plain, encoded) in [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(text(&base64(plain.as_bytes(), STANDARD)), encoded);
        }
        assert_eq!(text(&base64(b"\xfb\xff", URL)), "-_8");
    }

    #[test]
    fn a_value_inside_longer_base64_is_found_at_all_three_places() {
        let value = b"swordfish!";
        for before in 0..6 {
            for after in 0..3 {
                let whole = [&vec![b'#'; before][..], value, &vec![b'%'; after][..]].concat();
                let whole = text(&base64(&whole, STANDARD));
                assert!(all(value, 6).iter().any(|form| whole.contains(&text(form))), "{before} {after} {whole}");
            }
        }
    }

    #[test]
    fn json_and_url_forms() {
        assert_eq!(text(&json_escaped("a\"\n\u{1}é\u{1f600}", Escapes::Ascii)), r#"a\"\n\u0001\u00e9\ud83d\ude00"#);
        assert_eq!(text(&json_escaped("a/<", Escapes::Slash)), r"a\/<");
        assert_eq!(text(&json_escaped("a/<", Escapes::Html)), r"a/\u003c");
        assert_eq!(text(&url_encoded(b"a b/\xe9", b"", true, b"0123456789ABCDEF")), "a+b%2F%E9");
    }

    #[test]
    fn short_values_have_no_forms() {
        assert!(all(b"12345\n", 6).is_empty());
        assert!(all(b"123456\n", 6).iter().any(|form| form.as_slice() == b"123456"));
    }
}
