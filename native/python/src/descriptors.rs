//! Reading and writing a caller's descriptor, straight from and to secret memory.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{Errno, ReadWriteFlags};
use zeroize::Zeroizing;

/// The descriptor for the length of one call.
#[allow(unsafe_code, reason = "a number from Python is not known to be open; an unknown one is EBADF in the call that follows")]
fn borrow<'a>(fd: RawFd) -> io::Result<BorrowedFd<'a>> {
    if fd < 0 {
        return Err(Errno::BADF.into());
    }
    // SAFETY: not -1, which is all that the type forbids; nothing here closes it or keeps it beyond the call. A number that is not
    // open, or that another thread closes meanwhile, makes the system call fail or hit that thread's new file: the same as
    // `os.write` with a wrong number.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Writes all of `bytes`, however long the reader takes.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    let fd = borrow(fd)?;
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Writes all of `bytes` into a pipe at once or fails (`EAGAIN`): whoever holds the other end cannot make this wait, whatever
/// flags they set on the pipe that we share. A pipe of 64 KiB that is empty takes any value whole.
pub fn write_at_once(fd: RawFd, bytes: &[u8]) -> io::Result<()> {
    let fd = borrow(fd)?;
    if bytes.is_empty() {
        return Ok(());
    }
    let end = u64::MAX; // "at the current position": a pipe has no other
    let written = match rustix::io::pwritev2(fd, &[io::IoSlice::new(bytes)], end, ReadWriteFlags::NOWAIT) {
        // Before Linux 6.4 pipes do not know the flag.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let flags = rustix::fs::fcntl_getfl(fd)?;
            rustix::fs::fcntl_setfl(fd, flags | rustix::fs::OFlags::NONBLOCK)?;
            rustix::io::write(fd, bytes)?
        }
        other => other?,
    };
    // What a part of a value is good for is nothing: the reader sees an end of file after it and an error from us.
    if written == bytes.len() { Ok(()) } else { Err(Errno::AGAIN.into()) }
}

/// Reads into `buffer` until the end of the file or until it is full; the number of bytes.
pub fn read_into(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    let fd = borrow(fd)?;
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(fd, rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Text of `length` random bytes, wiped.
pub fn random_text(length: usize) -> Zeroizing<String> {
    use stillvault_core::random::Randomness as _;
    let mut raw = Zeroizing::new(vec![0; length]);
    crate::random::Os.fill(&mut raw);
    Zeroizing::new(stillvault_core::text::b64encode(&raw))
}
