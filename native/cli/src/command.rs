//! What was understood of a command line: which verb, with what.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::handle::Handle;
use crate::question::Question;
use crate::reference::Reference;

/// Where a value goes that is printed or written.
#[derive(Debug)]
pub struct Output {
    /// No line end after the value on a terminal.
    pub bare: bool,
    /// A file instead of standard output.
    pub out_file: Option<PathBuf>,
    /// Its permissions.
    pub mode: Option<u32>,
    /// Replace a file that exists.
    pub force: bool,
    /// Show it on a terminal.
    pub reveal: bool,
}

/// `read`.
pub struct Read {
    /// Which secret, or which field of it.
    pub reference: Reference,
    /// Where it goes.
    pub output: Output,
    /// Give a handle, and do not wait.
    pub detach: bool,
    /// Say what would be asked, and ask nobody.
    pub dry_run: bool,
    /// What goes with the question.
    pub question: Question,
}

/// `wait`.
pub struct Wait {
    /// What was asked before.
    pub handle: Handle,
    /// Where the value goes.
    pub output: Output,
    /// Say how it stands, and take nothing.
    pub state: bool,
    /// `--wait`: how long, in seconds.
    pub patience: Option<u64>,
}

/// `run`.
#[allow(clippy::struct_field_names, reason = "dry_run is the flag's name")]
pub struct Run {
    /// `--env`, in order.
    pub bindings: Vec<(OsString, Reference)>,
    /// `--env-file`, in order.
    pub env_files: Vec<PathBuf>,
    /// `--file`, in order.
    pub files: Vec<(OsString, Reference)>,
    /// Do not look for values in the output.
    pub no_masking: bool,
    /// Give a handle, and do not wait.
    pub detach: bool,
    /// Take the values of what was asked before.
    pub handle: Option<Handle>,
    /// Say what would be asked, and ask nobody.
    pub dry_run: bool,
    /// What goes with the question.
    pub question: Question,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
}

/// `inject`.
pub struct Inject {
    /// The template.
    pub template: PathBuf,
    /// The file to write.
    pub output: PathBuf,
    /// Its permissions.
    pub mode: u32,
    /// Replace a file that exists.
    pub force: bool,
    /// Give a handle, and write nothing.
    pub detach: bool,
    /// Use the values of what was asked before.
    pub handle: Option<Handle>,
    /// Say what would be asked, and ask nobody.
    pub dry_run: bool,
    /// What goes with the question.
    pub question: Question,
}
