//! What a question to the daemon may carry beside what is asked for.

use std::ffi::OsString;

use crate::text;

/// What is told of a command: so many arguments, each so many characters.
const CLAIMED_ARGUMENTS: usize = 40;
const CLAIMED_CHARACTERS: usize = 200;

/// What a question to the daemon may carry.
#[derive(Debug, Default, Clone)]
pub struct Question {
    /// Why, in the caller's words.
    pub reason: Option<String>,
    /// How long each request may live, in seconds.
    pub ttl: Option<u64>,
    /// How long to wait for an answer, in seconds.
    pub wait: Option<u64>,
    /// The longest lease that is asked for, in seconds; people can only shorten it.
    pub window: Option<u64>,
    /// How many uses of it, likewise.
    pub uses: Option<u64>,
}

impl Question {
    /// Whether it says anything about the lease.
    pub const fn is_lease(&self) -> bool {
        self.window.is_some() || self.uses.is_some()
    }
}

/// The command as the people asked will see it, under "The caller says": escaped, and cut with a sign where it is long.
pub fn claimed(command: &[OsString]) -> Vec<String> {
    let shown = command.iter().take(CLAIMED_ARGUMENTS).map(|word| text::cut(&text::visible(word), CLAIMED_CHARACTERS));
    let mut shown: Vec<String> = shown.collect();
    if command.len() > CLAIMED_ARGUMENTS {
        shown.push(format!("… {} more", command.len() - CLAIMED_ARGUMENTS));
    }
    shown
}
