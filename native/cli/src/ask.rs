//! One question to the daemon, for all the values that a command needs.
//!
//! The order matters and is fixed here:
//!
//! 1. Signals are held back, so that an interrupt withdraws the question instead of tearing the process down.
//! 2. A pipe for each value; only the write ends go to the daemon.
//! 3. Wait, showing who was asked.
//! 4. After `delivered`, before the first byte is read: undumpable, no core files. Not earlier with a daemon of one's own user,
//!    which looks at `/proc/<pid>/exe` of its callers and may do that only while they are dumpable; a daemon of root may always,
//!    so there it comes first. Until 4 nothing of a value is in this process's memory.
//! 5. Each value is read to the end of its pipe and must have the length that was said.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Uid, pipe2};
use serde_json::Value as Json;

use crate::fault::{Fault, Format, exit};
use crate::question::{Question, claimed};
use crate::reference::{MAX_REFERENCES, Path};
use crate::signals::{Signals, ends_wait};
use crate::socket::{Daemon, Frame, refusal};
use crate::value::{CoreFiles, MAX_VALUE, Value};
use crate::waiting::Waiting;

/// What a pipe must hold, so that the daemon never waits for a reader: more than the largest value.
const PIPE: i32 = 64 * 1024;
/// A daemon may be a little late with its own word that time is up.
const GRACE: u64 = 5;

/// A value that was released, and what the daemon says about it.
pub struct Delivered {
    /// The value.
    pub value: Value,
    /// `version`, `revision`, `from`, `window`, `left`.
    pub facts: Frame,
}

/// What a question brought.
pub struct Answer {
    /// What was asked for.
    pub paths: Vec<Path>,
    /// One for each path, in their order.
    pub values: Vec<Delivered>,
    /// Signals, still held back.
    pub signals: Signals,
    /// The limit to give back to a child.
    pub core_files: CoreFiles,
}

/// A connection for values: signals are held, and this process is hidden as early as the daemon allows.
pub struct Link {
    /// The daemon.
    pub daemon: Daemon,
    signals: Signals,
    early: Option<CoreFiles>,
}

impl Link {
    /// Step 1.
    pub fn open() -> Result<Self, Fault> {
        let signals = Signals::hold()?;
        let daemon = Daemon::connect(Some(&signals))?;
        let early = if daemon.uid == Uid::effective() { None } else { Some(CoreFiles::forbid()?) };
        Ok(Self { daemon, signals, early })
    }

    /// Sends a frame and waits for `event`, showing who was asked; at most `patience` seconds and a little, where they are given.
    pub fn call(
        &mut self,
        verb: &str,
        fields: Frame,
        pipes: &[OwnedFd],
        event: &str,
        patience: Option<u64>,
        format: Format,
    ) -> Result<Frame, Fault> {
        self.daemon.send(verb, fields, pipes)?;
        wait(&mut self.daemon, &self.signals, event, patience, format)
    }

    /// Steps 2 to 5: the values of `paths`, by `verb`.
    pub fn values(
        mut self,
        verb: &str,
        fields: Frame,
        paths: Vec<Path>,
        patience: Option<u64>,
        format: Format,
    ) -> Result<Answer, Fault> {
        // 2
        let (readers, writers): (Vec<_>, Vec<_>) =
            paths.iter().map(|_| value_pipe()).collect::<Result<Vec<_>, _>>()?.into_iter().unzip();
        self.daemon.send(verb, fields, &writers)?;
        drop(writers);
        // 3
        let delivered = wait(&mut self.daemon, &self.signals, "delivered", patience, format)?;
        // 4
        let core_files = match self.early {
            Some(early) => early,
            None => CoreFiles::forbid()?,
        };
        // 5
        let values = receive(&paths, readers, delivered)?;
        Ok(Answer { paths, values, signals: self.signals, core_files })
    }
}

/// Asks for `paths`, which are distinct. `argv` is the command to be run, when there is one.
pub fn ask(paths: Vec<Path>, argv: Option<&[std::ffi::OsString]>, question: &Question, format: Format) -> Result<Answer, Fault> {
    let fields = frame(&paths, argv, question)?;
    Link::open()?.values("get", fields, paths, question.wait, format)
}

