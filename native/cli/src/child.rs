//! Starting a program, being told of its end, and standing between it and the terminal.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{AccessFlags, Pid, access};
use zeroize::Zeroizing;

use crate::fault::{Fault, exit};
use crate::mask::{Masker, Patterns};
use crate::signals::Signals;
use crate::text;

/// What one read takes of the child's output, in bytes.
const CHUNK: usize = 64 * 1024;
/// What is told of a command: so many arguments, each so many characters.
const CLAIMED_ARGUMENTS: usize = 40;
const CLAIMED_CHARACTERS: usize = 200;

type Environment = Vec<(OsString, OsString)>;

/// The command as the people asked will see it, under "The caller says": escaped, and cut with a sign where it is long.
pub fn claimed(command: &[OsString]) -> Vec<String> {
    let shown = command.iter().take(CLAIMED_ARGUMENTS).map(|word| text::cut(&text::visible(word), CLAIMED_CHARACTERS));
    let mut shown: Vec<String> = shown.collect();
    if command.len() > CLAIMED_ARGUMENTS {
        shown.push(format!("… {} more", command.len() - CLAIMED_ARGUMENTS));
    }
    shown
}

/// Finds the program as the child's `PATH` would, so that nobody is asked for a command that cannot be run.
pub fn check(program: &OsStr, path: Option<&OsStr>) -> Result<(), Fault> {
    let mut there = false;
    let candidates: Vec<std::path::PathBuf> = if program.as_bytes().contains(&b'/') {
        vec![program.into()]
    } else {
        std::env::split_paths(path.unwrap_or(OsStr::new("/bin:/usr/bin"))).map(|directory| directory.join(program)).collect()
    };
    for candidate in candidates.iter().filter(|_| !program.is_empty()) {
        if access(candidate, AccessFlags::X_OK).is_ok() && candidate.is_file() {
            return Ok(());
        }
        there |= candidate.exists();
    }
    let name = program.to_string_lossy();
    if there {
        let fault =
            Fault::failed("not-executable", format!("{name} cannot be executed; nobody was asked"), "look at its permissions");
        return Err(fault.with_exit(exit::NOT_EXECUTABLE));
    }
    let fault =
        Fault::failed("not-found", format!("there is no command {name}; nobody was asked"), "look at its name and at PATH");
    Err(fault.with_exit(exit::NOT_FOUND))
}

fn command(words: &[OsString], environment: Environment) -> Result<Command, Fault> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Fault::usage("there is no command", "stillvault run -- CMD"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(environment);
    Ok(command)
}

fn not_started(program: Option<&OsString>, problem: &std::io::Error) -> Fault {
    let name = program.map(|program| program.to_string_lossy()).unwrap_or_default();
    match problem.raw_os_error().map(Errno::from_raw) {
        Some(Errno::ENOENT) => Fault::failed("not-found", format!("there is no command {name}"), "").with_exit(exit::NOT_FOUND),
        Some(Errno::E2BIG) => {
            let message = "the environment is larger than the kernel gives to a program";
            Fault::failed("environment", message, "ask for fewer or smaller secrets at once").with_exit(exit::TOOL_FAILED)
        }
        Some(Errno::EACCES | Errno::ENOEXEC | Errno::EISDIR | Errno::EPERM) => {
            Fault::failed("not-executable", format!("{name} cannot be executed: {problem}"), "").with_exit(exit::NOT_EXECUTABLE)
        }
        _ => Fault::failed("start", format!("{name} could not be started: {problem}"), "").with_exit(exit::TOOL_FAILED),
    }
}

/// Becomes the command. Comes back only with the reason why not.
pub fn become_it(words: &[OsString], environment: Environment) -> Fault {
    match command(words, environment) {
        Ok(mut command) => not_started(words.first(), &command.exec()),
        Err(fault) => fault,
    }
}

/// Runs the command with its output masked, tells it of signals, and gives its exit status as a shell does.
pub fn run_masked(words: &[OsString], environment: Environment, patterns: &Patterns, signals: &Signals) -> Result<u8, Fault> {
    let mut command = command(words, environment)?;
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    // The command holds a copy of every value: gone as soon as the child has its own.
    drop(command);
    let mut child = spawned.map_err(|problem| not_started(words.first(), &problem))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        let out = scope.spawn(|| stdout.map_or(Ok(()), |from| pump(from, std::io::stdout(), patterns)));
        let err = scope.spawn(|| stderr.map_or(Ok(()), |from| pump(from, std::io::stderr(), patterns)));
        let status = attend(&mut child, signals)?;
        for stream in [out, err] {
            let pumped = stream.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread ended early")));
            pumped.map_err(|problem| {
                let message = format!("the command's output could not be passed on: {problem}");
                Fault::failed("output", message, "it ran; look at the file or device behind the output")
                    .with_exit(exit::TOOL_FAILED)
            })?;
        }
        Ok(status)
    })
}

/// Waits for the child and passes signals on. One that the terminal sent reached the child already: it is in the same group.
fn attend(child: &mut Child, signals: &Signals) -> Result<u8, Fault> {
    let failed = |what: &str, why: &dyn std::fmt::Display| Fault::system(what, why).with_exit(exit::TOOL_FAILED);
    let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|problem| failed("pid", &problem))?;
    loop {
        if let Some(status) = child.try_wait().map_err(|problem| failed("the command was lost from sight", &problem))? {
            let signalled = status.signal().and_then(|number| u8::try_from(number).ok());
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.unwrap_or(exit::SIGNAL + signalled.unwrap_or(0)));
        }
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(problem) => return Err(failed("poll", &problem.desc())),
        }
        while let Some(came) = signals.next() {
            if came.signal != Signal::SIGCHLD && came.from_process {
                // Only we reap the child, so the number is still its own.
                let _ = kill(pid, came.signal);
            }
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
