//! Starting a program, being told of its end, and standing between it and the terminal.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{AccessFlags, Pid, access, pipe2};
use zeroize::Zeroizing;

use crate::environment::Environment;
use crate::fault::{Fault, exit};
use crate::mask::{Masker, Patterns};
use crate::signals::{Signals, ends_wait};

/// What one read takes of the child's output, in bytes.
const CHUNK: usize = 64 * 1024;

/// Finds the program as the child's `PATH` would, so that nobody is asked for a command that cannot be run.
pub fn find(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Fault> {
    let candidates: Vec<PathBuf> = if program.as_bytes().contains(&b'/') {
        vec![program.into()]
    } else if program.is_empty() {
        Vec::new()
    } else {
        std::env::split_paths(path.unwrap_or(OsStr::new("/bin:/usr/bin"))).map(|directory| directory.join(program)).collect()
    };
    if let Some(found) = candidates.iter().find(|file| access(*file, AccessFlags::X_OK).is_ok() && file.is_file()) {
        return Ok(found.clone());
    }
    let name = program.to_string_lossy();
    if candidates.iter().any(|file| file.exists()) {
        let fault =
            Fault::failed("not-executable", format!("{name} cannot be executed; nobody was asked"), "look at its permissions");
        return Err(fault.with_exit(exit::NOT_EXECUTABLE));
    }
    let fault =
        Fault::failed("not-found", format!("there is no command {name}; nobody was asked"), "look at its name and at PATH");
    Err(fault.with_exit(exit::NOT_FOUND))
}

fn not_started(file: &Path, problem: Errno) -> Fault {
    let (name, why) = (file.display(), problem.desc());
    match problem {
        Errno::ENOENT => Fault::failed("not-found", format!("there is no command {name}"), "").with_exit(exit::NOT_FOUND),
        Errno::E2BIG => {
            let message = "the environment is larger than the kernel gives to a program";
            Fault::failed("environment", message, "ask for fewer or smaller secrets at once").with_exit(exit::TOOL_FAILED)
        }
        Errno::EACCES | Errno::ENOEXEC | Errno::EISDIR | Errno::EPERM | Errno::ELIBBAD => {
            Fault::failed("not-executable", format!("{name} cannot be executed: {why}"), "").with_exit(exit::NOT_EXECUTABLE)
        }
        _ => Fault::failed("start", format!("{name} could not be started: {why}"), "").with_exit(exit::TOOL_FAILED),
    }
}

/// Becomes the command. Comes back only with the reason why not.
pub fn become_it(file: &Path, words: &[OsString], environment: &Environment) -> Fault {
    let mut command = Command::new(file);
    command.arg0(words.first().map_or(OsStr::new(""), |word| word)).args(words.iter().skip(1));
    command.env_clear().envs(environment.iter());
    not_started(file, command.exec().raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw))
}

/// Runs the command with its output masked, tells it of signals, and gives its exit status as a shell does.
pub fn run_masked(
    file: &Path,
    words: &[OsString],
    environment: Environment,
    patterns: Patterns,
    signals: &Signals,
) -> Result<u8, Fault> {
    let ((out, stdout), (err, stderr), (ended, pumping)) = (pipe()?, pipe()?, pipe()?);
    let pid = spawn(file, words, &environment, [&stdout, &stderr], signals)?;
    // The child has its own copy; ours is wiped, and the pipes end when the child's ends do.
    drop((environment, stdout, stderr));
    let shared = (Arc::new(patterns), Arc::new(pumping));
    let streams = [pumped(out, std::io::stdout(), &shared), pumped(err, std::io::stderr(), &shared)];
    drop(shared);
    let status = attend(pid, signals)?;
    if !drained(&ended, signals)? {
        return Ok(status);
    }
    for stream in streams {
        let passed_on = stream.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread ended early")));
        passed_on.map_err(|problem| {
            let message = format!("the command's output could not be passed on: {problem}");
            let remedy = "it ran; look at the file or device behind the output";
            Fault::failed("output", message, remedy).with_exit(exit::TOOL_FAILED)
        })?;
    }
    Ok(status)
}

type Pumping = std::thread::JoinHandle<std::io::Result<()>>;

/// One stream on a thread of its own, so that a slow reader of one does not hold up the other. The shared pipe ends with the last.
fn pumped(from: File, to: impl Write + Send + 'static, shared: &(Arc<Patterns>, Arc<OwnedFd>)) -> Pumping {
    let (patterns, pumping) = shared.clone();
    std::thread::spawn(move || {
        let passed_on = pump(from, to, &patterns);
        drop(pumping);
        passed_on
    })
}

