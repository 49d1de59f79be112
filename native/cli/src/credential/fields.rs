//! A value with parts: a JSON object, or lines of `NAME=value`. What is neither stands for itself.

use serde_json::{Map, Value as Json};
use zeroize::{Zeroize, Zeroizing};

use crate::envfile;

/// The named parts of a value. Wiped when dropped.
pub struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Takes a value apart; empty where it has no parts.
    pub fn of(value: &[u8]) -> Self {
        let Ok(text) = std::str::from_utf8(value) else { return Self(Vec::new()) };
        match serde_json::from_str::<Map<String, Json>>(text) {
            Ok(object) => Self(object.into_iter().filter_map(|(name, part)| Some((plain(&name), shown(part)?))).collect()),
            Err(_) => Self(lines(text)),
        }
    }

    /// The part that has one of these names: letters and digits count, their case and `_`, `-` do not.
    pub fn take(&self, names: &[&str]) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, part)| part.as_str())
    }
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

fn shown(part: Json) -> Option<Zeroizing<String>> {
    match part {
        Json::String(text) => Some(Zeroizing::new(text)),
        Json::Number(number) => Some(Zeroizing::new(number.to_string())),
        Json::Bool(flag) => Some(Zeroizing::new(flag.to_string())),
        Json::Array(mut parts) => {
            parts.drain(..).for_each(|part| drop(shown(part)));
            None
        }
        Json::Object(parts) => {
            parts.into_iter().for_each(|(_, part)| drop(shown(part)));
            None
        }
        Json::Null => None,
    }
}

fn lines(text: &str) -> Vec<(String, Zeroizing<String>)> {
    let parsed = envfile::parse(text).unwrap_or_default();
    parsed
        .into_iter()
        .map(|(mut name, part)| {
            let field = (plain(&name), Zeroizing::new(part));
            name.zeroize();
            field
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_json_and_in_lines() {
        for value in [&br#"{"User_Name":"a","PASSWORD":"b\"\n"}"#[..], b"user-name=x\nUSER_NAME=a\nPassword=b"] {
            let fields = Fields::of(value);
            assert!(fields.take(&["password"]).is_some());
        }
        assert_eq!(Fields::of(br#"{"n":1,"t":true,"o":{"p":"q"},"z":null}"#).take(&["n"]), Some("1"));
        assert_eq!(Fields::of(br#"{"o":{"p":"q"}}"#).take(&["o"]), None);
    }

    #[test]
    fn anything_else_has_no_parts() {
        for value in [&b"a password"[..], b"\xff=a", b"", b"[1]", b"{\"a\":", b"a b=c"] {
            assert_eq!(Fields::of(value).0.len(), 0);
        }
    }
}
