//! `#FIELD`: one field of a value that is a JSON object or lines of `NAME=value`.
//!
//! The value is looked through where it lies and what is cut out goes into a buffer of its own; both are wiped. Nothing is
//! guessed: the whole value must be of one of the two forms, the field must stand in it once, at the top, and be a string, a
//! number or true/false. What is wrong is said by the reference alone, never by what the value holds.

use zeroize::Zeroizing;

use crate::ask::Delivered;
use crate::envfile::{self, check_name};
use crate::fault::Fault;
use crate::reference::{Path, Reference};

/// How deep objects and lists of a value may stand in one another.
const MAX_DEPTH: usize = 64;

/// What a reference stands for.
pub enum Content<'a> {
    /// The whole value.
    Whole(&'a [u8]),
    /// A field of it.
    Cut(Zeroizing<Vec<u8>>),
}

impl Content<'_> {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => bytes,
            Self::Cut(bytes) => bytes,
        }
    }
}

/// What each of `references` stands for, given the values of `paths`.
pub fn contents<'a>(references: &[Reference], paths: &[Path], values: &'a [Delivered]) -> Result<Vec<Content<'a>>, Fault> {
    references
        .iter()
        .map(|reference| {
            let value = paths.iter().position(|path| *path == reference.path).and_then(|index| values.get(index));
            let value = value.ok_or_else(|| Fault::untrusted("delivery", "a value is missing", "ask again"))?.value.bytes();
            let Some(field) = &reference.field else { return Ok(Content::Whole(value)) };
            cut(value, field.as_str()).map(Content::Cut).map_err(|wrong| wrong.fault(reference))
        })
        .collect()
}

/// Why there is no such field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Form,
    Missing,
    Twice,
    Kind,
}

impl Wrong {
    fn fault(self, reference: &Reference) -> Fault {
        let (what, remedy) = match self {
            Self::Form => (
                "the value is neither a JSON object nor lines of NAME=value, so it has no fields",
                "leave the #FIELD out, or seal the value anew",
            ),
            Self::Missing => ("the value has no such field", "look at the name: fields stand at the top, as they are written"),
            Self::Twice => ("the field stands twice in the value", "seal the value anew with one of them"),
            Self::Kind => ("the field is an object, a list or null, not a string, a number or true/false", "name another field"),
        };
        Fault::failed("field", format!("{reference}: {what}"), remedy)
    }
}

/// Cuts one field out of a value.
pub fn cut(value: &[u8], field: &str) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let text = std::str::from_utf8(value).map_err(|_| Wrong::Form)?;
    if text.trim_start().starts_with('{') { from_object(text, field) } else { from_lines(text, field) }
}

fn from_lines(text: &str, field: &str) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let mut found = None;
    let mut some = false;
    for (_, line) in envfile::lines(text) {
        let (name, value) = line.ok_or(Wrong::Form)?;
        check_name(name).map_err(|_| Wrong::Form)?;
        some = true;
        let value = envfile::unquoted(value).map_err(|_| Wrong::Form)?;
        if name == field && found.replace(Zeroizing::new(value.as_bytes().to_vec())).is_some() {
            return Err(Wrong::Twice);
        }
    }
    found.ok_or(if some { Wrong::Missing } else { Wrong::Form })
}

