//! `run`: a command with values in its environment, all asked for at once.
//!
//! Everything that can be refused without a person is refused before one is asked: names, references, files, the command itself.

use crate::args::Run;
use crate::fault::{Fault, Format, exit};
use crate::mask::{Patterns, SHORTEST};
use crate::{ask, child, environment, listing, text, value};

/// Runs the command and gives its exit status.
pub fn run(wanted: &Run, format: Format) -> Result<u8, Fault> {
    let plan = environment::Plan::collect(wanted, std::env::vars_os())?.prune();
    let program = wanted.command.first().cloned().unwrap_or_default();
    let file = child::find(&program, plan.plain("PATH"))?;
    if wanted.dry_run {
        return listing::dry_run(&plan.paths, Some(&plan), format);
    }
    if plan.paths.is_empty() {
        text::note("stillvault: no reference in the environment, so nobody is asked\n");
        let environment = plan.fill(&[])?;
        return Err(child::become_it(&file, &wanted.command, &environment));
    }
    let answer = ask::ask(&plan.paths, Some(&wanted.command), &wanted.question, format)?;
    let after = |fault: Fault| fault.with_exit(exit::TOOL_FAILED);
    let patterns = Patterns::new(answer.values.iter().map(|delivered| delivered.value.bytes()));
    let short = answer.values.iter().filter(|delivered| delivered.value.bytes().len() < SHORTEST).count();
    if short > 0 && !wanted.no_masking {
        text::note(&format!("stillvault: {short} of the values are shorter than {SHORTEST} bytes and are not masked\n"));
    }
    let environment = plan.fill(&answer.values)?;
    // The values live on in the environment of the child and in the patterns.
    drop(answer.values);
    answer.core_files.restore().map_err(after)?;
    if wanted.no_masking {
        answer.signals.release().map_err(after)?;
        return Err(child::become_it(&file, &wanted.command, &environment));
    }
    value::keep_out_of_swap();
    child::run_masked(&file, &wanted.command, environment, patterns, &answer.signals)
}
