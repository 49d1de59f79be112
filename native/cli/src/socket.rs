//! The daemon's socket: found, judged before a byte is sent, and spoken to in frames.
//!
//! A frame is a length (32 bits, big-endian) and that many bytes of canonical JSON, at most 256 KiB. Values never travel in
//! frames: a frame carries the write ends of pipes, and the values come through those.

use std::io::{IoSlice, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, getsockopt, sendmsg, sockopt};
use nix::unistd::Uid;
use serde_json::{Map, Value as Json};

use crate::fault::{Fault, exit};
use crate::signals::{Signals, ends_wait};

/// The largest frame, in bytes.
const MAX_FRAME: usize = 256 * 1024;
/// The longest path that a socket address holds, in bytes (unix(7): 108 with the final zero).
const MAX_SOCKET_PATH: usize = 107;
/// How long a daemon may take for its first word.
const HELLO: Duration = Duration::from_secs(10);
const SYSTEM_SOCKET: &str = "/run/stillvault/daemon.sock";
const START: &str = "start it with: stillvault daemon, or name its socket in STILLVAULT_SOCKET";

/// A frame's fields.
pub type Frame = Map<String, Json>;

/// A connection to the daemon. Closing it withdraws what is being asked.
pub struct Daemon {
    stream: UnixStream,
    nonce: Option<Json>,
    received: Vec<u8>,
    /// Who runs the daemon, from the kernel.
    pub uid: Uid,
}

impl Daemon {
    /// Finds the socket, judges it, connects, and takes the daemon's first word. With `signals` held back, one of them ends that.
    pub fn connect(signals: Option<&Signals>) -> Result<Self, Fault> {
        let path = find();
        let shown = path.display();
        if path.as_os_str().as_bytes().len() > MAX_SOCKET_PATH {
            let message = format!("the path of the daemon's socket is longer than {MAX_SOCKET_PATH} bytes: {shown}");
            return Err(Fault::usage(message, "name a shorter one in STILLVAULT_SOCKET and at stillvault daemon --socket"));
        }
        trusted(&path)?;
        let stream = UnixStream::connect(&path).map_err(|problem| match problem.kind() {
            std::io::ErrorKind::ConnectionRefused => {
                Fault::unavailable("daemon-stale", format!("nobody listens at {shown}: the daemon ended"), START)
            }
            std::io::ErrorKind::PermissionDenied => {
                let remedy = "ask as the user who runs that daemon, or start your own: stillvault daemon";
                Fault::unavailable("daemon-closed", format!("this user may not connect to {shown}"), remedy)
            }
            _ => Fault::unavailable("daemon", format!("{shown}: {problem}"), START),
        })?;
        // The kernel's word on who listens: a file of the right owner may have been bound by another.
        let listener = getsockopt(&stream, sockopt::PeerCredentials).map_err(|e| Fault::system("SO_PEERCRED", e.desc()))?;
        let uid = Uid::from_raw(listener.uid());
        if !ours(uid) {
            let message = format!("user {uid} listens at {shown}, neither root nor you; nothing was sent");
            return Err(Fault::untrusted("daemon-uid", message, "tell the person who looks after this host"));
        }
        let mut daemon = Self { stream, nonce: None, received: Vec::new(), uid };
        daemon.hello(signals)?;
        Ok(daemon)
    }

    fn hello(&mut self, signals: Option<&Signals>) -> Result<(), Fault> {
        let timeout = PollTimeout::try_from(HELLO).unwrap_or(PollTimeout::MAX);
        loop {
            let mut watched = vec![PollFd::new(self.stream.as_fd(), PollFlags::POLLIN)];
            watched.extend(signals.map(|signals| PollFd::new(signals.as_fd(), PollFlags::POLLIN)));
            match poll(&mut watched, timeout) {
                Ok(0) => return Err(Fault::unavailable("daemon-silent", "the daemon does not answer", "start it again")),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(problem) => return Err(Fault::system("poll", problem.desc())),
            }
            if let Some(fault) = signals.and_then(Signals::next).and_then(|came| ends_wait(came.signal)) {
                return Err(fault);
            }
            if !watched.first().and_then(PollFd::any).unwrap_or(false) {
                continue;
            }
            if let Some(frame) = self.take()? {
                if frame.contains_key("event") {
                    return Err(refusal(&frame)); // it has looked at the caller and serves it nothing
                }
                self.nonce = frame.get("nonce").filter(|nonce| nonce.is_string()).cloned();
                return if self.nonce.is_some() { Ok(()) } else { Err(garbled("its first word has no nonce")) };
            }
        }
    }

    /// Sends one frame, with the descriptors that it needs.
    pub fn send(&mut self, verb: &str, mut fields: Frame, descriptors: &[OwnedFd]) -> Result<(), Fault> {
        fields.insert("v".into(), 1.into());
        fields.insert("verb".into(), verb.into());
        if let Some(nonce) = self.nonce.take() {
            fields.insert("nonce".into(), nonce);
        }
        let body = Json::Object(fields).to_string();
        let length = u32::try_from(body.len()).ok().filter(|_| body.len() <= MAX_FRAME);
        let Some(length) = length else {
            return Err(Fault::usage("the question is larger than the daemon takes", "shorten the command or the reason"));
        };
        let mut whole = length.to_be_bytes().to_vec();
        whole.extend_from_slice(body.as_bytes());
        let raw: Vec<_> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
        let mut sent = 0;
        while let Some(rest) = whole.get(sent..).filter(|rest| !rest.is_empty()) {
            // The descriptors ride with the first byte.
            let rights = [ControlMessage::ScmRights(&raw)];
            let control = if sent == 0 && !raw.is_empty() { rights.as_slice() } else { &[] };
            match sendmsg::<()>(self.stream.as_raw_fd(), &[IoSlice::new(rest)], control, MsgFlags::MSG_NOSIGNAL, None) {
                Ok(count) => sent += count,
                Err(Errno::EINTR) => {}
                Err(_) => return Err(gone()),
            }
        }
        Ok(())
    }

