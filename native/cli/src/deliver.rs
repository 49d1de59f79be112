//! Where one value goes: to standard output, or into a new file.

use std::io::IsTerminal;

use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::ask::{Answer, Delivered};
use crate::command::Output;
use crate::fault::{Fault, Format, exit};
use crate::reference::{Field, Reference};
use crate::{field, forms, out, outfile, text};

/// Permissions of a new file, where none are given.
const MODE: u32 = 0o600;

/// Refuses a bad place before a person is asked.
pub fn check(output: &Output, instead: &str) -> Result<(), Fault> {
    if std::io::stdout().is_terminal() && output.out_file.is_none() && !output.reveal {
        let remedy = format!("stillvault {instead} CMD .., or add --reveal");
        return Err(Fault::usage("standard output is a terminal: the value would stay on the screen", remedy));
    }
    output.out_file.as_ref().map_or(Ok(()), |file| outfile::check(file, output.force))
}

/// Writes the one value of an answer, or a field of it, to where it goes.
pub fn deliver(answer: &Answer, field: Option<&Field>, output: &Output, format: Format) -> Result<u8, Fault> {
    let Some(path) = answer.paths.first().cloned() else {
        return Err(Fault::untrusted("delivery", "nothing was delivered", "ask again"));
    };
    let reference = [Reference { path, field: field.cloned() }];
    let mut contents = field::contents(&reference, &answer.paths, &answer.values)?;
    let (Some(content), Some(delivered)) = (contents.pop(), answer.values.first()) else {
        return Err(Fault::untrusted("delivery", "nothing was delivered", "ask again"));
    };
    let value = content.bytes();
    match (&output.out_file, format) {
        (Some(file), _) => {
            outfile::write(file, &[value], output.mode.unwrap_or(MODE), output.force)?;
            report(delivered, file, format)?;
        }
        (None, Format::Json) => out::write(&json(delivered, field, value))?,
        (None, Format::Text) => {
            out::write(value)?;
            if std::io::stdout().is_terminal() && !output.bare && !value.ends_with(b"\n") {
                out::write(b"\n")?;
            }
        }
    }
    Ok(exit::OK)
}

fn report(delivered: &Delivered, file: &std::path::Path, format: Format) -> Result<(), Fault> {
    match format {
        Format::Text => {
            let path = delivered.facts.get("path").and_then(Json::as_str).unwrap_or_default();
            text::note(&format!("{path} is in {}\n", text::screen(&file.to_string_lossy())));
            Ok(())
        }
        Format::Json => {
            let mut facts = delivered.facts.clone();
            facts.insert("v".into(), 1.into());
            facts.insert("file".into(), file.to_string_lossy().into());
            out::print(text::json(&Json::Object(facts)))
        }
    }
}

/// The value inside one JSON object, put together in a buffer that is wiped.
fn json(delivered: &Delivered, field: Option<&Field>, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let (encoding, shown) = match std::str::from_utf8(value) {
        Ok(text) => ("utf-8", forms::json_escaped(text, forms::Escapes::Few)),
        Err(_) => ("base64url", forms::base64(value, forms::URL)),
    };
    let mut facts = delivered.facts.clone();
    facts.insert("v".into(), 1.into());
    facts.insert("encoding".into(), encoding.into());
    if let Some(field) = field {
        facts.insert("field".into(), field.as_str().into());
    }
    let facts = Json::Object(facts).to_string();
    // Room for all of it, so that the buffer never moves and leaves a copy.
    let mut whole = Zeroizing::new(Vec::with_capacity(facts.len() + shown.len() + 32));
    whole.extend_from_slice(facts.trim_end_matches('}').as_bytes());
    whole.extend_from_slice(b",\"value\":\"");
    whole.extend_from_slice(&shown);
    whole.extend_from_slice(b"\"}\n");
    whole
}
