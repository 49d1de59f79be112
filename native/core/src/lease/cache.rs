//! The bounded cache of live leases.

use core::cmp::Reverse;
use core::fmt;
use std::collections::hash_map::RandomState;
use std::collections::{BinaryHeap, HashMap};
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::{CEILING, check_uses, check_window};
use crate::encoding::{Oid, Pair};
use crate::error::{Code, Refusal, Result};
use crate::objects::Scope;
use crate::value::Value;

const MILLISECONDS: u64 = 1000;

/// A lease without its value: what a delivery writes down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Subject of the client.
    pub client: String,
    /// The path.
    pub path: String,
    /// Whom it serves.
    pub scope: Scope,
    /// That very process, task, executable or unit, as the daemon writes it down.
    pub scope_id: Vec<u8>,
    /// `(version, revision)`.
    pub version: Pair,
    /// Seconds from the delivery on.
    pub window: u64,
    /// Deliveries, the first included; 0 is no limit.
    pub uses: u64,
    /// The account.
    pub uid: u32,
    /// Person and device of each decision.
    pub people: Vec<(String, String)>,
    /// The request.
    pub request: Oid,
}

/// Why a lease ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Its window is over.
    Window,
    /// Its last use was delivered.
    Uses,
    /// A newer delivery to the same scope took its place.
    Replaced,
    /// The cache was full, and this one had the least time left.
    Capacity,
}

impl Ended {
    /// The word for logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Window => "window",
            Self::Uses => "uses",
            Self::Replaced => "replaced",
            Self::Capacity => "capacity",
        }
    }
}

/// Which leases to end: every term that is given must match; none given is all of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// This one.
    pub number: Option<u64>,
    /// Of this client.
    pub client: Option<&'a str>,
    /// Of this path.
    pub path: Option<&'a str>,
    /// Of a version below this.
    pub below: Option<Pair>,
    /// That this person's device decided.
    pub device: Option<(&'a str, &'a str)>,
    /// Of this account.
    pub uid: Option<u32>,
    /// Of this scope.
    pub scope_id: Option<&'a [u8]>,
}

impl Terms<'_> {
    fn cover(&self, number: u64, lease: &Lease) -> bool {
        let decided = |(person, device)| lease.people.iter().any(|(p, d)| (p.as_str(), d.as_str()) == (person, device));
        self.number.is_none_or(|wanted| wanted == number)
            && self.client.is_none_or(|wanted| wanted == lease.client)
            && self.path.is_none_or(|wanted| wanted == lease.path)
            && self.below.is_none_or(|bound| lease.version < bound)
            && self.device.is_none_or(decided)
            && self.uid.is_none_or(|wanted| wanted == lease.uid)
            && self.scope_id.is_none_or(|wanted| wanted == lease.scope_id)
    }
}

/// A line of [`LeaseCache::list`].
#[derive(Debug, Clone, Copy)]
pub struct Live<'a> {
    /// The lease's number.
    pub number: u64,
    /// The lease.
    pub lease: &'a Lease,
    /// Seconds left, rounded up.
    pub left: u64,
    /// Deliveries so far.
    pub used: u64,
}

/// What a look-up reads stands together: one line of the processor's cache, and the key.
struct Entry {
    number: u64,
    start: u64,
    /// Milliseconds.
    window: u64,
    uses: u64,
    used: u64,
    /// [`Key::bytes`] of the lease.
    key: Box<[u8]>,
    rest: Box<Rest>,
}

struct Rest {
    lease: Lease,
    value: Arc<Value>,
}

impl Entry {
    /// Milliseconds left; refused with `lease-window`.
    fn left(&self, now: u64) -> Result<u64> {
        Ok(self.window - check_window(self.start, now, self.window)?)
    }

    fn ends(&self) -> u64 {
        self.start.saturating_add(self.window)
    }
}

/// Client, path, scope and scope id. The lengths in front make every two keys differ.
struct Key<'a> {
    head: [u8; 17],
    parts: [&'a [u8]; 3],
}

