//! Templates for `inject`: bytes, with `{{ sv://PATH }}` or `{{ sv://PATH#FIELD }}` where a value belongs.
//!
//! Only a pair of braces whose first word begins `sv://` is ours; all other braces stay. What was put in is not looked at again.

use crate::fault::Fault;
use crate::reference::{Reference, SCHEME};

/// One stretch of a template.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Stays as it is.
    Text(&'a [u8]),
    /// Is replaced by what the reference at this position stands for.
    Value(usize),
}

/// A template taken apart.
#[derive(Debug)]
pub struct Template<'a> {
    /// In order.
    pub parts: Vec<Part<'a>>,
    /// The distinct references, in order of appearance.
    pub references: Vec<Reference>,
}

/// Takes a template apart. A reference that is not well-formed is refused with its line.
pub fn parse(template: &[u8]) -> Result<Template<'_>, Fault> {
    let mut whole = Template { parts: Vec::new(), references: Vec::new() };
    let (mut begin, mut at) = (0, 0);
    while let Some(open) = find(template, at, b"{{") {
        let inside = template.get(open + 2..).unwrap_or_default();
        let blank = inside.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        if !inside.get(blank..).is_some_and(|rest| rest.starts_with(SCHEME.as_bytes())) {
            at = open + 1;
            continue;
        }
        let line = template.get(..open).unwrap_or_default().split(|byte| *byte == b'\n').count();
        let refused = |why: &str| Fault::usage(format!("the template's line {line}: {why}"), "write {{ sv://PATH }}");
        let close = find(template, open, b"}}").ok_or_else(|| refused("a reference is not closed"))?;
        let text = template.get(open + 2..close).and_then(|inside| std::str::from_utf8(inside).ok());
        let text = text.ok_or_else(|| refused("a reference is not text"))?.trim_matches([' ', '\t']);
        let reference = Reference::parse(text).map_err(|fault| refused(&fault.message))?;
        let index = whole.references.iter().position(|known| *known == reference).unwrap_or_else(|| {
            whole.references.push(reference);
            whole.references.len() - 1
        });
        whole.parts.push(Part::Text(template.get(begin..open).unwrap_or_default()));
        whole.parts.push(Part::Value(index));
        (begin, at) = (close + 2, close + 2);
    }
    whole.parts.push(Part::Text(template.get(begin..).unwrap_or_default()));
    Ok(whole)
}

fn find(bytes: &[u8], from: usize, wanted: &[u8]) -> Option<usize> {
    let found = bytes.get(from..)?.windows(wanted.len()).position(|window| window == wanted)?;
    Some(from + found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, String> {
        let parsed = parse(template.as_bytes()).map_err(|fault| fault.message)?;
        let shown = parsed.parts.iter().map(|part| match part {
            Part::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Part::Value(index) => format!("<{}>", parsed.references.get(*index).map_or("?".into(), Reference::to_string)),
        });
        Ok(shown.collect())
    }

    #[test]
    fn references_are_found() {
        assert_eq!(filled("a {{ sv://x }} b {{sv://y/z#f}}{{ sv://x }}").as_deref(), Ok("a <sv://x> b <sv://y/z#f><sv://x>"));
    }

    #[test]
    fn other_braces_stay() {
        for text in ["", "{{ .Values.x }}", "{ {sv://x} }", "{{", "}}", "{{{", "{{\nsv://x }}", "sv://x"] {
            assert_eq!(filled(text).as_deref(), Ok(text));
        }
        assert_eq!(filled("{{{ sv://x }}}").as_deref(), Ok("{<sv://x>}"));
    }

    #[test]
    fn a_bad_reference_is_named_with_its_line() {
        for (text, why) in [
            ("\n{{ sv://x", "line 2: a reference is not closed"),
            ("{{ sv:// }}", "line 1: '' is not the path"),
            ("{{ sv://x y }}", "line 1: 'x y' is not the path"),
            ("{{ sv://x | b64 }}", "is not the path"),
            ("{{ sv://x# }}", "not the name of a field"),
        ] {
            assert!(filled(text).is_err_and(|message| message.contains(why)), "{text}");
        }
    }

    #[test]
    fn each_reference_stands_once() {
        let count = parse(b"{{ sv://x }}{{ sv://y }}{{ sv://x }}").map(|parsed| parsed.references.len());
        assert_eq!(count.ok(), Some(2));
    }
}
