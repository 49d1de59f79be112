//! The command line: which verb, with what. Every flag of these five verbs stands here and in [`crate::help`].
//!
//! A verb that is not ours goes to the rest of the command line with its arguments untouched, before anything else is judged.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::fault::{Fault, Format};
use crate::help;
use crate::line::{Line, Token};
use crate::reference::Path;

/// What a question to the daemon may carry.
#[derive(Debug, Default, Clone)]
pub struct Question {
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// How long each request may live, in seconds.
    pub ttl: Option<u64>,
    /// How long to wait for an answer, in seconds.
    pub wait: Option<u64>,
}

/// `read`.
pub struct Read {
    /// Which secret.
    pub path: Path,
    /// No line end after the value on a terminal.
    pub bare: bool,
    /// A file instead of standard output.
    pub out_file: Option<PathBuf>,
    /// Its permissions.
    pub mode: u32,
    /// Replace a file that exists.
    pub force: bool,
    /// Show it on a terminal.
    pub reveal: bool,
    /// What goes with the question.
    pub question: Question,
}

/// `run`.
#[allow(clippy::struct_field_names, reason = "dry_run is the flag's name")]
pub struct Run {
    /// `--env`, in order.
    pub bindings: Vec<(OsString, Path)>,
    /// `--env-file`, in order.
    pub env_files: Vec<PathBuf>,
    /// Do not look for values in the output.
    pub no_masking: bool,
    /// Say what would be asked, and ask nobody.
    pub dry_run: bool,
    /// What goes with the question.
    pub question: Question,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
}

/// `inject`.
pub struct Inject {
    /// The template.
    pub template: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Replace a file that exists.
    pub force: bool,
    /// Say what would be asked, and ask nobody.
    pub dry_run: bool,
    /// What goes with the question.
    pub question: Question,
}

/// What to do.
pub enum Verb {
    /// One value, raw.
    Read(Read),
    /// A command with values in its environment.
    Run(Run),
    /// A file from a template.
    Inject(Inject),
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
                    Some("run") => run(line),
                    Some("inject") => inject(line),
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

fn reference(word: &OsStr) -> Result<Path, Fault> {
    Path::reference(&word.to_string_lossy())
}

fn read(line: &mut Line) -> Result<Verb, Fault> {
    let mut paths = Vec::new();
    let (mut bare, mut out_file, mut mode, mut force, mut reveal) = (false, None, None, false, false);
    let mut question = Question::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) => paths.push(reference(&word)?),
            Token::Flag(flag) => match flag.as_str() {
                "-n" => bare = true,
                "--out-file" => out_file = Some(PathBuf::from(line.value()?)),
                "--mode" => mode = Some(line.mode()?),
                "--force" => force = true,
                "--reveal" => reveal = true,
                "-h" | "--help" => return Ok(Verb::Help(help::READ)),
                flag => {
                    if !line.question(flag, &mut question)? {
                        return Err(unexpected("read", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    if out_file.is_none() && (force || mode.is_some()) {
        return Err(Fault::usage("--mode and --force go with --out-file", "see stillvault help read"));
    }
    let mut paths = paths.into_iter();
    match (paths.next(), paths.next()) {
        (Some(path), None) => Ok(Verb::Read(Read { path, bare, out_file, mode: mode.unwrap_or(0o600), force, reveal, question })),
        _ => Err(Fault::usage("stillvault read takes one reference", "stillvault read sv://PATH")),
    }
}

fn run(line: &mut Line) -> Result<Verb, Fault> {
    let (mut bindings, mut env_files, mut no_masking, mut dry_run) = (Vec::new(), Vec::new(), false, false);
    let mut question = Question::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(program) => {
                let mut command = vec![program];
                command.extend(line.rest()?);
                return Ok(Verb::Run(Run { bindings, env_files, no_masking, dry_run, question, command }));
            }
            Token::Flag(flag) => match flag.as_str() {
                "--env" => bindings.push(binding(&line.text("--env")?)?),
                "--env-file" => env_files.push(PathBuf::from(line.value()?)),
                "--no-masking" => no_masking = true,
                "--dry-run" => dry_run = true,
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

/// `NAME=sv://PATH`.
fn binding(text: &str) -> Result<(OsString, Path), Fault> {
    let remedy = "write --env NAME=sv://PATH; a plain value goes before the command, as NAME=VALUE stillvault run ..";
    let Some((name, target)) = text.split_once('=') else {
        return Err(Fault::usage("--env takes NAME=sv://PATH", remedy));
    };
    crate::environment::check_name(name)?;
    if !target.starts_with(crate::reference::SCHEME) {
        return Err(Fault::usage(format!("--env {name}= is not a reference"), remedy));
    }
    Ok((OsString::from(name), Path::reference(target)?))
}

fn inject(line: &mut Line) -> Result<Verb, Fault> {
    let (mut template, mut output, mut mode, mut force, mut dry_run) = (None, None, 0o600, false, false);
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
                "-h" | "--help" => return Ok(Verb::Help(help::INJECT)),
                flag => {
                    if !line.question(flag, &mut question)? {
                        return Err(unexpected("inject", OsStr::new(flag)));
                    }
                }
            },
        }
    }
    match (template, output) {
        (Some(template), Some(output)) => Ok(Verb::Inject(Inject { template, output, mode, force, dry_run, question })),
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
        Some("inject") => Verb::Help(help::INJECT),
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