impl<'a> Key<'a> {
    fn new(client: &'a str, path: &'a str, scope: Scope, scope_id: &'a [u8]) -> Self {
        let mut head = [scope as u8; 17];
        let (lengths, _) = head.as_chunks_mut::<8>();
        for (length, part) in lengths.iter_mut().zip([client, path]) {
            *length = (part.len() as u64).to_le_bytes();
        }
        Self { head, parts: [client.as_bytes(), path.as_bytes(), scope_id] }
    }

    fn of(lease: &'a Lease) -> Self {
        Self::new(&lease.client, &lease.path, lease.scope, &lease.scope_id)
    }

    fn bytes(&self) -> Box<[u8]> {
        let [client, path, scope_id] = self.parts;
        [&self.head, client, path, scope_id].concat().into()
    }

    fn is(&self, bytes: &[u8]) -> bool {
        let rest = self.parts.iter().try_fold(bytes.strip_prefix(&self.head), |rest, part| Some(rest?.strip_prefix(*part)));
        rest.flatten().is_some_and(<[u8]>::is_empty)
    }

    /// Paths come from outside, so the hash is keyed: nobody can aim for collisions.
    fn hash(&self, keyed: &RandomState) -> u64 {
        let mut hasher = keyed.build_hasher();
        hasher.write(&self.head);
        self.parts.iter().for_each(|part| hasher.write(part));
        hasher.finish()
    }
}

/// Live leases, at most `capacity` of them. `now` is `CLOCK_BOOTTIME` in milliseconds everywhere.
pub struct LeaseCache {
    capacity: usize,
    next: u64,
    /// By the hash of the key; that the key is equal is looked at in the entry. Two keys of one hash replace each other.
    entries: HashMap<u64, Entry, BuildHasherDefault<Spread>>,
    /// Number to hash.
    numbers: HashMap<u64, u64, BuildHasherDefault<Spread>>,
    keyed: RandomState,
    /// Ends of windows, soonest first; a number that is gone is skipped.
    ends: BinaryHeap<Reverse<(u64, u64)>>,
    /// What ended by itself since the last sweep.
    ended: Vec<(u64, Ended)>,
}

