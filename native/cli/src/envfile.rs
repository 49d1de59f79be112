//! `.env` files: `NAME=value` a line. A small, strict grammar; what is not understood is refused with its line.
//!
//! * Blank lines and lines that begin with `#` are skipped; `export ` before a name is allowed.
//! * A bare value runs to the end of the line, without blanks at either end; ` #` begins a comment.
//! * `'..'` is literal; in `".."` stand `\n`, `\r`, `\t`, `\"`, `\\` and `\$`. Neither spans lines.
//! * Nothing is expanded: `$NAME` and backquotes mean themselves.
//!
//! The same grammar is that of a sealed value with fields ([`crate::field`]), so what is unquoted is wiped when dropped.

use zeroize::Zeroizing;

use crate::fault::Fault;

/// The assignments of a file, in order.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, Fault> {
    let mut assignments = Vec::new();
    for (number, line) in lines(text) {
        let refused = |why: &str| Fault::usage(format!("line {number}: {why}"), "write NAME=value or NAME=sv://PATH");
        let (name, value) = line.ok_or_else(|| refused("there is no ="))?;
        check_name(name).map_err(|fault| refused(&fault.message))?;
        assignments.push((name.to_owned(), unquoted(value).map_err(refused)?.to_string()));
    }
    Ok(assignments)
}

/// Each line that says something, with its number: name and value as written, or `None` where there is no `=`.
pub fn lines(text: &str) -> impl Iterator<Item = (usize, Option<(&str, &str)>)> {
    let said = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    said.map(|(number, line)| {
        let line = line.strip_prefix("export ").map_or(line, str::trim_start);
        (number + 1, line.split_once('=').map(|(name, value)| (name, value.trim_start())))
    })
}

/// The value of a line, as it is meant. Never longer than it was written, so that the buffer does not move.
pub fn unquoted(value: &str) -> Result<Zeroizing<String>, &'static str> {
    let mut text = Zeroizing::new(String::with_capacity(value.len()));
    let mut characters = value.chars();
    let Some(quote @ ('\'' | '"')) = characters.next() else {
        let before = |at: usize| value.get(..at).unwrap_or_default();
        let starts = |&(at, c): &(usize, char)| c == '#' && (at == 0 || before(at).ends_with([' ', '\t']));
        let bare = value.char_indices().find(starts).map_or(value, |(at, _)| before(at));
        text.push_str(bare.trim_end());
        return Ok(text);
    };
    while let Some(character) = characters.next() {
        match character {
            end if end == quote => {
                let rest = characters.as_str().trim_start();
                return if rest.is_empty() || rest.starts_with('#') {
                    Ok(text)
                } else {
                    Err("something follows the closing quote")
                };
            }
            '\\' if quote == '"' => text.push(match characters.next() {
                Some('n') => '\n',
                Some('r') => '\r',
                Some('t') => '\t',
                Some(plain @ ('"' | '\\' | '$')) => plain,
                _ => return Err("an unknown escape after \\"),
            }),
            other => text.push(other),
        }
    }
    Err("a quote is not closed")
}

/// Takes a name that a shell could set.
pub fn check_name(name: &str) -> Result<(), Fault> {
    let first = |b: u8| b.is_ascii_alphabetic() || b == b'_';
    if name.bytes().next().is_some_and(first) && name.bytes().all(|b| first(b) || b.is_ascii_digit()) {
        return Ok(());
    }
    let message = format!("'{}' is not the name of a variable", crate::text::cut(name, 40));
    Err(Fault::usage(message, "a name is like DB_PASSWORD: letters, digits and _, no digit first"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str) -> Result<String, String> {
        let mut parsed = parse(line).map_err(|fault| fault.message)?;
        parsed.pop().map(|(_, value)| value).ok_or_else(|| "nothing".to_owned())
    }

    #[test]
    fn values_are_taken_as_written() {
        for (line, value) in [
            ("A=b", "b"),
            ("export A=b", "b"),
            ("A= b c ", "b c"),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", ""),
            ("A=", ""),
            ("A='b # c' # d", "b # c"),
            (r#"A="b\n\"c\$\\""#, "b\n\"c$\\"),
            ("A=$B`c`", "$B`c`"),
            ("A=sv://x/y", "sv://x/y"),
            ("A=é", "é"),
        ] {
            assert_eq!(one(line).as_deref(), Ok(value), "{line}");
        }
        assert_eq!(parse("# a\n\n  \r\nA=1\r\n").map(|all| all.len()).ok(), Some(1));
    }

    #[test]
    fn what_is_not_understood_is_named_with_its_line() {
        for (text, why) in [
            ("\nA", "line 2: there is no ="),
            ("A B=c", "line 1: 'A B' is not the name"),
            ("1A=c", "is not the name"),
            ("A='b", "a quote is not closed"),
            ("A=\"b\" c", "something follows"),
            ("A=\"\\x\"", "unknown escape"),
        ] {
            assert!(parse(text).is_err_and(|fault| fault.message.contains(why)), "{text}");
        }
    }
}
