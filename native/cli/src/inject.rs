//! `inject`: a file from a template, with values where the references stood.

use serde_json::Value as Json;

use crate::command::Inject;
use crate::fault::{Fault, Format, exit};
use crate::later::Fetch;
use crate::template::{self, Part};
use crate::{ask, field, infile, later, listing, out, outfile, reference, text};

/// Writes the file. One question for all references; the file appears whole or not at all.
pub fn inject(wanted: &Inject, format: Format) -> Result<u8, Fault> {
    let source = infile::input(&wanted.template)?;
    let template = template::parse(&source)?;
    outfile::check(&wanted.output, wanted.force)?;
    if wanted.dry_run {
        return listing::dry_run(&template.references, None, format);
    }
    if template.references.is_empty() {
        let message = format!("{} holds no reference", wanted.template.display());
        return Err(Fault::usage(message, "write {{ sv://PATH }} where a value belongs"));
    }
    let paths = reference::paths(&template.references);
    if wanted.detach {
        return later::detach(&paths, None, &wanted.question, &Fetch::Verb("inject"), format);
    }
    let answer = match &wanted.handle {
        Some(handle) => later::take(handle, Some(&paths), wanted.question.wait, format)?,
        None => ask::ask(paths, None, &wanted.question, format)?,
    };
    let contents = field::contents(&template.references, &answer.paths, &answer.values)?;
    let pieces = template.parts.iter().map(|part| match part {
        Part::Text(text) => *text,
        Part::Value(index) => contents.get(*index).map_or(&[][..], field::Content::bytes),
    });
    let pieces: Vec<&[u8]> = pieces.collect();
    outfile::write(&wanted.output, &pieces, wanted.mode, wanted.force)?;
    let file = wanted.output.to_string_lossy();
    match format {
        Format::Text => text::note(&format!("{} written, {} secrets\n", text::screen(&file), answer.paths.len())),
        Format::Json => {
            let paths: Json = answer.paths.iter().map(crate::reference::Path::as_str).collect();
            out::print(text::json(&serde_json::json!({"v": 1, "file": file, "paths": paths})))?;
        }
    }
    Ok(exit::OK)
}
