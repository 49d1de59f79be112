//! What a person sees while others decide: who was asked, the code, how many of how many, the time left.
//!
//! On a terminal one line that is redrawn each second; elsewhere one line at once, one when something changes, and one every
//! 15 seconds. All of it on standard error.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::fault::Format;
use crate::socket::Frame;
use crate::text;

const REPEAT: Duration = Duration::from_secs(15);
const REDRAW: Duration = Duration::from_secs(1);
const COLUMNS: usize = 79;

/// The waiting line.
pub struct Waiting {
    format: Format,
    live: bool,
    pending: Option<Frame>,
    next: Option<Instant>,
    drawn: bool,
    why: Option<String>,
}

impl Waiting {
    /// Nothing is shown before the daemon said who was asked.
    pub fn new(format: Format) -> Self {
        Self { format, live: format == Format::Text && text::live_terminal(), pending: None, next: None, drawn: false, why: None }
    }

    /// The daemon said what is pending.
    pub fn pending(&mut self, frame: Frame) {
        // The same news again is not news.
        if self.pending.as_ref() != Some(&frame) {
            let why = frame.get("why").and_then(Json::as_str).map(text::screen);
            // Why it is asked again stands on a line of its own, once.
            if self.format == Format::Text && why.is_some() && why != self.why {
                let erase = if self.live && self.drawn { "\r\x1b[K" } else { "" };
                text::note(&format!("{erase}stillvault: {}\n", why.as_deref().unwrap_or_default()));
            }
            self.why = why;
            self.pending = Some(frame);
            self.show();
        }
    }

    /// Shows the line again when its time has come; how long until the next.
    pub fn tick(&mut self) -> Option<Duration> {
        let left = self.next?.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            return Some(left);
        }
        self.show();
        self.next.map(|next| next.saturating_duration_since(Instant::now()))
    }

    fn show(&mut self) {
        let Some(pending) = &self.pending else { return };
        if self.format == Format::Json {
            let mut event = pending.clone();
            event.insert("v".into(), 1.into());
            text::note(&text::json(&Json::Object(event)));
        } else {
            let line = text::cut(&line(pending, now()), COLUMNS);
            // Return, write over, erase what is left of a longer line.
            text::note(&if self.live { format!("\r{line}\x1b[K") } else { format!("{line}\n") });
        }
        self.drawn = true;
        self.next = Instant::now().checked_add(if self.live { REDRAW } else { REPEAT });
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Drop for Waiting {
    /// A live line leaves nothing behind.
    fn drop(&mut self) {
        if self.live && self.drawn {
            text::note("\r\x1b[K");
        }
    }
}

/// Who was asked, the code, how many of how many, the time left.
pub fn line(pending: &Frame, now: u64) -> String {
    let people: Vec<_> = pending.get("asked").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
    let number = |field: &str| pending.get(field).and_then(Json::as_u64).unwrap_or(0);
    let mut facts = Vec::new();
    if let Some(code) = pending.get("code").and_then(Json::as_str) {
        facts.push(format!("code {}", text::screen(code)));
    }
    facts.push(format!("{} of {}", number("approved"), number("needed")));
    if let Some(expires) = pending.get("expires").and_then(Json::as_u64) {
        facts.push(format!("{} left", text::span(expires.saturating_sub(now))));
    }
    let facts = facts.join(", ");
    let room = COLUMNS.saturating_sub("waiting for : ".len() + facts.chars().count()).max(12);
    format!("waiting for {}: {facts}", text::cut(&text::screen(&people.join(", ")), room))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        serde_json::from_str(text).unwrap_or_default()
    }

    #[test]
    fn the_line_names_people_code_count_and_time() {
        let pending = frame(r#"{"asked":["alice","bob"],"code":"012345","needed":2,"approved":1,"expires":1300}"#);
        assert_eq!(line(&pending, 1000), "waiting for alice, bob: code 012345, 1 of 2, 5m00s left");
    }

    #[test]
    fn many_names_do_not_push_the_code_out() {
        let names = vec!["someone-with-a-name"; 30];
        let pending = frame(&format!(r#"{{"asked":{names:?},"code":"012345","needed":1,"expires":1300}}"#));
        let line = line(&pending, 1000);
        assert!(line.contains("…: code 012345, 0 of 1, 5m00s left") && line.chars().count() <= 79, "{line}");
    }

    #[test]
    fn names_cannot_move_the_cursor() {
        let pending = frame(r#"{"asked":["a\u001b[2J"],"needed":1}"#);
        assert_eq!(line(&pending, 0), "waiting for a\\u{1b}[2J: 0 of 1");
    }
}
