//! `stillvault`: the front of the command line.
//!
//! It serves the verbs that touch values: `read`, `wait`, `run`, `inject`, and beside them `leases` and `whoami`, which need nothing but
//! the daemon's socket. Every other verb is handed, arguments unchanged, to `stillvault-python`, the console script installed
//! beside this program.
//!
//! What it promises:
//!
//! * A value comes through a pipe that this process made, and goes to where it was asked for: standard output, a file of mode
//!   0600, or the environment of one child. It never stands in an argument, in a frame of the socket, or in an interpreter.
//! * The socket is trusted only when root or this user owns it, in a directory that nobody else can write, and the kernel says
//!   that root or this user listens behind it ([`socket`]).
//! * Before the first byte of a value is read the process is undumpable and makes no core file; buffers that held a value are
//!   wiped ([`value`]).
//! * Nothing is half done: a value is complete before the first byte is written, and a file appears whole or not at all.
//!
//! What it does not promise: `run` gives the environment to the child as it is. Variables that load code into a program
//! (`LD_PRELOAD`, `PYTHONPATH`, `NODE_OPTIONS`) stay as the caller set them. Masking of the child's output is a seat belt, not a
//! wall: a program that wants to show a value in another form can.
//!
//! Reading order: [`args`], [`read`], [`ask`], [`socket`], [`run`], [`mask`].
#![forbid(unsafe_code)]

mod args;
mod ask;
mod child;
mod command;
mod credential;
mod deliver;
mod envfile;
mod environment;
mod fault;
mod field;
mod forms;
mod handle;
mod help;
mod infile;
mod inject;
mod later;
mod line;
mod listing;
mod mask;
mod out;
mod outfile;
mod question;
mod read;
mod reference;
mod run;
mod signals;
mod socket;
mod template;
mod text;
mod value;
mod waiting;

use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use args::{Parsed, Verb};
use fault::{Fault, Format, exit};
use nix::sys::signal::{SigSet, Signal};

fn main() -> ExitCode {
    let parsed = match args::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err((format, fault)) => return fault.report(format),
    };
    let format = parsed.format;
    match serve(parsed) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => fault.report(format),
    }
}

fn serve(parsed: Parsed) -> Result<u8, Fault> {
    let format = parsed.format;
    match parsed.verb {
        Verb::Read(wanted) => read::read(&wanted, format),
        Verb::Wait(wanted) => later::wait(&wanted, format),
        Verb::Run(wanted) => run::run(&wanted, format),
        Verb::Inject(wanted) => inject::inject(&wanted, format),
        Verb::Credential(helper) => credential::serve(&helper, format),
        Verb::Leases => listing::leases(format),
        Verb::Purge(path) => listing::purge(path.as_ref(), format),
        Verb::Whoami => listing::whoami(format),
        Verb::Help(text) if format == Format::Json => {
            out::print(text::json(&serde_json::json!({"v": 1, "help": text}))).map(|()| exit::OK)
        }
        Verb::Help(text) => out::print(text).map(|()| exit::OK),
        Verb::Python(arguments) => Err(python(arguments)),
    }
}

/// Becomes `stillvault-python` with `arguments`; comes back only with the reason why not.
fn python(arguments: Vec<std::ffi::OsString>) -> Fault {
    let remedy = "install Stillvault again: both programs come in one wheel";
    let Ok(own) = std::fs::read_link("/proc/self/exe") else {
        return Fault::failed(
            "front",
            "/proc/self/exe cannot be read, so the rest of the command line was not found",
            "mount /proc",
        );
    };
    let sibling = own.with_file_name("stillvault-python");
    // An interrupt waits until the interpreter can answer it: it unblocks the signal once it has started.
    let _ = SigSet::from(Signal::SIGINT).thread_block();
    let problem = Command::new(&sibling).args(arguments).exec();
    Fault::failed("front", format!("{} cannot be started: {problem}", sibling.display()), remedy)
}
