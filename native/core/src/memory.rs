//! Secret memory: the only file with `unsafe`. A [`SecretBytes`] is a run of bytes that no other process reads, that no core
//! dump or swap file holds, that a forked child does not have, and that is wiped when it goes.
//!
//! Pages come from `memfd_secret` where the kernel has it (they leave the kernel's own map too: even root's ptrace and
//! `/proc/pid/mem` get an error), else from an anonymous mapping that is `mlock`ed and marked `MADV_DONTDUMP`. Where neither
//! works at the first try, memory is plain and [`kind`] says so; the caller warns. Once locked memory has worked, running out
//! of it is refused with `memory` and never falls back to plain pages.
//!
//! Pages are cut into slots whose length is a power of two from 64 to 65536 bytes, since a lock is paid by the page and a
//! padded value has such a length. Freed slots are wiped and used again; pages stay mapped until the process ends.
//!
//! A child made by `fork` has none of this memory: there, reading is refused, dropping does nothing, and the arena starts anew.
#![allow(unsafe_code, reason = "mapping, locking and wiping pages has no safe interface; nothing else is done here")]

use core::fmt;
use core::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};
use zeroize::Zeroize;

use crate::error::{Code, Refusal, Result};

/// The longest run of secret bytes.
pub const LIMIT: usize = CHUNK;

const CHUNK: usize = 64 * 1024;
const SMALLEST: usize = 64;
/// One for each power of two from 64 to 65536.
const CLASSES: usize = 11;
const BITMAP_WORDS: usize = CHUNK / SMALLEST / 64;

/// What stands between secret memory and everybody else, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Pages of `memfd_secret(2)`.
    MemfdSecret,
    /// Anonymous pages, locked, left out of core dumps.
    Locked,
    /// Anonymous pages, left out of core dumps; they may be swapped out.
    Plain,
}

impl Kind {
    /// The word that the Python side shows.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MemfdSecret => "memfd_secret",
            Self::Locked => "mlock",
            Self::Plain => "plain",
        }
    }
}

/// The kind of secret memory that this process gets. Maps the first pages where there are none yet.
pub fn kind() -> Result<Kind> {
    drop(SecretBytes::new(SMALLEST)?);
    arena().kind.ok_or_else(|| exhausted("no page was mapped"))
}

/// Bytes in secret memory: zero at first, wiped on drop, never shown by `Debug`.
pub struct SecretBytes {
    start: NonNull<u8>,
    length: usize,
    place: Place,
}

// SAFETY: the slot belongs to this value alone until it is dropped, and `&self` gives out shared slices only.
unsafe impl Send for SecretBytes {}
// SAFETY: as above.
unsafe impl Sync for SecretBytes {}

impl SecretBytes {
    /// `length` zero bytes. Refused with `size` above [`LIMIT`], with `memory` when locked pages have run out.
    pub fn new(length: usize) -> Result<Self> {
        if length > LIMIT {
            return Err(Refusal::new(Code::Size, "secret memory comes in runs of at most 65536 bytes"));
        }
        let (start, place) = arena().take(length)?;
        Ok(Self { start, length, place })
    }

    /// The bytes. Refused with `memory` in a forked child, where they do not exist.
    pub fn expose(&self) -> Result<&[u8]> {
        self.place.here()?;
        // SAFETY: the slot is mapped in this process, `length` bytes long, initialised, and nobody writes to it while `&self` lives.
        Ok(unsafe { core::slice::from_raw_parts(self.start.as_ptr(), self.length) })
    }

    /// The bytes, to be written.
    pub fn expose_mut(&mut self) -> Result<&mut [u8]> {
        self.place.here()?;
        // SAFETY: as above, and `&mut self` is the only way to the slot.
        Ok(unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) })
    }

    /// How many bytes there are.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        // In a forked child the page is not there, and in the parent it is none of the child's business.
        if let Ok(bytes) = self.expose_mut() {
            bytes.zeroize();
            arena().give_back(&self.place);
        }
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

/// No core dump, no ptrace and no `/proc/<pid>/mem` by others of the same user: `PR_SET_DUMPABLE` 0, `RLIMIT_CORE` 0.
pub fn harden_process() -> Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take plain values, and a pointer to a live struct that is only read.
    let failed = unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || libc::setrlimit(libc::RLIMIT_CORE, &raw const none) != 0
    };
    if failed { Err(exhausted("the process cannot be made undumpable")) } else { Ok(()) }
}

/// Where a slot lies, and in which process.
#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    slot: usize,
    process: u32,
}

impl Place {
    fn here(&self) -> Result<()> {
        if self.process == std::process::id() {
            return Ok(());
        }
        Err(exhausted("a forked child does not have its parent's secret memory"))
    }
}

struct Chunk {
    base: NonNull<u8>,
    /// Index of the slot length; slots are `SMALLEST << class` bytes.
    class: usize,
    taken: usize,
    bitmap: [u64; BITMAP_WORDS],
}

