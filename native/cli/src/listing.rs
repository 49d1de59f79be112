//! What the daemon knows and what a command would ask: `leases`, `whoami`, `--dry-run`. Never a value.

use std::fmt::Write;

use serde_json::Value as Json;

use crate::environment::Plan;
use crate::fault::{Fault, Format, exit};
use crate::out;
use crate::reference::{Path, Reference, paths};
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
    out::print(text::json(&Json::Object(frame)))?;
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
    out::print(lines)?;
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
    out::print(format!("{} leases ended\n", shown(&frame, "count")))?;
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
    if let Some(agent) = frame.get("identity").and_then(Json::as_object) {
        let program = if agent.contains_key("exe") { format!(", {}", shown(agent, "exe")) } else { String::new() };
        let pid = if agent.contains_key("pid") { format!(", process {}", shown(agent, "pid")) } else { String::new() };
        let _ = writeln!(lines, "agent      {}: identity {}{program}{pid}", shown(agent, "client"), shown(agent, "entry"));
    } else if frame.contains_key("task") {
        let _ = writeln!(lines, "agent      none: it asks as the host");
    }
    for client in objects(&frame, "clients") {
        let _ = writeln!(lines, "client     {} on {}", shown(client, "subject"), shown(client, "host"));
        let _ = writeln!(lines, "  may ask  {}", shown(client, "scopes"));
    }
    if frame.get("why").and_then(Json::as_str).is_some_and(|why| !why.is_empty()) {
        let _ = writeln!(lines, "why        {}", shown(&frame, "why"));
    }
    out::print(lines)?;
    Ok(exit::OK)
}

/// What the daemon says each path would ask of whom, by path; nothing where it cannot be reached.
fn planned(references: &[Reference]) -> Option<Frame> {
    let paths = paths(references);
    let mut fields = Frame::new();
    fields.insert("refs".into(), paths.iter().map(Path::as_str).collect());
    let frame = asked("plan", fields, "plan").ok()?;
    Some(objects(&frame, "refs").map(|one| (shown(one, "path"), Json::Object(one.clone()))).collect())
}

/// `prod: 1 of alice, bob, as host/db-1`
fn plan_line(plan: &Frame) -> String {
    if let Some(error) = plan.get("error").and_then(Json::as_object) {
        return format!("refused: {}", shown(error, "message"));
    }
    if plan.get("leased").and_then(Json::as_bool) == Some(true) {
        return format!("from a lease of {}; nobody is asked", shown(plan, "client"));
    }
    let people = shown(plan, "people").replace(' ', ", ");
    format!("asks {} of {people} as {}", shown(plan, "needed"), shown(plan, "client"))
}

/// `--dry-run`: which secrets would be asked for of whom, and where they would go. Nobody is asked.
pub fn dry_run(references: &[Reference], plan: Option<&Plan>, format: Format) -> Result<u8, Fault> {
    let planned = if references.is_empty() { Some(Frame::new()) } else { planned(references) };
    let names = |index: usize| -> Vec<String> {
        plan.into_iter().flat_map(|plan| plan.names(index)).map(|name| name.to_string_lossy().into_owned()).collect()
    };
    let asks =
        |reference: &Reference| planned.as_ref().and_then(|all| all.get(reference.path.as_str())).and_then(Json::as_object);
    if format == Format::Json {
        let all = references.iter().enumerate().map(|(index, reference)| {
            let mut one = Frame::new();
            one.insert("reference".into(), reference.to_string().into());
            one.insert("names".into(), names(index).into());
            if let Some(asks) = asks(reference) {
                one.insert("plan".into(), Json::Object(asks.clone()));
            }
            Json::Object(one)
        });
        out::print(text::json(&serde_json::json!({"v": 1, "references": all.collect::<Vec<_>>()})))?;
        return Ok(exit::OK);
    }
    for (index, reference) in references.iter().enumerate() {
        let names = names(index).join(", ");
        let names = if names.is_empty() { names } else { format!("  as {}", text::screen(&names)) };
        let asks = asks(reference).map_or(String::new(), |asks| format!("\n    {}", plan_line(asks)));
        out::print(format!("{reference}{names}{asks}\n"))?;
    }
    text::note(if planned.is_some() { "nobody was asked\n" } else { "nobody was asked; no daemon says who would be\n" });
    Ok(exit::OK)
}
