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
mod git;
mod podman;
mod systemd;
mod table;

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;
use zeroize::Zeroizing;

use crate::ask;
use crate::fault::{Fault, Format};
use crate::line::{Line, Token};
use crate::question::Question;
use crate::reference::{self, Reference};
use crate::{field, text};

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
    reference: Option<Reference>,
    id: Option<Reference>,
    key: Option<Reference>,
    token: Option<Reference>,
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
            "--ref" => self.reference = Some(Reference::parse(&line.text(flag)?)?),
            "--id-ref" => self.id = Some(Reference::parse(&line.text(flag)?)?),
            "--key-ref" => self.key = Some(Reference::parse(&line.text(flag)?)?),
            "--token-ref" => self.token = Some(Reference::parse(&line.text(flag)?)?),
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

/// Takes what follows `credential`; nothing where that is a question for help.
pub fn parse(line: &mut Line) -> Result<Option<Helper>, Fault> {
    let consumer = loop {
        match line.next()? {
            Some(Token::Word(word)) => break Consumer::named(&word)?,
            Some(Token::Flag(flag)) if flag == "-h" || flag == "--help" => return Ok(None),
            Some(Token::Flag(flag)) if line.global(&flag)? => {}
            Some(Token::Flag(flag)) => return Err(unexpected(&flag)),
            None => return Ok(None),
        }
    };
    let mut options = Options::default();
    while let Some(token) = line.next()? {
        match token {
            Token::Word(word) if options.operation.is_none() => options.operation = Some(word.to_string_lossy().into_owned()),
            Token::Word(word) => return Err(unexpected(&word.to_string_lossy())),
            Token::Flag(flag) if flag == "-h" || flag == "--help" => return Ok(None),
            Token::Flag(flag) if consumer.flags().contains(&flag.as_str()) => options.set(&flag, line)?,
            Token::Flag(flag) => {
                if !line.question(&flag, &mut options.question)? {
                    return Err(unexpected(&flag));
                }
            }
        }
    }
    Ok(Some(Helper { consumer, options }))
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

/// What a reference stands for, released.
struct Released {
    bytes: Zeroizing<Vec<u8>>,
    /// The reference named no field, so the value may have some.
    whole: bool,
    /// When the lease ends, in seconds since 1970; none where nothing was leased.
    end: Option<u64>,
}

impl Released {
    /// The first of these fields that the value has.
    fn field(&self, names: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
        let names = if self.whole { names } else { &[] };
        names.iter().find_map(|name| field::cut(&self.bytes, name).ok())
    }
}

/// Asks for `references`; `about` is what people see under "The caller says".
fn release(references: &[Reference], about: &[&str], question: &Question, format: Format) -> Result<Vec<Released>, Fault> {
    let about: Vec<OsString> = about.iter().map(OsString::from).collect();
    let answer = ask::ask(reference::paths(references), Some(&about), question, format)?;
    let contents = field::contents(references, &answer.paths, &answer.values)?;
    let ends = references.iter().map(|reference| {
        let delivered = answer.paths.iter().position(|path| *path == reference.path).and_then(|at| answer.values.get(at));
        lease_end(delivered?.facts.get("left").and_then(Json::as_u64)?)
    });
    let released = contents.iter().zip(references).zip(ends).map(|((content, reference), end)| Released {
        bytes: Zeroizing::new(content.bytes().to_vec()),
        whole: reference.field.is_none(),
        end,
    });
    Ok(released.collect())
}

/// One reference.
fn release_one(wanted: &Reference, about: &[&str], question: &Question, format: Format) -> Result<Released, Fault> {
    let released = release(std::slice::from_ref(wanted), about, question, format)?.into_iter().next();
    released.ok_or_else(|| Fault::untrusted("delivery", "nothing was delivered", "ask again"))
}

fn lease_end(left: u64) -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Some(now.as_secs() + left).filter(|_| left > 0)
}

/// A value or field as one line of text. `what` names it in the refusal; the value itself is never repeated.
fn one_line<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, Fault> {
    let remedy =
        "seal it again in the form that docs/guides/helpers names; a line end that slipped in: printf %s instead of echo";
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
