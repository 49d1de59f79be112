//! Podman's shell secret driver: `store`, `lookup`, `list` and `delete`, with the secret's id in `SECRET_ID`.
//!
//! What is stored is a reference and nothing else: `printf sv://prod/db | podman secret create db -`. A lookup asks for it. A value
//! that somebody tries to store is refused, so that none ever lies in this directory.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::unistd::Uid;

use super::{Options, question_text, release_one};
use crate::fault::{Fault, Format, exit};
use crate::out;
use crate::reference::Reference;

const SYSTEM_DIRECTORY: &str = "/var/lib/stillvault/podman";
/// The longest id, in bytes.
const MAX_ID: usize = 128;

/// Answers one call.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    let directory = directory(options)?;
    match options.operation.as_deref() {
        Some("store") => store(&directory.join(id()?)),
        Some("lookup") => {
            let id = id()?;
            let text = std::fs::read_to_string(directory.join(&id)).map_err(|_| unknown(&id))?;
            let reference = Reference::parse(text.trim_end_matches('\n'))?;
            let released = release_one(&reference, &["podman", "secret", &id], &options.question, format)?;
            out::write(&released.bytes).map(|()| exit::OK)
        }
        Some("delete") => {
            let id = id()?;
            std::fs::remove_file(directory.join(&id)).map_err(|_| unknown(&id)).map(|()| exit::OK)
        }
        Some("list") => list(&directory),
        _ => Err(Fault::usage(
            "stillvault credential podman takes store, lookup, list or delete",
            "see stillvault help credential",
        )),
    }
}

fn directory(options: &Options) -> Result<PathBuf, Fault> {
    if let Some(named) = &options.directory {
        return Ok(named.clone());
    }
    if Uid::effective().is_root() {
        return Ok(PathBuf::from(SYSTEM_DIRECTORY));
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")));
    let data = data.ok_or_else(|| Fault::usage("neither HOME nor XDG_DATA_HOME is set", "name a directory with --dir"))?;
    Ok(data.join("stillvault/podman"))
}

/// The id that podman gave, if it can be the name of a file.
fn id() -> Result<String, Fault> {
    let id = std::env::var("SECRET_ID").unwrap_or_default();
    if !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return Ok(id);
    }
    Err(Fault::usage("SECRET_ID is not the id of a podman secret", "this is for podman's shell driver, which sets it"))
}

fn unknown(id: &str) -> Fault {
    Fault::failed("podman-secret", format!("no reference is kept for {id}"), "make the secret again: podman secret create")
}

fn store(file: &std::path::Path) -> Result<u8, Fault> {
    let text = question_text()?;
    let Ok(reference) = Reference::parse(text.trim_end_matches('\n')) else {
        let message = "what is stored here is a reference and never a value; nothing was kept";
        return Err(Fault::usage(message, "printf sv://PATH | podman secret create NAME -"));
    };
    let written = || {
        if let Some(parent) = file.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
        writeln!(file, "{reference}")?;
        file.sync_all()
    };
    written().map_err(|problem| Fault::failed("podman-secret", format!("{}: {problem}", file.display()), "nothing was kept"))?;
    Ok(exit::OK)
}

fn list(directory: &std::path::Path) -> Result<u8, Fault> {
    let mut ids: Vec<String> = match std::fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect(),
        Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(problem) => return Err(Fault::failed("podman-secret", format!("{}: {problem}", directory.display()), "")),
    };
    ids.sort_unstable();
    let lines: Vec<String> = ids.into_iter().map(|id| id + "\n").collect();
    out::print(lines.concat()).map(|()| exit::OK)
}
