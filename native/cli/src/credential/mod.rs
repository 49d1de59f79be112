//! `credential`: values for programs that ask in a protocol of their own: git, AWS SDKs, container tools, Podman, systemd.
//!
//! These are verbs of the front and not scripts, so that the caller that people are shown is the program that asked (git, the
//! interpreter behind an SDK, podman), and so that no interpreter holds a value. Which request of the protocol it was stands among
//! what the caller says: `git https://git.example.com`.
//!
//! A helper hands out nothing that it was not told of, writes a whole answer or none, and refuses a value that the protocol
//! cannot carry, with the reason.

mod aws;
mod docker;
mod fields;
mod git;
mod podman;
mod systemd;
mod table;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::args::{Question, Verb};
use crate::ask::{self, Delivered};
use crate::fault::{Fault, Format};
use crate::line::{Line, Token};
use crate::reference::Path;
use crate::{help, text};

/// The longest question that a program may put on standard input, in bytes.
const MAX_QUESTION: u64 = 64 * 1024;

/// Who is spoken to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Consumer {
    Git,
    Aws,
    Docker,
    Podman,
    Systemd,
}

impl Consumer {
    fn named(word: &OsStr) -> Result<Self, Fault> {
        Ok(match word.to_str() {
            Some("git") => Self::Git,
            Some("aws") => Self::Aws,
            Some("docker") => Self::Docker,
            Some("podman") => Self::Podman,
            Some("systemd") => Self::Systemd,
            _ => {
                let message = format!("there is no helper for '{}'", text::cut(&word.to_string_lossy(), 60));
                return Err(Fault::usage(message, "git, aws, docker, podman or systemd: see stillvault help credential"));
            }
        })
    }

    /// The flags that this helper takes, beside those of a question.
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Git => &["--ref", "--for", "--username"],
            Self::Aws => &["--ref", "--id-ref", "--key-ref", "--token-ref"],
            Self::Docker => &["--map"],
            Self::Podman => &["--dir"],
            Self::Systemd => &["--map", "--socket"],
        }
    }
}

/// What the command line said.
#[derive(Default)]
struct Options {
    reference: Option<Path>,
    id: Option<Path>,
    key: Option<Path>,
    token: Option<Path>,
    places: Vec<String>,
    username: Option<String>,
    map: Option<PathBuf>,
    directory: Option<PathBuf>,
    socket: Option<PathBuf>,
    operation: Option<String>,
    question: Question,
}

impl Options {
    fn set(&mut self, flag: &str, line: &mut Line) -> Result<(), Fault> {
        match flag {
            "--ref" => self.reference = Some(Path::reference(&line.text(flag)?)?),
            "--id-ref" => self.id = Some(Path::reference(&line.text(flag)?)?),
            "--key-ref" => self.key = Some(Path::reference(&line.text(flag)?)?),
            "--token-ref" => self.token = Some(Path::reference(&line.text(flag)?)?),
            "--for" => self.places.push(line.text(flag)?),
            "--username" => self.username = Some(line.text(flag)?),
            "--map" => self.map = Some(PathBuf::from(line.value()?)),
            "--dir" => self.directory = Some(PathBuf::from(line.value()?)),
            _ => self.socket = Some(PathBuf::from(line.value()?)),
        }
        Ok(())
    }
}

/// `credential`, understood.
pub struct Helper {
    consumer: Consumer,
    options: Options,
}

/// Takes what follows `credential`.
pub fn parse(line: &mut Line) -> Result<Verb, Fault> {
    let consumer = loop {
        match line.next()? {
            Some(Token::Word(word)) => break Consumer::named(&word)?,
            Some(Token::Flag(flag)) if flag == "-h" || flag == "--help" => return Ok(Verb::Help(help::CREDENTIAL)),
            Some(Token::Flag(flag)) if line.global(&flag)? => {}
            Some(Token::Flag(flag)) => return Err(unexpected(&flag)),
            None => return Ok(Verb::Help(help::CREDENTIAL)),
        }
    };
    let mut options = Options::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) if options.operation.is_none() => options.operation = Some(word.to_string_lossy().into_owned()),
            Token::Word(word) => return Err(unexpected(&word.to_string_lossy())),
            Token::Flag(flag) if flag == "-h" || flag == "--help" => return Ok(Verb::Help(help::CREDENTIAL)),
            Token::Flag(flag) if consumer.flags().contains(&flag.as_str()) => options.set(&flag, line)?,
            Token::Flag(flag) => {
                if !line.question(&flag, &mut options.question)? {
                    return Err(unexpected(&flag));
                }
            }
        }
    }
    Ok(Verb::Credential(Box::new(Helper { consumer, options })))
}

fn unexpected(what: &str) -> Fault {
    let message = format!("stillvault credential does not take '{}' there", text::cut(what, 60));
    Fault::usage(message, "see stillvault help credential")
}

/// Answers.
pub fn serve(helper: &Helper, format: Format) -> Result<u8, Fault> {
    match helper.consumer {
        Consumer::Git => git::serve(&helper.options, format),
        Consumer::Aws => aws::serve(&helper.options, format),
        Consumer::Docker => docker::serve(&helper.options, format),
        Consumer::Podman => podman::serve(&helper.options, format),
        Consumer::Systemd => systemd::serve(&helper.options, format),
    }
}

/// Asks for `paths`; `about` is what people see under "The caller says".
fn release(paths: &[Path], about: &[&str], question: &Question, format: Format) -> Result<Vec<Delivered>, Fault> {
    let about: Vec<OsString> = about.iter().map(OsString::from).collect();
    let values = ask::ask(paths, Some(&about), question, format)?.values;
    if values.len() == paths.len() { Ok(values) } else { Err(nothing()) }
}

/// One value.
fn release_one(path: &Path, about: &[&str], question: &Question, format: Format) -> Result<Delivered, Fault> {
    release(std::slice::from_ref(path), about, question, format)?.into_iter().next().ok_or_else(nothing)
}

fn nothing() -> Fault {
    Fault::untrusted("delivery", "nothing was delivered", "ask again")
}

/// When the lease of a value ends, in seconds since 1970; none where nothing was leased.
fn lease_end(delivered: &Delivered) -> Option<u64> {
    let left = delivered.facts.get("left").and_then(Json::as_u64).filter(|left| *left > 0)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Some(now.as_secs() + left)
}

/// A value or field as one line of text. `what` names it in the refusal; the value itself is never repeated.
fn one_line<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    let remedy = "seal it again in the form that docs/guides/helpers names; a line end that slipped in: printf %s instead of echo";
    let refused = |why: &str| Fault::failed("value-form", format!("{what} {why}, which this protocol cannot carry"), remedy);
    let text = std::str::from_utf8(bytes).map_err(|_| refused("is not text in UTF-8"))?;
    for (character, name) in [('\n', "holds a line end"), ('\r', "holds a carriage return"), ('\0', "holds a zero byte")] {
        if text.contains(character) {
            return Err(refused(name));
        }
    }
    if text.is_empty() { Err(refused("is empty")) } else { Ok(text) }
}

/// What the program put on standard input, whole.
fn question_text() -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(MAX_QUESTION + 1).read_to_end(&mut bytes);
    read.map_err(|problem| Fault::system("standard input cannot be read", problem))?;
    if bytes.len() as u64 > MAX_QUESTION {
        return Err(Fault::usage("standard input holds more than 64 KiB", "this is for the program that speaks the protocol"));
    }
    String::from_utf8(bytes).map_err(|_| Fault::usage("standard input is not text in UTF-8", ""))
}
