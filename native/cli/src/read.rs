//! `read`: one value, raw, to standard output or into a new file.

use std::io::IsTerminal;

use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::args::Read;
use crate::ask::{self, Delivered};
use crate::fault::{Fault, Format, exit};
use crate::{forms, outfile, text};

/// Reads one value. It is complete before the first byte is written anywhere.
pub fn read(wanted: &Read, format: Format) -> Result<u8, Fault> {
    let terminal = std::io::stdout().is_terminal();
    if terminal && wanted.out_file.is_none() && !wanted.reveal {
        let remedy = format!("stillvault run --env NAME={} -- CMD .., or add --reveal", wanted.path);
        return Err(Fault::usage("standard output is a terminal: the value would stay on the screen", remedy));
    }
    // Refuse a bad place before a person is asked.
    if let Some(file) = &wanted.out_file {
        outfile::check(file, wanted.force)?;
    }
    let answer = ask::ask(std::slice::from_ref(&wanted.path), None, &wanted.question, format)?;
    let Some(delivered) = answer.values.into_iter().next() else {
        return Err(Fault::untrusted("delivery", "nothing was delivered", "ask again"));
    };
    let value = delivered.value.bytes();
    match (&wanted.out_file, format) {
        (Some(file), _) => {
            outfile::write(file, &[value], wanted.mode, wanted.force)?;
            report(&delivered, file, format)?;
        }
        (None, Format::Json) => text::output(&json(&delivered))?,
        (None, Format::Text) => {
            text::output(value)?;
            if terminal && !wanted.bare && !value.ends_with(b"\n") {
                text::output(b"\n")?;
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
            text::print(text::json(&Json::Object(facts)))
        }
    }
}

/// The value inside one JSON object, put together in a buffer that is wiped.
fn json(delivered: &Delivered) -> Zeroizing<Vec<u8>> {
    let value = delivered.value.bytes();
    let (encoding, shown) = match std::str::from_utf8(value) {
        Ok(text) => ("utf-8", forms::json_escaped(text, forms::Escapes::Few)),
        Err(_) => ("base64url", forms::base64(value, forms::URL)),
    };
    let mut facts = delivered.facts.clone();
    facts.insert("v".into(), 1.into());
    facts.insert("encoding".into(), encoding.into());
    let facts = Json::Object(facts).to_string();
    // Room for all of it, so that the buffer never moves and leaves a copy.
    let mut whole = Zeroizing::new(Vec::with_capacity(facts.len() + shown.len() + 32));
    whole.extend_from_slice(facts.trim_end_matches('}').as_bytes());
    whole.extend_from_slice(b",\"value\":\"");
    whole.extend_from_slice(&shown);
    whole.extend_from_slice(b"\"}\n");
    whole
}