impl Chunk {
    fn capacity(class: usize) -> usize {
        CHUNK >> (class + SMALLEST.trailing_zeros() as usize)
    }

    fn is_full(&self) -> bool {
        self.taken == Self::capacity(self.class)
    }

    fn first_free(&self) -> Option<usize> {
        let (word, bits) = self.bitmap.iter().enumerate().find(|(_, bits)| **bits != u64::MAX)?;
        let slot = word * 64 + bits.trailing_ones() as usize;
        (slot < Self::capacity(self.class)).then_some(slot)
    }
}

/// All chunks of this process. `free[class]` names those with room; `blank` those with nothing in them, for any class.
struct Arena {
    process: u32,
    kind: Option<Kind>,
    chunks: Vec<Chunk>,
    free: [Vec<usize>; CLASSES],
    blank: Vec<usize>,
}

// SAFETY: the pointers are to mappings that live as long as the process and are only used under the mutex.
unsafe impl Send for Arena {}

static ARENA: Mutex<Arena> = Mutex::new(Arena::empty());

/// The arena of this process; after a fork, a new one (the parent's pages are not mapped here).
fn arena() -> MutexGuard<'static, Arena> {
    // A panic while the lock was held leaves bookkeeping that is still whole: each change is one step.
    let mut arena = ARENA.lock().unwrap_or_else(PoisonError::into_inner);
    if arena.process != std::process::id() {
        *arena = Arena { process: std::process::id(), ..Arena::empty() };
    }
    arena
}

impl Arena {
    const fn empty() -> Self {
        Self { process: 0, kind: None, chunks: Vec::new(), free: [const { Vec::new() }; CLASSES], blank: Vec::new() }
    }

    fn take(&mut self, length: usize) -> Result<(NonNull<u8>, Place)> {
        let class = (length.next_power_of_two().max(SMALLEST).trailing_zeros() - SMALLEST.trailing_zeros()) as usize;
        let lost = || exhausted("the arena lost count");
        let index = match self.free.get(class).and_then(|chunks| chunks.last()) {
            Some(index) => *index,
            None => self.open_chunk(class)?,
        };
        let chunk = self.chunks.get_mut(index).ok_or_else(lost)?;
        let slot = chunk.first_free().ok_or_else(lost)?;
        *chunk.bitmap.get_mut(slot / 64).ok_or_else(lost)? |= 1 << (slot % 64);
        chunk.taken += 1;
        if chunk.is_full() {
            self.free.get_mut(class).and_then(Vec::pop);
        }
        // SAFETY: `slot` is below the chunk's capacity, so the slot lies inside its mapping.
        let start = unsafe { chunk.base.add(slot * (SMALLEST << class)) };
        Ok((start, Place { chunk: index, slot, process: self.process }))
    }

    /// A chunk without slots becomes one of `class`.
    fn open_chunk(&mut self, class: usize) -> Result<usize> {
        let index = if let Some(index) = self.blank.pop() {
            index
        } else {
            let (base, kind) = map_chunk(self.kind)?;
            self.kind = Some(kind);
            self.chunks.push(Chunk { base, class, taken: 0, bitmap: [0; BITMAP_WORDS] });
            self.chunks.len() - 1
        };
        if let (Some(chunk), Some(free)) = (self.chunks.get_mut(index), self.free.get_mut(class)) {
            chunk.class = class;
            free.push(index);
        }
        Ok(index)
    }

    fn give_back(&mut self, place: &Place) {
        let Some(chunk) = self.chunks.get_mut(place.chunk) else { return };
        let Some(free) = self.free.get_mut(chunk.class) else { return };
        let was_full = chunk.is_full();
        if let Some(bits) = chunk.bitmap.get_mut(place.slot / 64) {
            *bits &= !(1 << (place.slot % 64));
        }
        chunk.taken -= 1;
        if chunk.taken == 0 {
            free.retain(|index| *index != place.chunk);
            self.blank.push(place.chunk);
        } else if was_full {
            free.push(place.chunk);
        }
    }
}

/// Maps one chunk of the best kind, or of the kind that this process already uses.
fn map_chunk(known: Option<Kind>) -> Result<(NonNull<u8>, Kind)> {
    let kinds = match known {
        Some(Kind::Plain) => &[Kind::Plain][..],
        Some(_) => &[Kind::MemfdSecret, Kind::Locked],
        None => &[Kind::MemfdSecret, Kind::Locked, Kind::Plain],
    };
    for &kind in kinds {
        let mapped = match kind {
            Kind::MemfdSecret => map_memfd_secret(),
            Kind::Locked => map_anonymous().and_then(lock),
            Kind::Plain => map_anonymous(),
        };
        if let Some(base) = mapped {
            seclude(base);
            // The worst kind in use is the one to tell of.
            return Ok((base, known.map_or(kind, |known| known.max(kind))));
        }
    }
    Err(exhausted("no more memory can be locked: raise RLIMIT_MEMLOCK"))
}

