//! A handle: what `--detach` printed.
//!
//! The daemon knows whose a handle is: the account and the task (the agent's process, else the session's leader) that asked, by
//! the kernel's word. Knowing the text of a handle is not enough to take its values.

use crate::fault::Fault;
use crate::reference::Field;
use crate::text;

const LENGTH: std::ops::RangeInclusive<usize> = 8..=64;

/// What `--detach` printed: the daemon's handle, and the field that was meant.
#[derive(Debug)]
pub struct Handle {
    /// The daemon's name for it.
    pub name: String,
    /// The field that was meant.
    pub field: Option<Field>,
}

impl Handle {
    /// Takes `h-..` or `h-..#FIELD`.
    pub fn parse(word: &str) -> Result<Self, Fault> {
        let (name, field) = word.split_once('#').map_or((word, None), |(name, field)| (name, Some(field)));
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
        if !name.starts_with("h-") || !LENGTH.contains(&name.len()) || !name.bytes().all(good) {
            let message = format!("'{}' is not a handle", text::cut(word, 80));
            return Err(Fault::usage(message, "give what --detach printed"));
        }
        Ok(Self { name: name.to_owned(), field: field.map(Field::parse).transpose()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_what_was_printed() {
        for good in ["h-AAAAAAAAAAAAAAAAAAAAAA", "h-AAAAAAAAAAAAAAAAAAAAAA#password"] {
            assert!(Handle::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "h-", "x-AAAAAAAAAAAAAAAA", "h-AAAAAAAA AAAA", "h-AAAAAAAAAAAA#", "sv://a", "h-AAAAAAAAAA\u{1b}"] {
            assert!(Handle::parse(bad).is_err(), "{bad}");
        }
    }
}
