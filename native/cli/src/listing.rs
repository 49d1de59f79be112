//! What the daemon knows and what a command would ask: `leases`, `whoami`, `--dry-run`. Never a value.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::environment::Plan;
use crate::fault::{Fault, Format, exit};
use crate::reference::Path;
use crate::socket::{Daemon, Frame, refusal};
use crate::text;

fn asked(verb: &str, fields: Frame, event: &str) -> Result<Frame, Fault> {
    let mut daemon = Daemon::connect(None)?;
    daemon.send(verb, fields, &[])?;
    let frame = daemon.receive()?;
    if frame.get("event").and_then(Json::as_str) == Some(event) { Ok(frame) } else { Err(refusal(&frame)) }
}

fn print_json(mut frame: Frame) -> Result<u8, Fault> {
    frame.remove("event");
    frame.insert("v".into(), 1.into());
    text::print(text::json(&Json::Object(frame)))?;
    Ok(exit::OK)
}

/// A field as text for the screen, whatever it is.
fn shown(frame: &Frame, field: &str) -> String {
    match frame.get(field) {
        None => "-".into(),
        Some(Json::String(text)) => text::screen(text),
        Some(Json::Array(items)) => {
            let words = items.iter().map(|item| item.as_str().map_or_else(|| text::screen(&item.to_string()), text::screen));
            words.collect::<Vec<_>>().join(" ")
        }
        Some(other) => text::screen(&other.to_string()),
    }
}

fn objects<'a>(frame: &'a Frame, field: &str) -> impl Iterator<Item = &'a Frame> {
    frame.get(field).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_object)
}

/// `leases`.
pub fn leases(format: Format) -> Result<u8, Fault> {
    let frame = asked("leases", Frame::new(), "leases")?;
    if format == Format::Json {
        return print_json(frame);
    }
    let mut lines = String::new();
    for lease in objects(&frame, "leases") {
        let left = lease.get("left").and_then(Json::as_u64).map_or("-".into(), text::span);
        let uses = lease.get("uses").and_then(Json::as_u64).map_or(String::new(), |uses| format!(", {uses} uses"));
        let _ = write!(
            lines,
            "{} {} v{}  {left} left{uses}\n    {} for uid {} by {} of {}\n",
            shown(lease, "number"),
            shown(lease, "path"),
            shown(lease, "version"),
            shown(lease, "client"),
            shown(lease, "uid"),
            shown(lease, "scope"),
            shown(lease, "program"),
        );
    }
    if lines.is_empty() {
        text::note("no live lease: the next read asks a person\n");
    }
    text::print(lines)?;
    Ok(exit::OK)
}

/// `leases purge [PATH]`.
pub fn purge(path: Option<&Path>, format: Format) -> Result<u8, Fault> {
    let mut fields = Frame::new();
    if let Some(path) = path {
        fields.insert("path".into(), path.as_str().into());
    }
    let frame = asked("purge", fields, "purged")?;
    if format == Format::Json {
        return print_json(frame);
    }
    text::print(format!("{} leases ended\n", shown(&frame, "count")))?;
    Ok(exit::OK)
}

/// `whoami`.
pub fn whoami(format: Format) -> Result<u8, Fault> {
    let frame = asked("whoami", Frame::new(), "whoami")?;
    if format == Format::Json {
        return print_json(frame);
    }
    let mut lines = format!("program    {}\n", shown(&frame, "exe"));
    let chain = frame.get("chain").and_then(Json::as_array).into_iter().flatten();
    for (position, above) in chain.enumerate() {
        let exe = above.as_str().or_else(|| above.get("exe").and_then(Json::as_str)).unwrap_or("-");
        let _ = writeln!(lines, "{}{}", if position == 0 { "started by " } else { "           " }, text::screen(exe));
    }
    let _ = writeln!(lines, "account    {} (uid {})", shown(&frame, "user"), shown(&frame, "uid"));
    for (label, field) in [("unit", "unit"), ("container", "container"), ("grade", "grade"), ("digest", "exe_sha256")] {
        if frame.contains_key(field) {
            let _ = writeln!(lines, "{label:<11}{}", shown(&frame, field));
        }
    }
    for client in objects(&frame, "clients") {
        let _ = writeln!(lines, "client     {} on {}", shown(client, "subject"), shown(client, "host"));
        let _ = writeln!(lines, "  may ask  {}", shown(client, "scopes"));
    }
    if frame.get("why").and_then(Json::as_str).is_some_and(|why| !why.is_empty()) {
        let _ = writeln!(lines, "why        {}", shown(&frame, "why"));
    }
    text::print(lines)?;
    Ok(exit::OK)
}

/// `--dry-run`: which secrets would be asked for, and where they would go. Nobody is asked.
pub fn dry_run(paths: &[Path], plan: Option<&Plan>, format: Format) -> Result<u8, Fault> {
    let names = |index: usize| -> Vec<String> {
        plan.into_iter().flat_map(|plan| plan.names(index)).map(|name| name.to_string_lossy().into_owned()).collect()
    };
    if format == Format::Json {
        let all: Vec<Json> = paths
            .iter()
            .enumerate()
            .map(|(index, path)| serde_json::json!({"reference": path.to_string(), "names": names(index)}))
            .collect();
        text::print(text::json(&serde_json::json!({"v": 1, "references": all})))?;
        return Ok(exit::OK);
    }
    for (index, path) in paths.iter().enumerate() {
        let names = names(index).join(", ");
        let names = if names.is_empty() { names } else { format!("  as {}", text::screen(&names)) };
        text::print(format!("{path}{names}\n"))?;
    }
    text::note("nobody was asked\n");
    Ok(exit::OK)
}
