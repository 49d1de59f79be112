//! systemd's `LoadCredential=NAME:/socket` (systemd.exec(5)): whoever connects says by its own address which unit wants what.
//!
//! The address is in the abstract namespace: `<random>/unit/<unit>/<credential>`. Any process could bind one, so only root and
//! our own account are answered, and root's table says which secret belongs to which unit and credential.
//!
//! With `--socket` this serves, each connection by a process of its own; without, standard input is the connection, as systemd
//! starts it for a socket unit with `Accept=yes`.
//!
//! **A refusal is longer than any credential.** systemd takes what it read until the connection ends, so a plain close would start
//! the unit with an empty credential. More than its limit (1 MiB) ends the start with 243/CREDENTIALS.

use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{UnixAddr, getpeername, getsockopt, sockopt};
use nix::sys::stat::{Mode, umask};
use nix::unistd::Uid;

use super::table::{self, Row};
use super::{Options, release_one};
use crate::fault::{Fault, Format, exit};
use crate::out;
use crate::signals::{Signals, ends_wait};
use crate::text;

const TABLE: &str = "/etc/stillvault/systemd-credentials";
/// More than systemd takes, also of an encrypted credential, in bytes.
const TOO_MUCH: usize = 2 * 1024 * 1024;
/// So many units may wait for people at once.
const MOST: usize = 64;

/// Serves, or answers one connection.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    if let Some(word) = &options.operation {
        return Err(super::unexpected(word));
    }
    let map = options.map.clone().unwrap_or_else(|| PathBuf::from(TABLE));
    match &options.socket {
        Some(socket) => listen(socket, &map, options),
        None => answer(&map, options, format).inspect_err(|_| {
            let _ = out::write(&vec![0; TOO_MUCH]);
        }),
    }
}

fn answer(map: &FilePath, options: &Options, format: Format) -> Result<u8, Fault> {
    // The server's end is ours: nobody asks on for a connection that it held.
    let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGTERM);
    let (unit, credential) = asked()?;
    let rows = table::read(map, 2)?;
    let Some(row) = rows.iter().find(|row| matches(row, &unit, &credential)) else {
        let message = format!("{} names no secret for {unit} {credential}", map.display());
        return Err(Fault::usage(message, "add a line: UNIT CREDENTIAL sv://PATH"));
    };
    let answered = Arc::new(AtomicBool::new(false));
    withdraw_when_left(answered.clone());
    let released = release_one(&row.reference, &["systemd", &unit, &credential], &options.question, format);
    answered.store(true, Ordering::SeqCst);
    let released = released?;
    out::write(&released.bytes).map(|()| exit::OK)
}

/// Ends this process, and with it the question, when whoever connected goes away before people answered: systemd gave up the start.
fn withdraw_when_left(answered: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let connection = std::io::stdin();
        loop {
            // No event is asked for: a connection that is closed for good is told all the same, one that has nothing to say is not.
            let mut watched = [PollFd::new(connection.as_fd(), PollFlags::empty())];
            match poll(&mut watched, PollTimeout::NONE) {
                Err(Errno::EINTR) => {}
                Ok(_) if !answered.load(Ordering::SeqCst) => std::process::exit(i32::from(exit::ERROR)),
                _ => return,
            }
        }
    });
}

/// Which unit wants what, by the address of whoever connected; root and our own account alone may say so.
fn asked() -> Result<(String, String), Fault> {
    let connection = std::io::stdin();
    let remedy = "start this from a socket unit with Accept=yes, or with --socket";
    let not_connected = || Fault::usage("standard input is not a connection of systemd", remedy);
    let address = getpeername::<UnixAddr>(std::os::fd::AsRawFd::as_raw_fd(&connection)).map_err(|_| not_connected())?;
    let peer = getsockopt(&connection.as_fd(), sockopt::PeerCredentials).map_err(|_| not_connected())?;
    let peer = Uid::from_raw(peer.uid());
    if !(peer.is_root() || peer == Uid::effective()) {
        let message = format!("user {peer} connected, neither root nor this account; nothing was asked");
        return Err(Fault::untrusted("credential-peer", message, "let systemd alone reach the socket"));
    }
    named(address.as_abstract().unwrap_or_default()).ok_or_else(not_connected)
}

/// `<random>/unit/<unit>/<credential>`.
fn named(address: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(address).ok().filter(|text| !text.contains(char::is_control))?;
    let mut parts = text.split('/');
    let (random, kind, unit, credential) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let whole = !random.is_empty() && kind == "unit" && !unit.is_empty() && !credential.is_empty() && parts.next().is_none();
    whole.then(|| (unit.to_owned(), credential.to_owned()))
}

