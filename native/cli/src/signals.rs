//! Signals as something to read, so that a wait can be ended and a child can be told.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::fault::{Fault, exit};

/// Signals that end a wait, and that a running child is told of.
const TOLD: [Signal; 7] =
    [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH];

/// `si_code` of a signal that the kernel made, such as a key press at the terminal.
const SI_KERNEL: i32 = 0x80;

/// One signal that came.
pub struct Came {
    /// Which.
    pub signal: Signal,
    /// A process sent it; else the kernel did, and then to the whole group of processes at the terminal.
    pub from_process: bool,
}

/// The signals of this process, held back and readable, until this is dropped or another program takes over.
pub struct Signals {
    descriptor: SignalFd,
    /// What was held back before: what a child gets, and what another program in our place gets.
    before: SigSet,
}

impl Signals {
    /// Holds back what [`TOLD`] lists and news of children.
    pub fn hold() -> Result<Self, Fault> {
        let mut set: SigSet = TOLD.into_iter().collect();
        set.add(Signal::SIGCHLD);
        let before = set.thread_swap_mask(SigmaskHow::SIG_BLOCK);
        let before = before.map_err(|e| Fault::system("signals cannot be held back", e.desc()))?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let descriptor = SignalFd::with_flags(&set, flags).map_err(|e| Fault::system("signalfd", e.desc()))?;
        Ok(Self { descriptor, before })
    }

    /// The mask of this process as its caller set it.
    pub fn before(&self) -> &SigSet {
        &self.before
    }

    /// Takes signals as before, for a program that takes our place.
    pub fn release(self) -> Result<(), Fault> {
        self.before.thread_set_mask().map_err(|e| Fault::system("signals cannot be taken again", e.desc()))
    }

    /// The next signal that came, if one did. What the caller had set to be ignored stays ignored.
    pub fn next(&self) -> Option<Came> {
        loop {
            let info = self.descriptor.read_signal().ok().flatten()?;
            let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok())?;
            if signal == Signal::SIGCHLD || !ignored(signal) {
                return Some(Came { signal, from_process: info.ssi_code != SI_KERNEL });
            }
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Whether this process was started with `signal` ignored, as `nohup` and background jobs do.
fn ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).map(str::trim);
    let mask = mask.and_then(|mask| u64::from_str_radix(mask, 16).ok()).unwrap_or(0);
    mask & (1 << (signal as u32 - 1)) != 0
}

/// What a wait ends with when `signal` came; nothing for those that do not end a program that waits.
pub fn ends_wait(signal: Signal) -> Option<Fault> {
    let code = exit::SIGNAL + u8::try_from(signal as i32).unwrap_or(0);
    if matches!(signal, Signal::SIGWINCH | Signal::SIGCHLD) {
        return None;
    }
    let message = format!("{} came; what was asked is withdrawn unless it has a handle", signal.as_str());
    Some(Fault::failed("interrupted", message, "").with_exit(code))
}
