//! Paths and patterns (section 2): refused or taken as they are, never normalised.
//!
//! A path is `[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*`, at most 200 bytes. A pattern is an exact path, `prefix/**`, which
//! does not match `prefix` itself, or `**`. One pattern wins over another by [`rank`]: exact, then the longer prefix, then `**`.

use crate::error::{Code, Refusal, Result};

/// Bytes of a path.
pub const MAX_PATH: usize = 200;

/// One segment of a path, and the form of an id without its length.
pub(crate) fn is_segment(text: &str) -> bool {
    let mut bytes = text.bytes();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.next().is_some_and(plain) && bytes.all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'))
}

/// Refuses what is not a path.
///
/// # Errors
/// `path`.
pub fn check_path(path: &str) -> Result<()> {
    if path.len() <= MAX_PATH && path.split('/').all(is_segment) {
        return Ok(());
    }
    Err(Refusal::new(Code::Path, "a path is segments of [a-z0-9][a-z0-9._-]* joined by '/', at most 200 bytes"))
}

/// Refuses what is not a pattern.
///
/// # Errors
/// `path`.
pub fn check_pattern(pattern: &str) -> Result<()> {
    if pattern == "**" {
        return Ok(());
    }
    check_path(pattern.strip_suffix("/**").unwrap_or(pattern))
        .map_err(|_| Refusal::new(Code::Path, "a pattern is a path, a path and '/**', or '**'"))
}

/// Whether `pattern` covers `path`. Both must have been checked.
#[must_use]
pub fn matches(pattern: &str, path: &str) -> bool {
    rank(pattern, path).is_some()
}

/// How closely `pattern` covers `path`: greater is closer, `None` is not at all. Two different patterns that cover one path never
/// have the same rank.
#[must_use]
pub fn rank(pattern: &str, path: &str) -> Option<usize> {
    if pattern == "**" {
        return Some(0);
    }
    if let Some(prefix) = pattern.strip_suffix("/**") {
        let below = path.strip_prefix(prefix).is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'));
        return below.then_some(prefix.len());
    }
    (pattern == path).then_some(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_not_itself_and_not_a_sibling() {
        assert!(matches("prod/**", "prod/a/b"));
        for path in ["prod", "production", "production/db", "a/prod/b"] {
            assert!(!matches("prod/**", path), "{path}");
        }
        assert!(rank("a/b", "a/b") > rank("a/**", "a/b"));
        assert!(rank("a/b/**", "a/b/c") > rank("a/**", "a/b/c"));
        assert!(rank("a/**", "a/b") > rank("**", "a/b"));
    }

    #[test]
    fn grammar() {
        for bad in ["", "/a", "a/", "a//b", "A", ".a", "-a", "_a", "a/.", "a/..", "a b", "a\n", "a\0", "ä", "a/**", "**"] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "*", "/**", "***", "a/*", "a**", "**/a", "a/**/b", "a/**/**", "**/**"] {
            assert!(check_pattern(bad).is_err(), "{bad:?}");
        }
        assert!(check_path(&"a".repeat(200)).is_ok());
        assert!(check_path(&"a".repeat(201)).is_err());
    }
}