/// `app@.service` in the table stands for all its instances.
fn matches(row: &Row, unit: &str, credential: &str) -> bool {
    let template = unit.split_once('@').and_then(|(name, rest)| Some(format!("{name}@.{}", rest.rsplit_once('.')?.1)));
    let [wanted, name] = row.words.as_slice() else { return false };
    name == credential && (wanted == unit || Some(wanted) == template.as_ref())
}

fn listen(socket: &FilePath, map: &FilePath, options: &Options) -> Result<u8, Fault> {
    table::read(map, 2)?; // what is wrong with it is said now, and again at each connection
    let signals = Signals::hold()?;
    let listener = bind(socket)?;
    out::print(text::json(&serde_json::json!({"v": 1, "event": "ready", "socket": socket.to_string_lossy()})))?;
    let served = accept(&listener, &signals, map, options);
    let _ = std::fs::remove_file(socket);
    served
}

/// A socket for root and this account alone. One that a dead server left is replaced; a living one never.
fn bind(socket: &FilePath) -> Result<UnixListener, Fault> {
    let shown = socket.display();
    let parent = socket.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(FilePath::new("."));
    let held = parent.metadata().map_err(|problem| Fault::usage(format!("{}: {problem}", parent.display()), "make it first"))?;
    if !(held.uid() == 0 || held.uid() == Uid::effective().as_raw()) || held.mode() & 0o022 != 0 {
        let message = format!("others can write {}", parent.display());
        return Err(Fault::untrusted("socket-directory", message, "put the socket into a directory of root or your own"));
    }
    if let Ok(found) = socket.symlink_metadata() {
        if !found.file_type().is_socket() || UnixStream::connect(socket).is_ok() {
            return Err(Fault::failed("socket-taken", format!("{shown} is in use"), "end what serves it, or name another"));
        }
        let _ = std::fs::remove_file(socket);
    }
    let before = umask(Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(socket);
    umask(before);
    listener.map_err(|problem| Fault::failed("socket", format!("{shown}: {problem}"), "name another with --socket"))
}

fn accept(listener: &UnixListener, signals: &Signals, map: &FilePath, options: &Options) -> Result<u8, Fault> {
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let mut watched = [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(problem) => return Err(Fault::system("poll", problem.desc())),
        }
        let [called, signalled] = watched.map(|fd| fd.any().unwrap_or(false));
        if signalled && signals.next().is_some_and(|came| ends_wait(came.signal).is_some()) {
            return Ok(exit::OK);
        }
        if !called {
            continue;
        }
        if let Ok((connection, _)) = listener.accept()
            && let Err(problem) = hand_over(connection, map, options, &busy)
        {
            text::note(&format!("stillvault: a connection was not served: {problem}\n"));
        }
    }
}

/// One process for one connection: a value is in no memory but that one's.
fn hand_over(connection: UnixStream, map: &FilePath, options: &Options, busy: &Arc<AtomicUsize>) -> std::io::Result<()> {
    if busy.load(Ordering::Relaxed) >= MOST {
        refuse(connection);
        return Err(std::io::Error::other("too many units wait already"));
    }
    let mut command = Command::new(std::fs::read_link("/proc/self/exe")?);
    command.args(["credential", "systemd", "--map"]).arg(map);
    let asked = &options.question;
    let numbers = [("--ttl", asked.ttl), ("--wait", asked.wait), ("--window", asked.window), ("--uses", asked.uses)];
    for (flag, number) in numbers {
        if let Some(number) = number {
            command.arg(flag).arg(number.to_string());
        }
    }
    if let Some(reason) = &options.question.reason {
        command.arg("--reason").arg(reason);
    }
    let output = connection.try_clone()?;
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(connection))).stdout(Stdio::from(std::os::fd::OwnedFd::from(output)));
    let mut child = command.spawn()?;
    drop(command); // and with it our two descriptors of the connection
    busy.fetch_add(1, Ordering::Relaxed);
    let busy = busy.clone();
    std::thread::spawn(move || {
        let _ = child.wait();
        busy.fetch_sub(1, Ordering::Relaxed);
    });
    Ok(())
}

/// On a thread of its own: whoever connected may read slowly.
fn refuse(mut connection: UnixStream) {
    std::thread::spawn(move || std::io::Write::write_all(&mut connection, &vec![0; TOO_MUCH]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_whole() {
        assert_eq!(named(b"1f/unit/web.service/db"), Some(("web.service".into(), "db".into())));
        for bad in [
            &b""[..],
            b"1f/unit/web.service",
            b"1f/unit/web.service/db/x",
            b"/unit/a/b",
            b"1/user/a/b",
            b"1/unit//b",
            b"1/unit/a/",
            b"1/unit/a\n/b",
            b"\xff/unit/a/b",
        ] {
            assert_eq!(named(bad), None, "{bad:?}");
        }
    }
}
