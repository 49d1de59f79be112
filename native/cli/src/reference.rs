//! `sv://PATH`: a reference to a secret, safe to write down and to commit.
//!
//! A path is taken by the grammar of section 2 of docs/protocol.md or refused; nothing is normalised.

use crate::fault::Fault;

/// What every reference begins with.
pub const SCHEME: &str = "sv://";
const MAX_PATH: usize = 200;
/// How many distinct secrets one command may ask for.
pub const MAX_REFERENCES: usize = 100;

/// A secret's path, checked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Path(String);

impl Path {
    /// Takes `prod/db`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        // Section 2: [a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*, the whole string, at most 200 bytes.
        let first = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = text.len() <= MAX_PATH
            && text.split('/').all(|part| {
                part.bytes().next().is_some_and(first) && part.bytes().all(|b| first(b) || matches!(b, b'.' | b'_' | b'-'))
            });
        if good {
            return Ok(Self(text.to_owned()));
        }
        let remedy = "a path is like prod/db-primary: a-z 0-9 . _ - between single slashes, at most 200 bytes";
        Err(Fault::usage(format!("'{}' is not the path of a secret", crate::text::cut(text, 80)), remedy))
    }

    /// Takes `sv://prod/db`.
    pub fn reference(text: &str) -> Result<Self, Fault> {
        let Some(path) = text.strip_prefix(SCHEME) else {
            let remedy = "write the secret as sv://PATH, for example sv://prod/db-primary";
            return Err(Fault::usage(format!("'{}' is not a reference", crate::text::cut(text, 80)), remedy));
        };
        if path.contains('#') {
            let remedy = "seal the field as a secret of its own, or take the whole value apart after reading it";
            return Err(Fault::usage("references to a field (sv://PATH#FIELD) are not in this version", remedy));
        }
        Self::parse(path)
    }

    /// The path alone.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_the_whole_string() {
        for good in ["a", "prod/db", "0/1.x_y-z", &"a".repeat(200)] {
            assert!(Path::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "/", "a/", "/a", "a//b", "A", "a/.b", "-a", "a b", "a\n", "é", &"a".repeat(201), "a/../b", "~", "$(id)"]
        {
            assert!(Path::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn fields_are_refused_by_name() {
        assert!(Path::reference("sv://a#b").is_err_and(|f| f.message.contains("not in this version")));
    }
}
