//! A JSON parser (RFC 8259) without recursion that outside data can drive: the depth is bounded before a level is entered.
//!
//! [`parse`] refuses what the restricted form of section 2 does not have, naming the rule. [`parse_foreign`] reads JSON that
//! other programs wrote (a browser's client data): null and any number are tolerated and lose their value, names are free, and
//! a name that stands twice is refused, because there is no second encoding to compare with.

use std::collections::BTreeMap;

use crate::error::{Code, Refusal, Result};
use crate::form::{MAX_INT, Value, deeper};
use crate::text;

/// Parses the restricted form; white space, order and escapes are left to the comparison in [`crate::encoding::decode`].
///
/// # Errors
/// `json`, `number`, `null`, `depth`, `char` or `field`.
pub fn parse(bytes: &[u8]) -> Result<Value> {
    run(bytes, false)
}

/// Parses JSON that others wrote.
///
/// # Errors
/// `json`, or `depth` below 16 levels.
pub fn parse_foreign(bytes: &[u8]) -> Result<Value> {
    run(bytes, true)
}

fn run(bytes: &[u8], foreign: bool) -> Result<Value> {
    let text = core::str::from_utf8(bytes).map_err(|_| Refusal::new(Code::Json, "not UTF-8"))?;
    let mut parser = Parser { text, at: 0, foreign };
    let value = parser.value(0)?;
    parser.space();
    if parser.at != text.len() {
        return Err(bad("more than one value"));
    }
    Ok(value)
}

