//! Values in memory: whole, wiped when dropped, and in a process that nobody of the same user can look into.

use std::io::Read;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use zeroize::Zeroizing;

use crate::fault::Fault;

/// The largest value that can be sealed, in bytes (docs/protocol.md, section 5.3).
pub const MAX_VALUE: usize = 60 * 1024;

/// The bytes of one secret. Wiped when dropped; never printed by `Debug`.
pub struct Value(Zeroizing<Vec<u8>>);

impl Value {
    /// Reads exactly `length` bytes up to the end of `pipe`. A pipe that holds more or less is refused.
    pub fn receive(mut pipe: impl Read, length: usize) -> Result<Self, Fault> {
        // One buffer of the final size and one byte that must stay unused: nothing grows, so no copy is left behind.
        let mut bytes = Zeroizing::new(vec![0; length.min(MAX_VALUE) + 1]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match pipe.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(problem) if problem.kind() == std::io::ErrorKind::Interrupted => {}
                Err(problem) => return Err(Fault::system("a value could not be read from its pipe", problem)),
            }
        }
        if filled != length || length > MAX_VALUE {
            return Err(Fault::untrusted("delivery", "a value did not arrive whole", "ask again; nothing was used or written"));
        }
        bytes.truncate(length);
        Ok(Self(bytes))
    }

    /// The value.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Value(..)")
    }
}

/// Keeps the memory of this process from others of the same user and from core files, until an `exec`.
///
/// The soft limit on core files is remembered, for [`CoreFiles::restore`]: a child must not inherit it.
pub struct CoreFiles {
    soft: u64,
    hard: u64,
}

impl CoreFiles {
    /// No ptrace, no `/proc/<pid>/mem`, no core file from now on.
    pub fn forbid() -> Result<Self, Fault> {
        nix::sys::prctl::set_dumpable(false).map_err(|e| Fault::system("this process cannot be made undumpable", e.desc()))?;
        let (soft, hard) = getrlimit(Resource::RLIMIT_CORE).map_err(|e| Fault::system("getrlimit", e.desc()))?;
        setrlimit(Resource::RLIMIT_CORE, 0, hard).map_err(|e| Fault::system("core files cannot be forbidden", e.desc()))?;
        Ok(Self { soft, hard })
    }

    /// Gives the limit back, just before a child is started. This process stays undumpable.
    pub fn restore(&self) -> Result<(), Fault> {
        setrlimit(Resource::RLIMIT_CORE, self.soft, self.hard).map_err(|e| Fault::system("setrlimit", e.desc()))
    }
}

/// Keeps what this process holds now out of swap, for as long as it runs beside a child. Where the account's limit on locked
/// memory is too small (8 MiB is usual and enough), the kernel refuses and the values stay as any memory does.
pub fn keep_out_of_swap() {
    let _ = nix::sys::mman::mlockall(nix::sys::mman::MlockAllFlags::MCL_CURRENT);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_value_is_taken() {
        assert_eq!(Value::receive(&b"abc"[..], 3).map(|v| v.bytes().to_vec()).ok(), Some(b"abc".to_vec()));
        assert!(Value::receive(&b"abc"[..], 4).is_err());
        assert!(Value::receive(&b"abc"[..], 2).is_err());
        assert!(Value::receive(&b""[..], 0).is_ok());
        assert!(Value::receive(&vec![1; MAX_VALUE + 1][..], MAX_VALUE + 1).is_err());
    }

    #[test]
    fn debug_hides_it() {
        let shown = Value::receive(&b"abc"[..], 3).map(|v| format!("{v:?}"));
        assert_eq!(shown.ok().as_deref(), Some("Value(..)"));
    }
}
