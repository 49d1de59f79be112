//! `--detach` asks and comes back at once; `wait` and `--handle` fetch what was asked. Ending `wait` does not withdraw it.

use serde_json::Value as Json;

use crate::ask::{Answer, Link, frame};
use crate::command::Wait;
use crate::fault::{Fault, Format, exit};
use crate::handle::Handle;
use crate::question::Question;
use crate::reference::{Field, Path};
use crate::socket::{Frame, refusal};
use crate::{deliver, out, text, waiting};

/// As long as any request can live, in seconds: so long `wait` waits unless it is told otherwise.
const LONGEST: u64 = 3600;

fn fields(handle: &Handle, wait: Option<u64>) -> Frame {
    let mut fields = Frame::new();
    fields.insert("handle".into(), handle.name.as_str().into());
    fields.insert("wait".into(), wait.unwrap_or(LONGEST).min(LONGEST).into());
    fields
}

/// Waits for the values and takes them. `needed` must all be there; without it, exactly one value.
pub fn take(handle: &Handle, needed: Option<&[Path]>, wait: Option<u64>, format: Format) -> Result<Answer, Fault> {
    let mut link = Link::open()?;
    let state = link.call("state", fields(handle, Some(0)), &[], "state", None, format)?;
    let paths = paths(&state)?;
    if needed.is_none() && paths.len() != 1 {
        let message = format!("{} holds the values of {} secrets", handle.name, paths.len());
        return Err(Fault::usage(message, format!("stillvault run --handle {} -- CMD ..", handle.name)));
    }
    if let Some(missing) = needed.into_iter().flatten().find(|path| !paths.contains(path)) {
        let message = format!("{} does not hold {missing}", handle.name);
        return Err(Fault::usage(message, "ask for everything that is needed, with --detach"));
    }
    link.values("take", fields(handle, wait), paths, wait, format)
}

fn paths(state: &Frame) -> Result<Vec<Path>, Fault> {
    let refs = state.get("refs").and_then(Json::as_array).into_iter().flatten();
    refs.map(|one| Path::parse(one.as_str().unwrap_or_default())).collect()
}

/// How the values of a handle will be fetched.
pub enum Fetch<'a> {
    /// One value by `wait`, maybe as a field of it.
    Wait(Option<&'a Field>),
    /// All of them by this verb with `--handle`, so that none is printed.
    Verb(&'static str),
}

/// Asks for `paths` and prints the handle, and how to go on with it.
pub fn detach(
    paths: &[Path],
    argv: Option<&[std::ffi::OsString]>,
    question: &Question,
    fetch: &Fetch<'_>,
    format: Format,
) -> Result<u8, Fault> {
    let mut link = Link::open()?;
    let mut event = link.call("ask", frame(paths, argv, question)?, &[], "handle", None, format)?;
    let name = event.get("handle").and_then(Json::as_str).unwrap_or_default();
    let (name, then) = match fetch {
        Fetch::Wait(field) => {
            let name = field.map_or_else(|| name.to_owned(), |field| format!("{name}#{}", field.as_str()));
            let then = format!("wait '{name}'");
            (name, then)
        }
        Fetch::Verb(verb) => (name.to_owned(), format!("{verb} --handle {name} ..")),
    };
    match format {
        Format::Json => {
            event.remove("event");
            event.insert("v".into(), 1.into());
            event.insert("handle".into(), name.into());
            out::print(text::json(&Json::Object(event)))?;
        }
        Format::Text => {
            out::print(format!("{name}\n"))?;
            if event.get("card").is_some() {
                text::note(&format!("{}\n", waiting::line(&event, waiting::now())));
            }
            text::note(&format!("  stillvault {then}\n"));
        }
    }
    Ok(exit::OK)
}

/// `wait`.
pub fn wait(wanted: &Wait, format: Format) -> Result<u8, Fault> {
    if wanted.state {
        return state(wanted, format);
    }
    deliver::check(&wanted.output, &format!("run --handle {} --env NAME=sv://PATH --", wanted.handle.name))?;
    let answer = take(&wanted.handle, None, wanted.patience, format)?;
    deliver::deliver(&answer, wanted.handle.field.as_ref(), &wanted.output, format)
}

/// Prints how it stands. Ends as taking it would, but for `ready` and `delivered`, which are both 0.
fn state(wanted: &Wait, format: Format) -> Result<u8, Fault> {
    let mut state =
        Link::open()?.call("state", fields(&wanted.handle, wanted.patience), &[], "state", wanted.patience, format)?;
    let word = state.get("state").and_then(Json::as_str).unwrap_or_default().to_owned();
    let error = state.get("error").cloned();
    if format == Format::Json {
        state.remove("event");
        state.insert("v".into(), 1.into());
        out::print(text::json(&Json::Object(state)))?;
    } else {
        out::print(format!("{}\n", text::screen(&word)))?;
    }
    if let Some(Json::Object(mut error)) = error {
        error.insert("event".into(), "error".into());
        return Err(refusal(&error));
    }
    if word == "pending" {
        let remedy = format!("come back: stillvault wait {} --state", wanted.handle.name);
        return Err(Fault::failed("pending", "nobody has decided yet; the handle stands", remedy).with_exit(exit::EXPIRED));
    }
    Ok(exit::OK)
}
