//! Docker credential helpers, which podman, skopeo and buildah use too: `get` and `list`; `store` and `erase` are refused.
//!
//! The protocol gives a helper no arguments, so a table says which secret belongs to which registry: `--map`, else
//! `~/.config/stillvault/registries`, else `/etc/stillvault/registries`. Errors go to standard output as well, where the protocol
//! wants them.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::table::{self, Row};
use super::{Options, one_line, question_text, release_one};
use crate::fault::{Fault, Format, exit};
use crate::forms::{Escapes, json_escaped};
use crate::out;
use crate::text;

const SYSTEM_TABLE: &str = "/etc/stillvault/registries";
/// What callers compare with: they go on without a credential then.
const NOT_FOUND: &str = "credentials not found in native keychain\n";

/// Answers one call.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    let answered = match options.operation.as_deref() {
        Some("get") => get(options, format),
        Some("list") => list(options),
        Some("store" | "erase") => {
            let _ = question_text(); // it may hold a password, so it is taken and forgotten
            let remedy = "stillvault seal PATH, and name it for the registry in ~/.config/stillvault/registries";
            Err(Fault::failed("read-only", "Stillvault keeps what people seal, and takes or drops no login from here", remedy))
        }
        _ => Err(Fault::usage("docker-credential-stillvault takes get, list, store or erase", "see stillvault help credential")),
    };
    answered.inspect_err(|fault| {
        let _ = out::print(format!("stillvault: {}: {}\n", text::screen(&fault.code), text::screen(&fault.message)));
    })
}

fn rows(options: &Options) -> Result<Vec<Row>, Fault> {
    if let Some(named) = &options.map {
        return table::read(named, 1);
    }
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let own = variable("XDG_CONFIG_HOME").or_else(|| variable("HOME").map(|home| home.join(".config")));
    let own = own.map(|directory| directory.join("stillvault/registries")).filter(|file| file.exists());
    match own {
        Some(file) => table::read(&file, 1),
        None if std::path::Path::new(SYSTEM_TABLE).exists() => table::read(SYSTEM_TABLE.as_ref(), 1),
        None => Ok(Vec::new()),
    }
}

/// A registry without what clients put around it: `https://index.docker.io/v1/` and `index.docker.io` are one.
fn bare(server: &str) -> &str {
    let server = server.strip_prefix("https://").unwrap_or(server).trim_end_matches('/');
    server.strip_suffix("/v1").or_else(|| server.strip_suffix("/v2")).unwrap_or(server)
}

fn get(options: &Options, format: Format) -> Result<u8, Fault> {
    let server = question_text()?;
    let server = server.trim();
    let rows = rows(options)?;
    let row = rows.iter().find(|row| row.words.first().is_some_and(|name| bare(name) == bare(server)));
    let Some(row) = row.filter(|_| !server.is_empty()) else {
        return out::print(NOT_FOUND).map(|()| exit::ERROR);
    };
    let released = release_one(&row.reference, &["registry", server], &options.question, format)?;
    let secret = released.field(&["password", "PASSWORD", "token", "TOKEN"]);
    let held = released.field(&["username", "USERNAME", "user", "login"]).filter(|_| secret.is_some());
    let Some(username) = row.username.as_deref().map(str::as_bytes).or(held.as_ref().map(|held| held.as_slice())) else {
        let remedy = "add username=NAME to its line of the table, or seal username=.. and password=.. lines";
        return Err(Fault::usage("no user name: neither the table nor the secret has one", remedy));
    };
    let username = one_line("the user name", username)?;
    let secret = one_line("the password", secret.as_ref().unwrap_or(&released.bytes))?;
    let parts = [("{\"ServerURL\":\"", server), ("\",\"Username\":\"", username), ("\",\"Secret\":\"", secret)];
    let mut whole = Zeroizing::new(Vec::with_capacity((server.len() + username.len() + secret.len()) * 6 + 64));
    for (before, part) in parts {
        whole.extend_from_slice(before.as_bytes());
        whole.extend_from_slice(&json_escaped(part, Escapes::Few));
    }
    whole.extend_from_slice(b"\"}\n");
    out::write(&whole).map(|()| exit::OK)
}

/// The registries of the table. Nobody is asked, so a user name that stands only in a secret is not shown.
fn list(options: &Options) -> Result<u8, Fault> {
    let name = |row: &Row| row.username.clone().unwrap_or_default();
    let known = rows(options)?.iter().filter_map(|row| Some((row.words.first()?.clone(), name(row).into()))).collect();
    out::print(text::json(&serde_json::Value::Object(known))).map(|()| exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_by_its_host_and_path() {
        assert_eq!(bare("https://index.docker.io/v1/"), "index.docker.io");
        assert_eq!(bare("r.example:5000/team/"), "r.example:5000/team");
        assert_ne!(bare("http://r.example"), bare("r.example"));
    }
}
