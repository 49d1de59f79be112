//! Text that came from others, made safe to show or to sign; and standard error.
//!
//! The set of characters that are never shown or sent raw is fixed by section 2 of docs/protocol.md, so that versions of Unicode
//! cannot disagree about it.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::os::unix::ffi::OsStrExt;

use serde_json::Value as Json;

// Section 2.
const HIDDEN: &[(u32, u32)] = &[
    (0x00, 0x1F),
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
    (0xFE00, 0xFE0F),
    (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0),
    (0xFFF0, 0xFFFB),
    (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A),
    (0xE0000, 0xE0FFF),
];

fn hidden(character: char) -> bool {
    let point = u32::from(character);
    HIDDEN.iter().any(|&(first, last)| (first..=last).contains(&point))
}

fn push(out: &mut String, text: &str, backslash: bool) {
    for character in text.chars() {
        if hidden(character) || (backslash && character == '\\') {
            let _ = write!(out, "\\u{{{:x}}}", u32::from(character));
        } else {
            out.push(character);
        }
    }
}

/// Text for the screen: characters of the set stand as `\u{202e}`. What was escaped before stays as it is.
pub fn screen(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push(&mut out, text, false);
    out
}

/// Text of the caller for a signed object (section 2): the set and `\` escaped, a byte that is not UTF-8 as `\x{ff}`.
pub fn visible(text: &OsStr) -> String {
    let mut out = String::with_capacity(text.len());
    for chunk in text.as_bytes().utf8_chunks() {
        push(&mut out, chunk.valid(), true);
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{{{byte:02x}}}");
        }
    }
    out
}

/// One object on one line. What is hidden stands escaped, as JSON has it, so that no terminal acts on it.
pub fn json(value: &Json) -> String {
    let mut out = String::new();
    for character in value.to_string().chars() {
        if hidden(character) {
            // Outside of strings JSON holds none of these.
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(character);
        }
    }
    out.push('\n');
    out
}

/// Writes text to standard error; where that is gone, nobody can be told.
pub fn note(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// True when standard error is a terminal that can redraw a line.
pub fn live_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Cuts text to `width` characters, with a sign that something is missing.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Seconds as people say them: `45s`, `4m05s`, `2h03m`.
pub fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_escaped_as_section_2_says() {
        assert_eq!(visible(OsStr::from_bytes(b"a\\b\n\xff\xe2\x80\xae")), "a\\u{5c}b\\u{a}\\x{ff}\\u{202e}");
    }

    #[test]
    fn the_hidden_characters_are_those_of_the_core() {
        for character in '\0'..=char::MAX {
            let text = character.to_string();
            assert_eq!(hidden(character), stillvault_core::text::check_visible(&text).is_err(), "{:x}", u32::from(character));
            if character != '\\' {
                assert_eq!(visible(OsStr::new(&text)), stillvault_core::text::visible(text.as_bytes()));
            }
        }
    }

    #[test]
    fn json_hides_nothing_and_moves_no_cursor() {
        let value = serde_json::json!({"a": "\u{9b}\u{202e}\u{e0001}é"});
        assert_eq!(json(&value), "{\"a\":\"\\u009b\\u202e\\udb40\\udc01é\"}\n");
        assert_eq!(serde_json::from_str::<Json>(&json(&value)).ok(), Some(value));
    }

    #[test]
    fn spans_read_well() {
        assert_eq!([span(5), span(245), span(7380)], ["5s", "4m05s", "2h03m"]);
    }

    #[test]
    fn a_cut_shows_itself() {
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
