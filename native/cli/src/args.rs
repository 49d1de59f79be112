//! The command line: which verb, with what. Every flag of these verbs stands here, in [`crate::line`] and in [`crate::help`].
//!
//! A verb that is not ours goes to the rest of the command line with its arguments untouched, before anything else is judged.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::command::{Inject, Output, Read, Run, Wait};
use crate::fault::{Fault, Format};
use crate::handle::Handle;
use crate::help;
use crate::line::{Line, Token};
use crate::question::Question;
use crate::reference::{Path, Reference};

/// What to do.
pub enum Verb {
    /// One value, raw.
    Read(Read),
    /// The same, of a handle.
    Wait(Wait),
    /// A command with values in its environment.
    Run(Run),
    /// A file from a template.
    Inject(Inject),
    /// An answer in the protocol of another program.
    Credential(Box<crate::credential::Helper>),
    /// The live leases.
    Leases,
    /// End leases: all of them, or those of one secret.
    Purge(Option<Path>),
    /// Who the daemon takes the caller for.
    Whoami,
    /// A text to print.
    Help(&'static str),
    /// Not ours: the arguments for `stillvault-python`.
    Python(Vec<OsString>),
}

/// A command line that was understood.
pub struct Parsed {
    /// How to write.
    pub format: Format,
    /// What to do.
    pub verb: Verb,
}

impl Output {
    const fn new() -> Self {
        Self { bare: false, out_file: None, mode: None, force: false, reveal: false }
    }

