//! git's credential helpers (git-credential(1)): `name=value` lines in, `username` and `password` out.
//!
//! Only `get` does anything; `store`, `erase` and what later versions of git may add are none of our business, silently. A host that
//! this helper was not told of gets silence and 0, so that git goes on to its next helper. A host that it was told of and that
//! gets no credential ends with `quit`, so that git does not go on and ask a terminal.

use zeroize::Zeroizing;

use super::{Options, Released, one_line, question_text, release_one};
use crate::fault::{Fault, Format, exit};
use crate::out;
use crate::reference::Reference;
use crate::text;

/// What git wants a credential for.
#[derive(Default)]
struct Place {
    protocol: String,
    host: String,
    path: Option<String>,
    username: Option<String>,
}

impl Place {
    fn asked(text: &str) -> Result<Self, Fault> {
        let wrong = || Fault::usage("standard input is not what git writes", "configure it: git config credential.helper");
        let mut place = Self::default();
        let mut named = Vec::new();
        for line in text.split('\n').take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once('=').ok_or_else(wrong)?;
            // A URL can smuggle a line's end or a second host in; git's own lines hold no such thing.
            if line.contains(['\r', '\0']) || (matches!(name, "protocol" | "host" | "path" | "username") && named.contains(&name))
            {
                return Err(wrong());
            }
            named.push(name);
            match name {
                "protocol" => value.clone_into(&mut place.protocol),
                "host" => place.host = value.to_ascii_lowercase(),
                "path" => place.path = Some(value.to_owned()),
                "username" => place.username = Some(value.to_owned()),
                _ => {} // git-credential(1): what is not understood is ignored
            }
        }
        Ok(place)
    }

    /// `--for`: scheme, host and port are equal; a path, where one is named, is the same or above.
    fn parse(url: &str) -> Result<Self, Fault> {
        let Some((protocol, rest)) = url.split_once("://") else {
            return Err(Fault::usage("--for takes a URL", "--for https://git.example.com"));
        };
        let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_end_matches('/')));
        let path = Some(path.to_owned()).filter(|path| !path.is_empty());
        Ok(Self { protocol: protocol.to_owned(), host: host.to_ascii_lowercase(), path, username: None })
    }

    fn holds(&self, other: &Self) -> bool {
        let above = |mine: &String| {
            other
                .path
                .as_deref()
                .filter(|path| !path.split('/').any(|part| matches!(part, "." | "..")))
                .and_then(|path| path.strip_prefix(mine.as_str()))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.protocol == other.protocol && self.host == other.host && self.path.as_ref().is_none_or(above)
    }

    fn in_clear(&self) -> bool {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name);
        self.protocol != "https" && !matches!(name, "localhost" | "127.0.0.1" | "[::1]")
    }

    fn url(&self) -> String {
        let path = self.path.as_ref().map(|path| format!("/{path}")).unwrap_or_default();
        format!("{}://{}{path}", self.protocol, self.host)
    }
}

/// Answers one call of git.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    let asked = question_text()?;
    if options.operation.as_deref() != Some("get") {
        return Ok(exit::OK);
    }
    let Some(reference) = &options.reference else {
        let remedy = "git config credential.https://git.example.com.helper 'stillvault --ref sv://PATH'";
        return Err(Fault::usage("the helper was not told which secret to use", remedy));
    };
    let asked = Place::asked(&asked)?;
    let places = options.places.iter().map(|url| Place::parse(url)).collect::<Result<Vec<_>, _>>()?;
    if !places.is_empty() && !places.iter().any(|place| place.holds(&asked)) {
        return Ok(exit::OK);
    }
    // git names an account where the URL or its settings do: ours is another's, so it has nothing to say.
    if let (Some(theirs), Some(ours)) = (&asked.username, &options.username)
        && theirs != ours
    {
        return Ok(exit::OK);
    }
    answer(&asked, reference, places.is_empty(), options, format).inspect_err(|_| {
        let _ = out::print("quit=1\n");
    })
}