    /// Waits for the next frame.
    pub fn receive(&mut self) -> Result<Frame, Fault> {
        loop {
            if let Some(frame) = self.take()? {
                return Ok(frame);
            }
        }
    }

    /// One read, and the next frame when it is whole. Waits for bytes unless the socket was polled before.
    pub fn take(&mut self) -> Result<Option<Frame>, Fault> {
        if let Some(frame) = self.whole()? {
            return Ok(Some(frame));
        }
        let mut bytes = [0; 8192];
        match self.stream.read(&mut bytes) {
            Ok(0) => return Err(gone()),
            Ok(count) => self.received.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(problem) if problem.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(gone()),
        }
        self.whole()
    }

    /// The next frame that is here already.
    pub fn whole(&mut self) -> Result<Option<Frame>, Fault> {
        let Some(length) = self.received.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > MAX_FRAME {
            return Err(garbled("a frame is larger than 256 KiB"));
        }
        let Some(body) = self.received.get(4..4 + length) else { return Ok(None) };
        let Ok(Json::Object(frame)) = serde_json::from_slice(body) else {
            return Err(garbled("a frame is not a JSON object"));
        };
        self.received.drain(..4 + length);
        Ok(Some(frame))
    }
}

impl AsFd for Daemon {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The daemon's own word why not.
pub fn refusal(frame: &Frame) -> Fault {
    let word = |field: &str| frame.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    if frame.get("event").and_then(Json::as_str) != Some("error") {
        return garbled("it said something that this version does not know");
    }
    let status = frame.get("exit").and_then(Json::as_u64).and_then(|status| u8::try_from(status).ok());
    let status = status.filter(|status| matches!(status, 1 | 2 | 10..=16)).unwrap_or(exit::ERROR);
    let check = word("check");
    // Status 15 is named by its check.
    let code = if status == exit::UNTRUSTED && !check.is_empty() { check } else { word("code") };
    let code = if code.is_empty() { "daemon".to_owned() } else { code };
    Fault { code, exit: status, message: word("message"), remedy: word("remedy") }
}

fn gone() -> Fault {
    Fault::unavailable("daemon-gone", "the daemon closed the connection", "look at its messages, then ask again")
}

fn garbled(why: &str) -> Fault {
    let remedy = "run the daemon and this program from the same installation";
    Fault::unavailable("daemon-speech", format!("what answers does not speak as a Stillvault daemon: {why}"), remedy)
}

/// `STILLVAULT_SOCKET`, else this user's own daemon where there is one, else the system's.
fn find() -> PathBuf {
    if let Some(path) = std::env::var_os("STILLVAULT_SOCKET").filter(|path| !path.is_empty()) {
        return PathBuf::from(path);
    }
    if let Some(runtime) = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        let own = Path::new(&runtime).join("stillvault/daemon.sock");
        if own.symlink_metadata().is_ok() {
            return own;
        }
    }
    PathBuf::from(SYSTEM_SOCKET)
}

fn ours(uid: Uid) -> bool {
    uid.is_root() || uid == Uid::effective()
}

/// Judges the socket before anything is sent to it, so that a squatter learns not even what was wanted.
fn trusted(path: &Path) -> Result<(), Fault> {
    let shown = path.display();
    let absent = |problem: &std::io::Error| match problem.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
            Fault::unavailable("daemon-absent", format!("there is no daemon's socket at {shown}"), START)
        }
        std::io::ErrorKind::PermissionDenied => {
            let remedy = "ask as the user who runs that daemon, or start your own: stillvault daemon";
            Fault::unavailable("daemon-closed", format!("this user may not reach {shown}"), remedy)
        }
        _ => Fault::unavailable("daemon-absent", format!("{shown}: {problem}"), START),
    };
    // 1. The directory: nobody else could have put the socket there.
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.metadata().map_err(|problem| absent(&problem))?;
    if !ours(Uid::from_raw(directory.uid())) {
        let message = format!("the directory of {shown} belongs to user {}, neither root nor you", directory.uid());
        return Err(Fault::untrusted("socket-directory", message, "use a socket in a directory of root or your own"));
    }
    if directory.mode() & 0o022 != 0 {
        let message = format!("others can write the directory of {shown} (mode {:04o})", directory.mode() & 0o7777);
        return Err(Fault::untrusted("socket-directory", message, format!("chmod go-w {}", parent.display())));
    }
    // 2. The socket itself, not what a link points to.
    let socket = path.symlink_metadata().map_err(|problem| absent(&problem))?;
    if socket.file_type().is_symlink() {
        return Err(Fault::untrusted("socket-link", format!("{shown} is a link"), "name the socket itself in STILLVAULT_SOCKET"));
    }
    if !socket.file_type().is_socket() {
        let kind = if socket.is_dir() { "directory" } else { "file" };
        let remedy = "name the daemon's socket in STILLVAULT_SOCKET";
        return Err(Fault::unavailable("daemon-absent", format!("{shown} is a {kind}, not a socket"), remedy));
    }
    if !ours(Uid::from_raw(socket.uid())) {
        let message = format!("{shown} belongs to user {}, neither root nor you; nothing was sent", socket.uid());
        return Err(Fault::untrusted("socket-owner", message, "tell the person who looks after this host"));
    }
    Ok(())
}
