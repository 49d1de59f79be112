//! `sv://PATH` and `sv://PATH#FIELD`: a reference to a secret or to one field of it, safe to write down and to commit.
//!
//! A path is taken by the grammar of section 2 of docs/protocol.md or refused; nothing is normalised. A field is what
//! [`crate::field`] cuts out of the value, here, after the release: people are asked for the whole secret.

use crate::fault::Fault;

/// What every reference begins with.
pub const SCHEME: &str = "sv://";
const MAX_PATH: usize = 200;
/// The longest name of a field, in bytes.
const MAX_FIELD: usize = 100;
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

/// The name of a field, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field(String);

impl Field {
    /// Takes `password`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if (1..=MAX_FIELD).contains(&text.len()) && text.bytes().all(good) {
            return Ok(Self(text.to_owned()));
        }
        let remedy = "a field is like password or DB_HOST: letters, digits, . _ -, at most 100 bytes";
        Err(Fault::usage(format!("'{}' is not the name of a field", crate::text::cut(text, 80)), remedy))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A secret, or one field of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Which secret.
    pub path: Path,
    /// Which part of its value; the whole where there is none.
    pub field: Option<Field>,
}

impl Reference {
    /// Takes `sv://prod/db` or `sv://prod/db#password`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let Some(rest) = text.strip_prefix(SCHEME) else {
            let remedy = "write the secret as sv://PATH, for example sv://prod/db-primary";
            return Err(Fault::usage(format!("'{}' is not a reference", crate::text::cut(text, 80)), remedy));
        };
        let (path, field) = rest.split_once('#').map_or((rest, None), |(path, field)| (path, Some(field)));
        Ok(Self { path: Path::parse(path)?, field: field.map(Field::parse).transpose()? })
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(f)?;
        self.field.as_ref().map_or(Ok(()), |field| write!(f, "#{}", field.0))
    }
}

/// The distinct secrets that references need, in order of appearance.
pub fn paths(references: &[Reference]) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    for reference in references {
        if !paths.contains(&reference.path) {
            paths.push(reference.path.clone());
        }
    }
    paths
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
    fn a_field_follows_a_hash() {
        for good in ["sv://a", "sv://a/b#c", "sv://a#DB_HOST", "sv://a#x.y-z", &format!("sv://a#{}", "f".repeat(100))] {
            assert_eq!(Reference::parse(good).map(|r| r.to_string()).as_deref(), Ok(good));
        }
        for bad in ["sv://a#", "sv://#b", "sv://a#b#c", "sv://a#b c", "sv://a#é", "a#b", &format!("sv://a#{}", "f".repeat(101))]
        {
            assert!(Reference::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn each_secret_once() {
        let all = ["sv://a#b", "sv://c", "sv://a#d"].map(Reference::parse);
        let all: Result<Vec<_>, _> = all.into_iter().collect();
        assert_eq!(
            all.map(|all| paths(&all).iter().map(Path::to_string).collect::<Vec<_>>()).ok(),
            Some(vec!["sv://a".to_owned(), "sv://c".to_owned()])
        );
    }
}