/// Waits until both streams have ended, as a pipeline does; what the command left running may write on. False when a signal ended
/// the wait: nobody may read any more, and then the streams never end.
fn drained(ended: &File, signals: &Signals) -> Result<bool, Fault> {
    loop {
        let mut watched = [PollFd::new(ended.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut watched, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(problem) => return Err(tool_failed("poll", &problem.desc())),
        }
        let [over, signalled] = watched.map(|fd| fd.any().unwrap_or(false));
        if over {
            return Ok(true);
        }
        if signalled && signals.next().is_some_and(|came| ends_wait(came.signal).is_some()) {
            return Ok(false);
        }
    }
}

fn pipe() -> Result<(File, OwnedFd), Fault> {
    let ends = pipe2(OFlag::O_CLOEXEC).map_err(|e| tool_failed("a pipe for the output cannot be made", &e.desc()))?;
    Ok((File::from(ends.0), ends.1))
}

/// Starts the child with the mask of signals that our caller set, and with the default for SIGPIPE, which Rust ignores.
fn spawn(
    file: &Path,
    words: &[OsString],
    environment: &Environment,
    output: [&OwnedFd; 2],
    signals: &Signals,
) -> Result<Pid, Fault> {
    let prepare = || {
        let mut actions = PosixSpawnFileActions::init()?;
        for (number, descriptor) in (1..).zip(output) {
            actions.add_dup2(descriptor.as_raw_fd(), number)?;
        }
        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
        attributes.set_sigdefault(&[Signal::SIGPIPE].into_iter().collect())?;
        attributes.set_sigmask(signals.before())?;
        Ok((actions, attributes))
    };
    let (actions, attributes) = prepare().map_err(|e: Errno| tool_failed("the command could not be prepared", &e.desc()))?;
    // Words of a command line hold no zero byte, and values were looked at: nothing is left out here.
    let arguments: Vec<CString> = words.iter().filter_map(|word| CString::new(word.as_bytes()).ok()).collect();
    let settings: Vec<Zeroizing<CString>> = environment.settings();
    let settings: Vec<&CStr> = settings.iter().map(|setting| setting.as_c_str()).collect();
    posix_spawn(file, &actions, &attributes, &arguments, &settings).map_err(|problem| not_started(file, problem))
}

fn tool_failed(what: &str, why: &dyn std::fmt::Display) -> Fault {
    Fault::system(what, why).with_exit(exit::TOOL_FAILED)
}

/// Waits for the child and passes signals on. One that the terminal sent reached the child already: it is in the same group.
fn attend(pid: Pid, signals: &Signals) -> Result<u8, Fault> {
    loop {
        // First the signals, then the child: news of its end that are taken here are seen below.
        while let Some(came) = signals.next() {
            if came.signal != Signal::SIGCHLD && came.from_process {
                // Only we reap the child, so the number is still its own.
                let _ = kill(pid, came.signal);
            }
        }
        let status = match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Some(u8::try_from(code).unwrap_or(exit::ERROR)),
            Ok(WaitStatus::Signaled(_, signal, _)) => Some(exit::SIGNAL + u8::try_from(signal as i32).unwrap_or(0)),
            Ok(_) | Err(Errno::EINTR) => None,
            Err(problem) => return Err(tool_failed("the command was lost from sight", &problem.desc())),
        };
        if let Some(status) = status {
            // What came before its end was meant for it.
            while signals.next().is_some() {}
            return Ok(status);
        }
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(problem) => return Err(tool_failed("poll", &problem.desc())),
        }
    }
}

/// Copies a stream through the mask until it ends, or until nobody reads on the other side.
fn pump(mut from: impl Read, mut to: impl Write, patterns: &Patterns) -> std::io::Result<()> {
    let mut masker = Masker::new(patterns, CHUNK);
    let mut chunk = Zeroizing::new(vec![0; CHUNK]);
    let mut out = Vec::with_capacity(CHUNK);
    loop {
        let count = match from.read(&mut chunk) {
            Err(problem) if problem.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        out.clear();
        match chunk.get(..count).filter(|bytes| !bytes.is_empty()) {
            Some(bytes) => masker.feed(bytes, &mut out),
            None => masker.finish(&mut out),
        }
        match to.write_all(&out).and_then(|()| to.flush()) {
            Ok(()) if count == 0 => return Ok(()),
            Ok(()) => {}
            // As in any pipeline: the child is told by its next write.
            Err(problem) if problem.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
            Err(problem) => return Err(problem),
        }
    }
}