fn bad(what: &str) -> Refusal {
    Refusal::new(Code::Json, what)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    foreign: bool,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, what: &str) -> Result<()> {
        if self.peek() != Some(byte) {
            return Err(bad(what));
        }
        self.at += 1;
        Ok(())
    }

    fn word(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    /// `depth` is the number of objects and arrays around this value.
    fn value(&mut self, depth: usize) -> Result<Value> {
        self.space();
        match self.peek() {
            Some(b'{') => self.object(deeper(depth)?),
            Some(b'[') => self.array(deeper(depth)?),
            Some(b'"') => Ok(Value::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ if self.word("true") => Ok(Value::Bool(true)),
            _ if self.word("false") => Ok(Value::Bool(false)),
            _ if self.word("null") => self.null(),
            _ if self.word("NaN") || self.word("Infinity") => Err(Refusal::new(Code::Number, "not an integer")),
            _ => Err(bad("no value")),
        }
    }

    fn null(&self) -> Result<Value> {
        if self.foreign { Ok(Value::Foreign) } else { Err(Refusal::new(Code::Null, "an absent field is left out")) }
    }

    fn object(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut fields = BTreeMap::new();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(fields));
        }
        loop {
            self.space();
            let name = self.string()?;
            if !self.foreign {
                text::check_field_name(&name)?;
            }
            self.space();
            self.take(b':', "no colon after a name")?;
            let value = self.value(depth)?;
            if fields.insert(name, value).is_some() && self.foreign {
                return Err(bad("a name stands twice"));
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::Object(fields));
                }
                _ => return Err(bad("an object does not end")),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::Array(items));
                }
                _ => return Err(bad("an array does not end")),
            }
        }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value> {
        let outside = || Refusal::new(Code::Number, "not an integer from 0 to 2^53-1");
        let negative = self.word("-");
        let start = self.at;
        if negative && self.word("Infinity") {
            return if self.foreign { Err(bad("no number")) } else { Err(outside()) };
        }
        match self.digits() {
            0 => return Err(bad("no digits")),
            1 => {}
            _ if self.text.as_bytes().get(start) == Some(&b'0') => return Err(bad("a leading zero")),
            _ => {}
        }
        let whole = self.text.get(start..self.at).unwrap_or("");
        let mut fraction = false;
        if self.word(".") {
            fraction = true;
            if self.digits() == 0 {
                return Err(bad("no digits after the point"));
            }
        }
        if self.word("e") || self.word("E") {
            fraction = true;
            if !self.word("+") {
                self.word("-");
            }
            if self.digits() == 0 {
                return Err(bad("no digits in the exponent"));
            }
        }
        match whole.parse::<u64>() {
            // Minus zero is an integer of the range; that it is not written `0` is for the comparison to say.
            Ok(n) if !fraction && n <= MAX_INT && (!negative || n == 0) => Ok(Value::Int(n)),
            _ if self.foreign => Ok(Value::Foreign),
            _ => Err(outside()),
        }
    }

    fn string(&mut self) -> Result<String> {
        self.take(b'"', "no string")?;
        let mut out = String::new();
        loop {
            let rest = self.rest();
            let plain = rest.find(['"', '\\']).ok_or_else(|| bad("a string does not end"))?;
            let run = rest.get(..plain).unwrap_or("");
            if run.bytes().any(|b| b < 0x20) {
                let code = if self.foreign { Code::Json } else { Code::Char };
                return Err(Refusal::new(code, "a raw control character"));
            }
            out.push_str(run);
            self.at += plain + 1;
            if rest.as_bytes().get(plain) == Some(&b'"') {
                break;
            }
            let c = self.escape()?;
            out.push(c);
        }
        if !self.foreign {
            text::check_visible(&out)?;
        }
        Ok(out)
    }

    fn escape(&mut self) -> Result<char> {
        let byte = self.peek().ok_or_else(|| bad("a string does not end"))?;
        self.at += 1;
        Ok(match byte {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return Err(bad("an unknown escape")),
        })
    }

    fn unicode(&mut self) -> Result<char> {
        let lone = || Refusal::new(Code::Char, "a lone surrogate");
        let high = self.hex4()?;
        let scalar = match high {
            0xD800..=0xDBFF => {
                if !self.word("\\u") {
                    return Err(lone());
                }
                let low = self.hex4()?;
                if !(0xDC00..=0xDFFF).contains(&low) {
                    return Err(lone());
                }
                0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            }
            other => other,
        };
        char::from_u32(scalar).ok_or_else(lone)
    }

    fn hex4(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let digits = digits.ok_or_else(|| bad("an escape without four hexadecimal digits"))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).map_err(|_| bad("an escape without four hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        parse(text.as_bytes()).err().map(|r| r.code)
    }

    #[test]
    fn each_rule_has_its_code() {
        for (text, expected) in [
            ("null", Code::Null),
            ("nulL", Code::Json),
            ("NaN", Code::Number),
            ("-Infinity", Code::Number),
            ("-1", Code::Number),
            ("1e3", Code::Number),
            ("9007199254740992", Code::Number),
            ("01", Code::Json),
            ("-", Code::Json),
            ("1.", Code::Json),
            ("\"\\ud800\"", Code::Char),
            ("\"\\ud800\\u0041\"", Code::Char),
            ("\"\\ude00\"", Code::Char),
            ("\"\u{1}\"", Code::Char),
            ("\"\\u00e\"", Code::Json),
            ("{\"a\":1,}", Code::Json),
            ("[1,]", Code::Json),
            ("{\"\":1}", Code::Field),
            ("{\"A\":1}", Code::Field),
            ("1 2", Code::Json),
            ("", Code::Json),
        ] {
            assert_eq!(code(text), Some(expected), "{text}");
        }
        assert_eq!(parse(b"-0"), Ok(Value::Int(0)));
        assert_eq!(parse(br#""\ud83d\ude00""#), Ok(Value::text("\u{1f600}")));
    }

    #[test]
    fn foreign_tolerates_all_but_doubles() {
        assert!(parse_foreign(br#"{"tokenBinding":null,"n":-1.5e3,"A b":"\u202e"}"#).is_ok());
        assert_eq!(parse_foreign(br#"{"a":1,"a":1}"#).err().map(|r| r.code), Some(Code::Json));
    }
}
