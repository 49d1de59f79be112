//! The command line read word by word: flags and words, their values, and the flags that several verbs share.

use std::ffi::OsString;

use lexopt::{Arg, Parser};

use crate::fault::{Fault, Format};
use crate::question::Question;

/// The longest life of a request, in seconds (docs/protocol.md, section 4).
const MAX_TTL: u64 = 3600;
/// The longest that a command may wait, in seconds.
const MAX_WAIT: u64 = 86_400;
/// The longest lease, in seconds (docs/protocol.md, section 10).
const MAX_WINDOW: u64 = 8 * 3600;
/// The most uses of a lease that can be asked for.
const MAX_USES: u64 = 1 << 31;
/// The longest reason, in bytes.
const MAX_REASON: usize = 500;

/// The next flag or word, owned: `--name`, `-n`, or a word.
pub enum Token {
    /// A flag, with its dashes.
    Flag(String),
    /// Anything else.
    Word(OsString),
}

/// The command line as tokens, and the format seen so far.
pub struct Line {
    parser: Parser,
    /// What `--format` said, or the environment.
    pub format: Format,
}

impl Line {
    /// The words after the name of the program.
    pub fn new(words: Vec<OsString>, format: Format) -> Self {
        Self { parser: Parser::from_args(words), format }
    }

    /// The next token.
    pub fn next(&mut self) -> Result<Option<Token>, Fault> {
        Ok(match self.parser.next().map_err(understood)? {
            None => None,
            Some(Arg::Short(letter)) => Some(Token::Flag(format!("-{letter}"))),
            Some(Arg::Long(name)) => Some(Token::Flag(format!("--{name}"))),
            Some(Arg::Value(word)) => Some(Token::Word(word)),
        })
    }

    /// All that is left, as it stands.
    pub fn rest(&mut self) -> Result<Vec<OsString>, Fault> {
        Ok(self.parser.raw_args().map_err(understood)?.collect())
    }

    /// The value of the flag that came last.
    pub fn value(&mut self) -> Result<OsString, Fault> {
        self.parser.value().map_err(understood)
    }

    /// The same, as text.
    pub fn text(&mut self, flag: &str) -> Result<String, Fault> {
        self.value()?.into_string().map_err(|_| Fault::usage(format!("{flag} takes text in UTF-8"), ""))
    }

    /// Seconds from `90`, `90s`, `5m`, `1h`.
    fn seconds(&mut self, flag: &str, least: u64, most: u64) -> Result<u64, Fault> {
        let text = self.text(flag)?;
        let (digits, unit) = match text.as_bytes().last() {
            Some(b's') => (text.trim_end_matches('s'), 1),
            Some(b'm') => (text.trim_end_matches('m'), 60),
            Some(b'h') => (text.trim_end_matches('h'), 3600),
            _ => (text.as_str(), 1),
        };
        let number =
            if digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<u64>().ok() } else { None };
        match number.map(|n| n * unit) {
            Some(seconds) if (least..=most).contains(&seconds) => Ok(seconds),
            _ => Err(Fault::usage(format!("{flag} takes a time like 90s, 5m or 1h, at most {}", crate::text::span(most)), "")),
        }
    }

    /// The value of `--wait`, at least `least` seconds.
    pub fn wait(&mut self, least: u64) -> Result<u64, Fault> {
        self.seconds("--wait", least, MAX_WAIT)
    }

    /// Permissions of a file, in octal.
    pub fn mode(&mut self) -> Result<u32, Fault> {
        let text = self.text("--mode")?;
        match u32::from_str_radix(&text, 8) {
            Ok(mode) if mode <= 0o777 && mode & 0o400 != 0 && !text.starts_with('+') => Ok(mode),
            _ => Err(Fault::usage("--mode takes permissions in octal that let the owner read, like 0600", "")),
        }
    }

    /// Takes what every verb has. False when `flag` is not one of these.
    pub fn global(&mut self, flag: &str) -> Result<bool, Fault> {
        match flag {
            "--format" => {
                self.format = match self.text("--format")?.as_str() {
                    "text" => Format::Text,
                    "json" => Format::Json,
                    _ => return Err(Fault::usage("--format takes text or json", "")),
                };
            }
            // Nothing here ever asks at the terminal.
            "--no-input" => {}
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes what every verb has that asks for values. False when `flag` is not one of these.
    pub fn question(&mut self, flag: &str, question: &mut Question) -> Result<bool, Fault> {
        match flag {
            "--reason" => {
                let reason = self.value()?;
                if reason.len() > MAX_REASON {
                    return Err(Fault::usage(format!("--reason is longer than {MAX_REASON} bytes"), "say it in a sentence"));
                }
                question.reason = Some(crate::text::visible(&reason));
            }
            "--ttl" => question.ttl = Some(self.seconds(flag, 1, MAX_TTL)?),
            "--wait" => question.wait = Some(self.wait(1)?),
            "--window" => question.window = Some(self.seconds(flag, 0, MAX_WINDOW)?),
            "--uses" => {
                let number = self.text(flag)?.parse::<u64>().ok().filter(|number| (1..=MAX_USES).contains(number));
                question.uses = Some(number.ok_or_else(|| Fault::usage("--uses takes how often, 1 or more", ""))?);
            }
            _ => return self.global(flag),
        }
        Ok(true)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn understood(problem: lexopt::Error) -> Fault {
    Fault::usage(problem.to_string(), "see stillvault help")
}