fn answer(asked: &Place, reference: &Reference, anywhere: bool, options: &Options, format: Format) -> Result<u8, Fault> {
    if anywhere && asked.in_clear() {
        let message = format!("{} is not https: the password would travel in the clear", text::cut(&asked.url(), 120));
        return Err(Fault::usage(message, "where that is meant, add --for with exactly this address"));
    }
    let released = release_one(reference, &["git", &asked.url()], &options.question, format)?;
    let wanted = asked.username.as_deref().or(options.username.as_deref()).map(str::as_bytes);
    let password = released.field(&["password", "PASSWORD", "token", "TOKEN"]);
    let held = released.field(&["username", "USERNAME", "user", "login"]).filter(|_| password.is_some());
    let held = held.as_ref().map(|held| held.as_slice());
    if let (Some(held), Some(wanted)) = (held, wanted)
        && held != wanted
    {
        let remedy = "name the secret of that account, or take the account out of the URL";
        return Err(Fault::failed("account", "the secret belongs to another account than git asked for", remedy));
    }
    let Some(username) = wanted.or(held) else {
        let remedy = format!("git config credential.{}.username NAME, or seal username=.. and password=.. lines", asked.url());
        return Err(Fault::usage("no user name: neither git, nor --username, nor the secret has one", remedy));
    };
    let password = one_line("the password", password.as_ref().unwrap_or(&released.bytes))?;
    write(one_line("the user name", username)?, password, &released)
}

fn write(username: &str, password: &str, released: &Released) -> Result<u8, Fault> {
    let mut whole = Zeroizing::new(Vec::with_capacity(username.len() + password.len() + 80));
    for part in ["username=", username, "\npassword=", password, "\n"] {
        whole.extend_from_slice(part.as_bytes());
    }
    // Newer gits hand this to helpers that keep passwords, which then forget it with the lease; older ones ignore it.
    if let Some(end) = released.end {
        whole.extend_from_slice(format!("password_expiry_utc={end}\n").as_bytes());
    }
    out::write(&whole).map(|()| exit::OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_holds_what_lies_below_it_and_nothing_beside() {
        let holds = |url: &str, asked: &str| {
            let (url, asked) = (Place::parse(url), Place::asked(asked));
            url.is_ok_and(|url| asked.is_ok_and(|asked| url.holds(&asked)))
        };
        assert!(holds("https://Git.Example/", "protocol=https\nhost=git.example\n\n"));
        assert!(holds("https://g:8443/team", "protocol=https\nhost=g:8443\npath=team/a.git\n"));
        for (url, asked) in [
            ("https://g", "protocol=http\nhost=g\n"),
            ("https://g", "protocol=https\nhost=g.evil\n"),
            ("https://g", "protocol=https\nhost=g:444\n"),
            ("https://g/team", "protocol=https\nhost=g\npath=teammate/a\n"),
            ("https://g/team", "protocol=https\nhost=g\n"),
            ("https://g", "\nprotocol=https\nhost=g\n"),
            ("https://g/team", "protocol=https\nhost=g\npath=team/../other/a\n"),
            ("https://g", "protocol=https\nhost=g\r\n"),
            ("https://g", "protocol=https\nhost=evil\rhost=g\n"),
            ("https://g", "protocol=https\nhost=evil\nhost=g\n"),
            ("https://g", "protocol=https\nhost=g\0\n"),
        ] {
            assert!(!holds(url, asked), "{url} {asked}");
        }
    }

    #[test]
    fn only_https_and_this_machine_are_not_in_the_clear() {
        let clear = |text: &str| Place::asked(text).is_ok_and(|place| place.in_clear());
        assert!(
            clear("protocol=http\nhost=g\n") && clear("protocol=ftp\nhost=g\n") && clear("protocol=http\nhost=localhost.evil\n")
        );
        assert!(!clear("protocol=https\nhost=g\n") && !clear("protocol=http\nhost=127.0.0.1:80\n"));
    }
}
