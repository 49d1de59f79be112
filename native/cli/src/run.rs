//! `run`: a command with values in its environment, all asked for at once.
//!
//! Everything that can be refused without a person is refused before one is asked: names, references, files, the command itself.

use crate::command::Run;
use crate::fault::{Fault, Format, exit};
use crate::later::Fetch;
use crate::mask::{Patterns, SHORTEST};
use crate::{ask, child, environment, field, later, listing, reference, text, value};

/// Runs the command and gives its exit status.
pub fn run(wanted: &Run, format: Format) -> Result<u8, Fault> {
    let plan = environment::Plan::collect(wanted, std::env::vars_os())?.prune();
    let program = wanted.command.first().cloned().unwrap_or_default();
    let file = child::find(&program, plan.plain("PATH"))?;
    if wanted.dry_run {
        return listing::dry_run(&plan.references, Some(&plan), format);
    }
    let paths = reference::paths(&plan.references);
    if wanted.detach {
        return match paths.as_slice() {
            [] => Err(Fault::usage(
                "there is no reference in the environment, so there is nothing to ask for",
                "see stillvault help run",
            )),
            some => later::detach(some, Some(&wanted.command), &wanted.question, &Fetch::Verb("run"), format),
        };
    }
    if paths.is_empty() {
        text::note("stillvault: no reference in the environment, so nobody is asked\n");
        let environment = plan.fill(&[])?;
        return Err(child::become_it(&file, &wanted.command, &environment));
    }
    let answer = match &wanted.handle {
        Some(handle) => later::take(handle, Some(&paths), wanted.question.wait, format)?,
        None => ask::ask(paths, Some(&wanted.command), &wanted.question, format)?,
    };
    let after = |fault: Fault| fault.with_exit(exit::TOOL_FAILED);
    let contents = field::contents(&plan.references, &answer.paths, &answer.values).map_err(after)?;
    // A field is looked for in the output, and so is the value that it was cut from.
    let whole = answer.values.iter().map(|delivered| delivered.value.bytes());
    let patterns = Patterns::new(whole.chain(contents.iter().map(field::Content::bytes)));
    let short = contents.iter().filter(|content| content.bytes().len() < SHORTEST).count();
    if short > 0 && !wanted.no_masking {
        text::note(&format!("stillvault: {short} of the values are shorter than {SHORTEST} bytes and are not masked\n"));
    }
    let environment = plan.fill(&contents)?;
    // The values live on in the environment of the child and in the patterns.
    drop(contents);
    drop(answer.values);
    answer.core_files.restore().map_err(after)?;
    if wanted.no_masking {
        answer.signals.release().map_err(after)?;
        return Err(child::become_it(&file, &wanted.command, &environment));
    }
    value::keep_out_of_swap();
    child::run_masked(&file, &wanted.command, environment, patterns, &answer.signals)
}