    /// Takes a flag of these. False when it is none.
    fn flag(&mut self, flag: &str, line: &mut Line) -> Result<bool, Fault> {
        match flag {
            "-n" => self.bare = true,
            "--out-file" => self.out_file = Some(PathBuf::from(line.value()?)),
            "--mode" => self.mode = Some(line.mode()?),
            "--force" => self.force = true,
            "--reveal" => self.reveal = true,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn is_given(&self) -> bool {
        self.bare || self.out_file.is_some() || self.mode.is_some() || self.force || self.reveal
    }

    fn check(&self, verb: &str) -> Result<(), Fault> {
        if self.out_file.is_none() && (self.force || self.mode.is_some()) {
            return Err(Fault::usage("--mode and --force go with --out-file", format!("see stillvault help {verb}")));
        }
        Ok(())
    }
}

fn format_from_environment() -> Format {
    if std::env::var_os("STILLVAULT_FORMAT").is_some_and(|f| f == "json") { Format::Json } else { Format::Text }
}

/// The format for a failure, also where the flag stands behind what was not understood.
fn format_wanted(arguments: &[OsString], seen: Format) -> Format {
    let own = arguments.split(|word| word == "--").next().unwrap_or_default();
    let split = own.windows(2).any(|pair| matches!(pair, [flag, value] if flag == "--format" && value == "json"));
    if split || own.iter().any(|word| word == "--format=json") { Format::Json } else { seen }
}

/// Reads the command line. A failure comes with the format that was asked for.
pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Parsed, (Format, Fault)> {
    let arguments: Vec<OsString> = arguments.skip(1).collect();
    // Shell completion belongs to the rest of the command line, which knows every verb.
    if std::env::var_os("_STILLVAULT_COMPLETE").is_some() {
        return Ok(Parsed { format: Format::Text, verb: Verb::Python(arguments) });
    }
    let mut line = Line::new(arguments.clone(), format_from_environment());
    match verb(&mut line, &arguments) {
        Ok(verb) => Ok(Parsed { format: line.format, verb }),
        Err(fault) => Err((format_wanted(&arguments, line.format), fault)),
    }
}

fn verb(line: &mut Line, arguments: &[OsString]) -> Result<Verb, Fault> {
    loop {
        match line.next()? {
            None => return Ok(Verb::Help(help::MAIN)),
            Some(Token::Flag(flag)) => match flag.as_str() {
                "-V" | "--version" => return Ok(Verb::Help(help::VERSION)),
                "-h" | "--help" => return Ok(Verb::Help(help::MAIN)),
                flag => {
                    if !line.global(flag)? {
                        return Ok(Verb::Python(arguments.to_vec()));
                    }
                }
            },
            Some(Token::Word(word)) => {
                return match word.to_str() {
                    Some("read") => read(line),
                    Some("wait") => wait(line),
                    Some("run") => run(line),
                    Some("inject") => inject(line),
                    Some("credential") => Ok(match crate::credential::parse(line)? {
                        Some(helper) => Verb::Credential(Box::new(helper)),
                        None => Verb::Help(help::CREDENTIAL),
                    }),
                    Some("leases") => leases(line),
                    Some("whoami") => whoami(line),
                    Some("help") => topic(line),
                    _ => Ok(Verb::Python(arguments.to_vec())),
                };
            }
        }
    }
}

fn unexpected(verb: &str, what: &OsStr) -> Fault {
    let what = crate::text::cut(&what.to_string_lossy(), 60);
    Fault::usage(format!("stillvault {verb} does not take '{what}'"), format!("see stillvault help {verb}"))
}

fn read(line: &mut Line) -> Result<Verb, Fault> {
    let (mut references, mut output, mut detach, mut dry_run) = (Vec::new(), Output::new(), false, false);
    let mut question = Question::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => references.push(Reference::parse(&word.to_string_lossy())?),
            Token::Flag(flag) => match flag.as_str() {
                "--detach" => detach = true,
                "--dry-run" => dry_run = true,
                "-h" | "--help" => return Ok(Verb::Help(help::READ)),
                flag => {
                    if !output.flag(flag, line)? && !line.question(flag, &mut question)? {
                        return Err(unexpected("read", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    output.check("read")?;
    if detach && (output.is_given() || question.wait.is_some()) {
        let message = "--detach gives a handle at once: it goes without --wait and without a place for the value";
        return Err(Fault::usage(message, "give them to stillvault wait HANDLE"));
    }
    let mut references = references.into_iter();
    match (references.next(), references.next()) {
        (Some(reference), None) => Ok(Verb::Read(Read { reference, output, detach, dry_run, question })),
        _ => Err(Fault::usage("stillvault read takes one reference", "stillvault read sv://PATH")),
    }
}

fn wait(line: &mut Line) -> Result<Verb, Fault> {
    let (mut handles, mut output, mut state, mut wait) = (Vec::new(), Output::new(), false, None);
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => handles.push(Handle::parse(&word.to_string_lossy())?),
            Token::Flag(flag) => match flag.as_str() {
                "--state" => state = true,
                "--wait" => wait = Some(line.wait(0)?),
                "-h" | "--help" => return Ok(Verb::Help(help::WAIT)),
                flag => {
                    if !output.flag(flag, line)? && !line.global(flag)? {
                        return Err(unexpected("wait", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    output.check("wait")?;
    if state && output.is_given() {
        return Err(Fault::usage("--state takes no value, so it has no place for one", "see stillvault help wait"));
    }
    let mut handles = handles.into_iter();
    match (handles.next(), handles.next()) {
        (Some(handle), None) => Ok(Verb::Wait(Wait { handle, output, state, patience: wait })),
        _ => Err(Fault::usage("stillvault wait takes one handle", "stillvault wait HANDLE, as --detach printed it")),
    }
}

fn run(line: &mut Line) -> Result<Verb, Fault> {
    let (mut bindings, mut env_files, mut files) = (Vec::new(), Vec::new(), Vec::new());
    let (mut no_masking, mut dry_run) = (false, false);
    let (mut detach, mut handle) = (false, None);
    let mut question = Question::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(program) => {
                let mut command = vec![program];
                command.extend(line.rest()?);
                let run = Run { bindings, env_files, files, no_masking, detach, handle, dry_run, question, command };
                check_later(run.handle.as_ref(), run.detach, &run.question)?;
                return Ok(Verb::Run(run));
            }
            Token::Flag(flag) => match flag.as_str() {
                "--env" => bindings.push(binding("--env", &line.text("--env")?)?),
                "--file" => files.push(binding("--file", &line.text("--file")?)?),
                "--env-file" => env_files.push(PathBuf::from(line.value()?)),
                "--no-masking" => no_masking = true,
                "--dry-run" => dry_run = true,
                "--detach" => detach = true,
                "--handle" => handle = Some(Handle::parse(&line.text("--handle")?)?),
                "-h" | "--help" => return Ok(Verb::Help(help::RUN)),
                flag => {
                    if !line.question(flag, &mut question)? {
                        return Err(unexpected("run", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    Err(Fault::usage("stillvault run takes a command", "stillvault run --env NAME=sv://PATH -- CMD"))
}

/// What is asked and what is taken are two calls: neither takes what belongs to the other.
fn check_later(handle: Option<&Handle>, detach: bool, question: &Question) -> Result<(), Fault> {
    let asks = question.reason.is_some() || question.ttl.is_some() || question.is_lease();
    if handle.is_some() && (detach || asks) {
        let message = "--handle takes what was asked before: it goes without --detach, --reason, --ttl, --window and --uses";
        return Err(Fault::usage(message, "give them where the handle is asked for"));
    }
    if detach && question.wait.is_some() {
        return Err(Fault::usage("--detach gives a handle at once: it goes without --wait", "give it with --handle"));
    }
    Ok(())
}

/// `NAME=sv://PATH`.
fn binding(flag: &str, text: &str) -> Result<(OsString, Reference), Fault> {
    let remedy = "write NAME=sv://PATH; a plain value goes before the command, as NAME=VALUE stillvault run ..";
    let Some((name, target)) = text.split_once('=') else {
        return Err(Fault::usage(format!("{flag} takes NAME=sv://PATH"), remedy));
    };
    crate::envfile::check_name(name)?;
    if !target.starts_with(crate::reference::SCHEME) {
        return Err(Fault::usage(format!("{flag} {name}= is not a reference"), remedy));
    }
    Ok((OsString::from(name), Reference::parse(target)?))
}

fn inject(line: &mut Line) -> Result<Verb, Fault> {
    let (mut template, mut output, mut mode, mut force, mut dry_run) = (None, None, 0o600, false, false);
    let (mut detach, mut handle) = (false, None);
    let mut question = Question::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => return Err(unexpected("inject", &word)),
            Token::Flag(flag) => match flag.as_str() {
                "-i" | "--in-file" => template = Some(PathBuf::from(line.value()?)),
                "-o" | "--out-file" => output = Some(PathBuf::from(line.value()?)),
                "--mode" => mode = line.mode()?,
                "--force" => force = true,
                "--dry-run" => dry_run = true,
                "--detach" => detach = true,
                "--handle" => handle = Some(Handle::parse(&line.text("--handle")?)?),
                "-h" | "--help" => return Ok(Verb::Help(help::INJECT)),
                flag => {
                    if !line.question(flag, &mut question)? {
                        return Err(unexpected("inject", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    check_later(handle.as_ref(), detach, &question)?;
    match (template, output) {
        (Some(template), Some(output)) => {
            Ok(Verb::Inject(Inject { template, output, mode, force, detach, handle, dry_run, question }))
        }
        _ => Err(Fault::usage("stillvault inject takes a template and a file to write", "stillvault inject -i TEMPLATE -o FILE")),
    }
}

fn leases(line: &mut Line) -> Result<Verb, Fault> {
    let mut words = Vec::new();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => words.push(word),
            Token::Flag(flag) if flag == "-h" || flag == "--help" => return Ok(Verb::Help(help::LEASES)),
            Token::Flag(flag) => {
                if !line.global(&flag)? {
                    return Err(unexpected("leases", OsStr::new(&flag)));
                }
            }
        }
    }
    let mut words = words.into_iter();
    match (words.next(), words.next(), words.next()) {
        (None, None, None) => Ok(Verb::Leases),
        (Some(purge), path, None) if purge == "purge" => {
            let path = path.map(|word| word.to_string_lossy().into_owned());
            let path = path.map(|text| Path::parse(text.strip_prefix(crate::reference::SCHEME).unwrap_or(&text)));
            Ok(Verb::Purge(path.transpose()?))
        }
        (Some(word), _, _) => Err(unexpected("leases", &word)),
        _ => Err(Fault::usage("stillvault leases takes nothing, or purge [PATH]", "")),
    }
}

fn whoami(line: &mut Line) -> Result<Verb, Fault> {
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => return Err(unexpected("whoami", &word)),
            Token::Flag(flag) if flag == "-h" || flag == "--help" => return Ok(Verb::Help(help::WHOAMI)),
            Token::Flag(flag) => {
                if !line.global(&flag)? {
                    return Err(unexpected("whoami", OsStr::new(&flag)));
                }
            }
        }
    }
    Ok(Verb::Whoami)
}

fn topic(line: &mut Line) -> Result<Verb, Fault> {
    let mut topic = None;
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) if topic.is_none() => topic = Some(word),
            Token::Word(word) => return Err(unexpected("help", &word)),
            Token::Flag(flag) => {
                if !line.global(&flag)? && flag != "-h" && flag != "--help" {
                    return Err(unexpected("help", OsStr::new(&flag)));
                }
            }
        }
    }
    let Some(topic) = topic else { return Ok(Verb::Help(help::MAIN)) };
    Ok(match topic.to_str() {
        Some("read") => Verb::Help(help::READ),
        Some("run") => Verb::Help(help::RUN),
        Some("wait") => Verb::Help(help::WAIT),
        Some("inject") => Verb::Help(help::INJECT),
        Some("credential") => Verb::Help(help::CREDENTIAL),
        Some("leases") => Verb::Help(help::LEASES),
        Some("whoami") => Verb::Help(help::WHOAMI),
        // As a table for programs it comes from the rest of the command line.
        Some("exit-codes") if line.format == Format::Json => {
            Verb::Python(["help", "exit-codes", "--format", "json"].map(OsString::from).to_vec())
        }
        Some("exit-codes") => Verb::Help(help::EXIT_CODES),
        // The rest of the command line explains its own verbs.
        _ => Verb::Python(vec![topic, "--help".into()]),
    })
}
