//! One kind of failure: a stable code, what happened, what to do next, and the exit status that scripts rely on.
//!
//! Nothing here ever carries a value. Text that came from elsewhere is shown with its control characters escaped.

use std::process::ExitCode;

use serde_json::{Map, Value as Json};

use crate::text;

/// The exit statuses of the command line.
pub mod exit {
    /// It worked.
    pub const OK: u8 = 0;
    /// Something went wrong that is nobody's refusal.
    pub const ERROR: u8 = 1;
    /// The command line, a file or a setting is not of the form that it must have.
    pub const USAGE: u8 = 2;
    /// Nobody answered in time.
    pub const EXPIRED: u8 = 11;
    /// The daemon or the relay cannot be reached.
    pub const UNAVAILABLE: u8 = 14;
    /// A check failed.
    pub const UNTRUSTED: u8 = 15;
    /// `run`: Stillvault failed after the release.
    pub const TOOL_FAILED: u8 = 125;
    /// `run`: the command was found and cannot be executed.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// `run`: no such command.
    pub const NOT_FOUND: u8 = 127;
    /// Added to the number of a signal, as a shell does; 130 is an interrupt.
    pub const SIGNAL: u8 = 128;
}

/// How output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One object with `"v": 1`.
    Json,
}

/// Why a command did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Stable, for scripts.
    pub code: String,
    /// The status that the command ends with.
    pub exit: u8,
    /// What happened and why.
    pub message: String,
    /// What to type or change next; empty when there is nothing.
    pub remedy: String,
}

impl Fault {
    fn new(exit: u8, code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code: code.to_owned(), exit, message: message.into(), remedy: remedy.into() }
    }

    /// Status 1.
    pub fn failed(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(exit::ERROR, code, message, remedy)
    }

    /// Status 2.
    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(exit::USAGE, "usage", message, remedy)
    }

    /// Status 14.
    pub fn unavailable(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(exit::UNAVAILABLE, code, message, remedy)
    }

    /// Status 15: the check `code` failed.
    pub fn untrusted(code: &str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(exit::UNTRUSTED, code, message, remedy)
    }

    /// A system call that should work did not.
    pub fn system(what: &str, problem: impl std::fmt::Display) -> Self {
        Self::failed("system", format!("{what}: {problem}"), "")
    }

    /// The same failure with another exit status.
    pub fn with_exit(self, exit: u8) -> Self {
        Self { exit, ..self }
    }

    /// Writes the failure to standard error and gives the exit status.
    pub fn report(&self, format: Format) -> ExitCode {
        let line = match format {
            Format::Text => self.text(),
            Format::Json => self.json(),
        };
        text::note(&line);
        ExitCode::from(self.exit)
    }

    fn text(&self) -> String {
        let (code, message, remedy) = (text::screen(&self.code), text::screen(&self.message), text::screen(&self.remedy));
        let remedy = if remedy.is_empty() { remedy } else { format!("\n  {remedy}") };
        format!("{}stillvault: {code}: {message}{remedy}\n", self.named())
    }

    /// A check that failed is named on a line of its own, before either form.
    fn named(&self) -> String {
        if self.exit == exit::UNTRUSTED { format!("untrusted: {}\n", text::screen(&self.code)) } else { String::new() }
    }

    fn json(&self) -> String {
        let mut error = Map::new();
        error.insert("code".into(), self.code.clone().into());
        error.insert("exit".into(), self.exit.into());
        error.insert("message".into(), self.message.clone().into());
        if !self.remedy.is_empty() {
            error.insert("remedy".into(), self.remedy.clone().into());
        }
        if self.exit == exit::UNTRUSTED {
            error.insert("untrusted".into(), self.code.clone().into());
        }
        let mut whole = Map::new();
        whole.insert("v".into(), 1.into());
        whole.insert("error".into(), Json::Object(error));
        self.named() + &text::json(&Json::Object(whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn untrusted_names_the_check_on_a_line_of_its_own() {
        let fault = Fault::untrusted("quorum", "too few people", "ask again");
        assert_eq!(fault.text(), "untrusted: quorum\nstillvault: quorum: too few people\n  ask again\n");
        assert!(fault.json().starts_with("untrusted: quorum\n{"), "{}", fault.json());
    }

    #[test]
    fn no_control_byte_of_others_is_printed() {
        let fault = Fault::failed("x", "a\x1b[2Jb\nc\u{202e}", "");
        assert_eq!(fault.text(), "stillvault: x: a\\u{1b}[2Jb\\u{a}c\\u{202e}\n");
    }
}