impl LeaseCache {
    /// An empty cache for at most `capacity` leases (at least 1).
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            next: 1,
            entries: HashMap::default(),
            numbers: HashMap::default(),
            keyed: RandomState::new(),
            ends: BinaryHeap::new(),
            ended: Vec::new(),
        }
    }

    /// Takes a delivered value over; that delivery is the first use. The number it returns is never used again.
    ///
    /// An older lease of the same client, path and scope is replaced. A full cache drops the lease with the least time left.
    ///
    /// # Errors
    /// `lease-window` for a window of 0 or above 8 h, `lease-uses` for one use: neither is a lease.
    pub fn insert(&mut self, lease: Lease, value: Value, now: u64) -> Result<u64> {
        if lease.window == 0 || lease.window > CEILING {
            return Err(Refusal::new(Code::LeaseWindow, "a lease lasts from 1 second to 8 hours"));
        }
        check_uses(lease.uses, 1)?;
        let key = Key::of(&lease);
        let (hash, key) = (key.hash(&self.keyed), key.bytes());
        if let Some(older) = self.entries.get(&hash).map(|entry| entry.number) {
            self.end(older, Ended::Replaced);
        }
        while self.entries.len() >= self.capacity {
            self.make_room();
        }
        let number = self.next;
        self.next += 1;
        let (window, uses) = (lease.window.saturating_mul(MILLISECONDS), lease.uses);
        let rest = Box::new(Rest { lease, value: Arc::new(value) });
        let entry = Entry { number, start: now, window, uses, used: 1, key, rest };
        self.ends.push(Reverse((entry.ends(), number)));
        self.entries.insert(hash, entry);
        self.numbers.insert(number, hash);
        Ok(number)
    }

    /// The live lease of the first scope that has one. Counts nothing and delivers nothing.
    #[must_use]
    pub fn find(&self, client: &str, path: &str, scopes: &[(Scope, &[u8])], now: u64) -> Option<u64> {
        scopes.iter().find_map(|(scope, scope_id)| {
            let key = Key::new(client, path, *scope, scope_id);
            let entry = self.entries.get(&key.hash(&self.keyed))?;
            let usable = key.is(&entry.key) && entry.left(now).is_ok() && check_uses(entry.uses, entry.used).is_ok();
            usable.then_some(entry.number)
        })
    }

    /// One delivery: window, uses and scope are looked at again, the use is counted, and the value is given out to be written.
    /// Returns the value and the seconds left, rounded up. With its last use a lease ends; the value is wiped when the writer
    /// lets go of it.
    ///
    /// # Errors
    /// `lease-window` (also for a lease that has ended), `lease-uses`, `lease-scope`.
    pub fn deliver(&mut self, number: u64, scope_id: &[u8], now: u64) -> Result<(Arc<Value>, u64)> {
        let gone = || Refusal::new(Code::LeaseWindow, "the lease has ended");
        let entry = self.numbers.get(&number).and_then(|hash| self.entries.get_mut(hash)).ok_or_else(gone)?;
        let left = entry.left(now)?.div_ceil(MILLISECONDS);
        check_uses(entry.uses, entry.used)?;
        if entry.rest.lease.scope_id != scope_id {
            return Err(Refusal::new(Code::LeaseScope, "not the process, task, executable or unit of the lease"));
        }
        entry.used += 1;
        let value = Arc::clone(&entry.rest.value);
        if check_uses(entry.uses, entry.used).is_err() {
            self.end(number, Ended::Uses);
        }
        Ok((value, left))
    }

    /// Bytes of the value of a lease; `None` when it has ended.
    #[must_use]
    pub fn value_length(&self, number: u64) -> Option<usize> {
        self.entry(number).map(|entry| entry.rest.value.length())
    }

    /// Ends every lease whose window is over, and says what ended by itself since the last call.
    pub fn expire(&mut self, now: u64) -> Vec<(u64, Ended)> {
        while let Some(Reverse((ends, number))) = self.ends.peek().copied() {
            if ends > now {
                break;
            }
            self.ends.pop();
            self.end(number, Ended::Window);
        }
        // Leases that ended early leave their mark in the heap: rebuild it before the marks outnumber the leases.
        if self.ends.len() > 2 * self.entries.len() + 64 {
            self.ends = self.entries.values().map(|entry| Reverse((entry.ends(), entry.number))).collect();
        }
        core::mem::take(&mut self.ended)
    }

    /// Ends every lease that `terms` cover; returns their numbers, ascending.
    pub fn evict(&mut self, terms: &Terms<'_>) -> Vec<u64> {
        let covered = self.entries.values().filter(|entry| terms.cover(entry.number, &entry.rest.lease));
        let mut numbers: Vec<u64> = covered.map(|entry| entry.number).collect();
        numbers.sort_unstable();
        for number in &numbers {
            self.remove(*number);
        }
        numbers
    }

    /// Every live lease, by number.
    #[must_use]
    pub fn list(&self, now: u64) -> Vec<Live<'_>> {
        let live = self.entries.values().filter_map(|entry| {
            let left = entry.left(now).ok()?.div_ceil(MILLISECONDS);
            Some(Live { number: entry.number, lease: &entry.rest.lease, left, used: entry.used })
        });
        let mut live: Vec<Live<'_>> = live.collect();
        live.sort_unstable_by_key(|line| line.number);
        live
    }

    /// How many leases are held, swept or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn make_room(&mut self) {
        while let Some(Reverse((_, number))) = self.ends.pop() {
            if self.end(number, Ended::Capacity) {
                return;
            }
        }
    }

    fn end(&mut self, number: u64, why: Ended) -> bool {
        let ended = self.remove(number);
        if ended {
            self.ended.push((number, why));
        }
        ended
    }

    fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(self.numbers.get(&number)?)
    }

    /// The value is wiped here unless a delivery is being written.
    fn remove(&mut self, number: u64) -> bool {
        self.numbers.remove(&number).and_then(|hash| self.entries.remove(&hash)).is_some()
    }
}

impl fmt::Debug for LeaseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LeaseCache({} of {})", self.entries.len(), self.capacity)
    }
}

/// Numbers and keyed hashes need no second hash, only their bits spread.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(self.0.rotate_left(8) ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // The odd number nearest to 2^64 over the golden ratio.
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