fn map_memfd_secret() -> Option<NonNull<u8>> {
    // SAFETY: memfd_secret takes flags and gives a descriptor or -1.
    let fd = i32::try_from(unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) }).ok().filter(|fd| *fd >= 0)?;
    let size = libc::off_t::try_from(CHUNK).ok()?;
    // SAFETY: `fd` is ours and open; the mapping keeps the memory when the descriptor is closed.
    unsafe {
        let sized = libc::ftruncate(fd, size) == 0;
        let mapped = if sized { map(libc::MAP_SHARED, fd).and_then(touchable) } else { None };
        libc::close(fd);
        mapped
    }
}

fn map_anonymous() -> Option<NonNull<u8>> {
    map(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1)
}

fn map(flags: libc::c_int, fd: libc::c_int) -> Option<NonNull<u8>> {
    // SAFETY: no address is asked for, so no mapping of others is replaced.
    let base = unsafe { libc::mmap(core::ptr::null_mut(), CHUNK, libc::PROT_READ | libc::PROT_WRITE, flags, fd, 0) };
    if base == libc::MAP_FAILED { None } else { NonNull::new(base.cast()) }
}

/// A page of `memfd_secret` that cannot be had is a bus error at first touch: asking the kernel to fault the pages in tells
/// instead. A kernel that does not know the advice (before 5.14) has no `memfd_secret` either.
fn touchable(base: NonNull<u8>) -> Option<NonNull<u8>> {
    // SAFETY: the range is one mapping of ours.
    if unsafe { libc::madvise(base.as_ptr().cast(), CHUNK, libc::MADV_POPULATE_WRITE) } == 0 {
        return Some(base);
    }
    unmap(base);
    None
}

fn lock(base: NonNull<u8>) -> Option<NonNull<u8>> {
    // SAFETY: the range is one mapping of ours.
    if unsafe { libc::mlock(base.as_ptr().cast(), CHUNK) } == 0 {
        return Some(base);
    }
    unmap(base);
    None
}

fn unmap(base: NonNull<u8>) {
    // SAFETY: the range is one mapping of ours that nothing points into yet.
    unsafe { libc::munmap(base.as_ptr().cast(), CHUNK) };
}

/// Out of core dumps, out of forked children. What fails here leaves less protection but works on.
fn seclude(base: NonNull<u8>) {
    for advice in [libc::MADV_DONTDUMP, libc::MADV_DONTFORK] {
        // SAFETY: the range is one mapping of ours; both kinds of advice leave its bytes alone.
        unsafe { libc::madvise(base.as_ptr().cast(), CHUNK, advice) };
    }
}

fn exhausted(detail: &str) -> Refusal {
    Refusal::new(Code::Memory, detail)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]
    use super::*;

    #[test]
    fn slots_do_not_overlap_and_come_back_wiped() {
        let mut held = Vec::new();
        for round in 0..3u8 {
            for length in [0, 1, 63, 64, 65, 4096, 60_000, LIMIT] {
                for _ in 0..20 {
                    let mut bytes = SecretBytes::new(length).unwrap();
                    assert!(bytes.expose().unwrap().iter().all(|byte| *byte == 0));
                    bytes.expose_mut().unwrap().fill(round + 1);
                    held.push((bytes, round + 1));
                }
            }
            for (bytes, value) in &held {
                assert!(bytes.expose().unwrap().iter().all(|byte| byte == value));
            }
            let mut keep = false;
            held.retain(|_| {
                keep = !keep;
                keep
            });
        }
        assert_eq!(SecretBytes::new(LIMIT + 1).unwrap_err().code, Code::Size);
        assert_eq!(format!("{:?}", held[0].0), "SecretBytes(..)");
        assert!(!kind().unwrap().as_str().is_empty());
    }

    #[test]
    fn pages_are_left_out_of_core_dumps() {
        let bytes = SecretBytes::new(64).unwrap();
        let address = bytes.start.as_ptr() as usize;
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let flags = maps.lines().find_map(|line| {
            if let Some((from, to)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')) {
                let bound = |text| usize::from_str_radix(text, 16);
                if let (Ok(from), Ok(to)) = (bound(from), bound(to)) {
                    inside = (from..to).contains(&address);
                }
            }
            line.strip_prefix("VmFlags:").filter(|_| inside).map(str::to_owned)
        });
        let flags = flags.unwrap();
        assert!(flags.contains(" dd") && flags.contains(" dc"), "{flags}");
    }

    /// A child shares neither the bytes nor the duty to wipe them.
    #[test]
    fn a_forked_child_has_none_of_it() {
        let mut bytes = SecretBytes::new(64).unwrap();
        bytes.expose_mut().unwrap().fill(7);
        // SAFETY: the child looks at its process number, drops one value, and leaves without running anything of the parent's.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let refused = bytes.expose().is_err();
            drop(bytes);
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!refused)) };
        }
        let mut status = -1;
        // SAFETY: `status` is a live integer.
        assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0, "{status}");
        assert_eq!(bytes.expose().unwrap(), [7; 64]);
    }
}