fn from_object(text: &str, field: &str) -> Result<Zeroizing<Vec<u8>>, Wrong> {
    let mut scan = Scan { text, at: 0 };
    let mut found = None;
    scan.space();
    scan.members(0, &mut |name, kind, written| {
        if *unescaped(name) == *field.as_bytes() && found.replace((kind, written)).is_some() {
            return Err(Wrong::Twice);
        }
        Ok(())
    })?;
    scan.space();
    if scan.at != text.len() {
        return Err(Wrong::Form);
    }
    match found {
        None => Err(Wrong::Missing),
        Some((Kind::Text, inside)) => Ok(unescaped(inside)),
        Some((Kind::Plain, written)) => Ok(Zeroizing::new(written.as_bytes().to_vec())),
        Some((Kind::Other, _)) => Err(Wrong::Kind),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    /// A number, true or false: as written.
    Plain,
    Other,
}

type Member<'a, 'f> = &'f mut dyn FnMut(&'a str, Kind, &'a str) -> Result<(), Wrong>;

/// Looks through JSON (RFC 8259) in place.
struct Scan<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scan<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Result<(), Wrong> {
        if self.peek() != Some(byte) {
            return Err(Wrong::Form);
        }
        self.at += 1;
        Ok(())
    }

    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// An object, from its brace on; `each` sees every member.
    fn members(&mut self, depth: usize, each: Member<'a, '_>) -> Result<(), Wrong> {
        self.take(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space();
            let name = self.string()?;
            self.space();
            self.take(b':')?;
            let (kind, written) = self.value(depth + 1)?;
            each(name, kind, written)?;
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                return self.take(b'}');
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<(Kind, &'a str), Wrong> {
        if depth > MAX_DEPTH {
            return Err(Wrong::Form);
        }
        self.space();
        let start = self.at;
        let kind = match self.peek() {
            Some(b'"') => return Ok((Kind::Text, self.string()?)),
            Some(b'{') => {
                self.members(depth, &mut |_, _, _| Ok(()))?;
                Kind::Other
            }
            Some(b'[') => {
                self.list(depth)?;
                Kind::Other
            }
            Some(b'-' | b'0'..=b'9') => {
                self.number()?;
                Kind::Plain
            }
            _ => {
                let word = ["true", "false", "null"]
                    .into_iter()
                    .find(|word| self.text.get(self.at..).is_some_and(|t| t.starts_with(word)));
                let word = word.ok_or(Wrong::Form)?;
                self.at += word.len();
                if word == "null" { Kind::Other } else { Kind::Plain }
            }
        };
        Ok((kind, self.since(start)))
    }

    fn list(&mut self, depth: usize) -> Result<(), Wrong> {
        self.take(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            self.space();
            if self.peek() == Some(b',') {
                self.at += 1;
            } else {
                return self.take(b']');
            }
        }
    }

    fn digits(&mut self) -> Result<usize, Wrong> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(self.at - start) } else { Err(Wrong::Form) }
    }

    fn number(&mut self) -> Result<(), Wrong> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && zero {
            return Err(Wrong::Form);
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// The inside of a string, its escapes looked at and left as they are.
    fn string(&mut self) -> Result<&'a str, Wrong> {
        self.take(b'"')?;
        let start = self.at;
        loop {
            match self.peek().ok_or(Wrong::Form)? {
                b'"' => {
                    let inside = self.since(start);
                    self.at += 1;
                    return Ok(inside);
                }
                b'\\' => self.escape()?,
                0..0x20 => return Err(Wrong::Form),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<(), Wrong> {
        let rest = self.text.get(self.at + 1..).ok_or(Wrong::Form)?;
        self.at += match rest.as_bytes().first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
            Some(b'u') => 1 + scalar(rest).ok_or(Wrong::Form)?.1,
            _ => return Err(Wrong::Form),
        };
        Ok(())
    }
}

/// The character of `uXXXX` or `uXXXX\uXXXX` at the start of `text`, and how many bytes that is. No lone surrogate.
fn scalar(text: &str) -> Option<(char, usize)> {
    let four = |at: usize| {
        let digits = text.get(at..at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
        u32::from_str_radix(digits, 16).ok()
    };
    let high = four(1)?;
    if !(0xD800..0xDC00).contains(&high) {
        return Some((char::from_u32(high)?, 5));
    }
    let low = four(7).filter(|low| text.get(5..7) == Some("\\u") && (0xDC00..0xE000).contains(low))?;
    Some((char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))?, 11))
}

/// The inside of a string that was looked at, as it is meant. Never longer, so that the buffer does not move.
fn unescaped(inside: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(inside.len()));
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(rest.get(..at).unwrap_or_default().as_bytes());
        rest = rest.get(at + 1..).unwrap_or_default();
        let (character, length) = match rest.chars().next() {
            Some('u') => scalar(rest).unwrap_or(('\u{fffd}', 1)),
            Some('b') => ('\u{8}', 1),
            Some('f') => ('\u{c}', 1),
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some(plain) => (plain, 1),
            None => break,
        };
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = rest.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(value: &str, name: &str) -> Result<String, Wrong> {
        cut(value.as_bytes(), name).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    #[test]
    fn a_json_object_has_fields() {
        let value = " {\"a\": \"x\\n\\u00e9\\ud83d\\ude00\\/\", \"b\":-1.50e+3,\"c\" : true,\"d\":null,\"e\":{\"a\":[1,{}]},\"f g\":\"\"}\n";
        assert_eq!(field(value, "a").as_deref(), Ok("x\né😀/"));
        assert_eq!(field(value, "b").as_deref(), Ok("-1.50e+3"));
        assert_eq!(field(value, "c").as_deref(), Ok("true"));
        for (name, wrong) in [("d", Wrong::Kind), ("e", Wrong::Kind), ("x", Wrong::Missing), ("f", Wrong::Missing)] {
            assert_eq!(field(value, name), Err(wrong), "{name}");
        }
        assert_eq!(field(r#"{"\u0061":"x"}"#, "a").as_deref(), Ok("x"));
        assert_eq!(field(r#"{"a":"x","\u0061":"y"}"#, "a"), Err(Wrong::Twice));
        assert_eq!(field("{}", "a"), Err(Wrong::Missing));
        assert_eq!(field("{\"a\":\"\"}", "a").as_deref(), Ok(""));
    }

    #[test]
    fn lines_have_fields() {
        let value = "# db\nexport HOST=db-1 # here\nPASSWORD='a # b'\nQUOTED=\"x\\ny\"\r\n";
        assert_eq!(field(value, "HOST").as_deref(), Ok("db-1"));
        assert_eq!(field(value, "PASSWORD").as_deref(), Ok("a # b"));
        assert_eq!(field(value, "QUOTED").as_deref(), Ok("x\ny"));
        assert_eq!(field(value, "host"), Err(Wrong::Missing));
        assert_eq!(field("A=1\nA=2", "A"), Err(Wrong::Twice));
    }

    #[test]
    fn what_is_neither_has_none() {
        for value in [
            "",
            "swordfish",
            "[1]",
            "\"a\"",
            "{",
            "{\"a\":1",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{\"a\":.5}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\" 1}",
            "{a:1}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\ud800\\u0041\"}",
            "{\"a\":\"\t\"}",
            "{\"a\":tru}",
            "{\"a\":1,}",
            "{\"a\":[1,]}",
            "{'a':1}",
            "A=1\nswordfish",
            "A B=1",
            "A='x",
            "# only a comment",
            "{\"a\":\"\\",
        ] {
            assert_eq!(field(value, "a"), Err(Wrong::Form), "{value}");
        }
        assert_eq!(cut(b"\xff=1", "a"), Err(Wrong::Form));
        let deep = format!("{{\"a\":1,\"b\":{}{}}}", "[".repeat(70), "]".repeat(70));
        assert_eq!(field(&deep, "a"), Err(Wrong::Form));
    }

    #[test]
    fn what_is_said_names_the_reference_and_nothing_of_the_value() {
        let reference = Reference::parse("sv://prod/db#password");
        for wrong in [Wrong::Form, Wrong::Missing, Wrong::Twice, Wrong::Kind] {
            let said = reference.as_ref().map(|reference| wrong.fault(reference).message).unwrap_or_default();
            assert!(said.starts_with("sv://prod/db#password: "), "{said}");
        }
    }
}