fn value_pipe() -> Result<(OwnedFd, OwnedFd), Fault> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(|e| Fault::system("a pipe for a value cannot be made", e.desc()))?;
    let size = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE));
    if size.is_ok_and(|size| size >= PIPE) {
        return Ok((reader, writer));
    }
    let remedy = "raise fs.pipe-user-pages-soft, or ask for fewer secrets at once";
    Err(Fault::failed("pipe", "the kernel gives this user no more pipes of 64 KiB", remedy))
}

/// The fields of a question.
pub fn frame(paths: &[Path], argv: Option<&[std::ffi::OsString]>, question: &Question) -> Result<Frame, Fault> {
    if paths.len() > MAX_REFERENCES {
        let message = format!("{} secrets at once; one card holds {MAX_REFERENCES}", paths.len());
        return Err(Fault::usage(message, "split the command"));
    }
    let mut fields = Frame::new();
    fields.insert("refs".into(), paths.iter().map(Path::as_str).collect());
    if let Some(argv) = argv {
        fields.insert("argv".into(), claimed(argv).into());
    }
    if let Some(reason) = &question.reason {
        fields.insert("reason".into(), reason.as_str().into());
    }
    let numbers = [("ttl", question.ttl), ("wait", question.wait), ("window", question.window), ("uses", question.uses)];
    for (name, number) in numbers {
        if let Some(number) = number {
            fields.insert(name.into(), number.into());
        }
    }
    Ok(fields)
}

/// Waits for `event`. An error of the daemon carries its own exit status.
fn wait(daemon: &mut Daemon, signals: &Signals, event: &str, patience: Option<u64>, format: Format) -> Result<Frame, Fault> {
    let mut waiting = Waiting::new(format);
    let end = patience.and_then(|seconds| Instant::now().checked_add(Duration::from_secs(seconds + GRACE)));
    loop {
        let left = end.map(|end| end.saturating_duration_since(Instant::now()));
        if left.is_some_and(|left| left.is_zero()) {
            let message = "nobody answered in the time that --wait gives; what was asked is withdrawn unless it has a handle";
            return Err(Fault::failed("expired", message, "ask again with a longer --wait").with_exit(exit::EXPIRED));
        }
        let pause = [left, waiting.tick()].into_iter().flatten().min();
        let timeout = pause.map_or(PollTimeout::NONE, |pause| PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX));
        let mut watched = [PollFd::new(signals.as_fd(), PollFlags::POLLIN), PollFd::new(daemon.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(problem) => return Err(Fault::system("poll", problem.desc())),
        }
        let [signalled, spoken] = watched.map(|fd| fd.any().unwrap_or(false));
        if signalled && let Some(fault) = signals.next().and_then(|came| ends_wait(came.signal)) {
            return Err(fault);
        }
        if !spoken {
            continue;
        }
        // One read may bring several frames: all of them are looked at before the socket is waited for again.
        let mut next = daemon.take()?;
        while let Some(frame) = next {
            match frame.get("event").and_then(Json::as_str) {
                Some("pending") => waiting.pending(frame),
                Some(came) if came == event => return Ok(frame),
                _ => return Err(refusal(&frame)),
            }
            next = daemon.whole()?;
        }
    }
}

fn receive(paths: &[Path], readers: Vec<OwnedFd>, mut delivered: Frame) -> Result<Vec<Delivered>, Fault> {
    let wrong = || Fault::untrusted("delivery", "the daemon delivered something else than was asked", "ask again");
    let Some(Json::Array(facts)) = delivered.remove("values") else { return Err(wrong()) };
    if facts.len() != paths.len() {
        return Err(wrong());
    }
    let mut values = Vec::with_capacity(paths.len());
    for ((path, reader), facts) in paths.iter().zip(readers).zip(facts) {
        let Json::Object(facts) = facts else { return Err(wrong()) };
        let length = facts.get("length").and_then(Json::as_u64).and_then(|length| usize::try_from(length).ok());
        let length = length.filter(|length| *length <= MAX_VALUE).ok_or_else(wrong)?;
        if facts.get("path").and_then(Json::as_str) != Some(path.as_str()) {
            return Err(wrong());
        }
        values.push(Delivered { value: Value::receive(File::from(reader), length)?, facts });
    }
    Ok(values)
}
