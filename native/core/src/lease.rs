//! Leases (section 10): how long an opened secret may be delivered again without asking, to whom, and the cache that holds them.
//!
//! [`lease_terms`] computes what a delivery allows. [`LeaseCache`] holds live leases, at most as many as it was made for; `now`
//! is an argument, `CLOCK_BOOTTIME` in milliseconds, so that sleep counts. A hit is two steps: [`LeaseCache::find`] before the
//! caller is identified again, [`LeaseCache::deliver`] after it, which looks at window, uses and scope once more. Every delivery
//! is counted before its bytes go out.
//!
//! What ends a lease wipes it at once. Windows are swept by [`LeaseCache::expire`]; what else ends one (a newer version, a
//! roster that drops a device, a hold, a purge order, an exit) is said to [`LeaseCache::evict`] by the caller.

mod cache;
mod interpreters;

pub use cache::{Ended, Lease, LeaseCache, Live, Terms as EvictionTerms};
pub use interpreters::is_interpreter;

use crate::error::{Code, Refusal, Result};
use crate::objects::{Policy, Purpose, Scope};

/// Seconds: no lease is longer (8 h).
pub const CEILING: u64 = 28_800;

/// What a delivery allows. `window` 0 comes with `uses` 1: that delivery and nothing after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Seconds from the delivery on; 0 is no lease.
    pub window: u64,
    /// Deliveries, the first one included; 0 is no limit.
    pub uses: u64,
    /// Whom the lease serves.
    pub scope: Scope,
}

impl Terms {
    /// Whether there is anything after the first delivery.
    #[must_use]
    pub fn is_lease(&self) -> bool {
        self.window > 0 && self.uses != 1
    }
}

/// The terms after a delivery under these policies, decisions and request; scope is the current policy's. `items` and `request`
/// are `(window, uses)`. A reseal makes no lease.
#[must_use]
pub fn lease_terms(current: &Policy, sealed: &Policy, items: &[(u64, u64)], request: (u64, u64), purpose: Purpose) -> Terms {
    least(current.scope, &[(current.window, current.uses), (sealed.window, sealed.uses)], items, request, purpose)
}

/// The least window, and the least uses that are not 0, of all sources. A source can shorten a lease and never lengthen it. C14
pub(crate) fn least(scope: Scope, policies: &[(u64, u64)], items: &[(u64, u64)], request: (u64, u64), purpose: Purpose) -> Terms {
    let bounds = || policies.iter().chain(items).copied().chain([request]);
    let window = bounds().map(|(window, _)| window).fold(CEILING, u64::min);
    let uses = bounds().map(|(_, count)| count).filter(|count| *count != 0).min().unwrap_or_default();
    if window == 0 || purpose == Purpose::Reseal {
        return Terms { window: 0, uses: 1, scope };
    }
    Terms { window, uses, scope }
}

/// Live while `0 <= elapsed < window`, in one unit of time; refused with `lease-window`.
pub(crate) fn check_window(start: u64, now: u64, window: u64) -> Result<u64> {
    let elapsed = now.checked_sub(start).filter(|elapsed| *elapsed < window);
    elapsed.ok_or_else(|| Refusal::new(Code::LeaseWindow, "the window is over"))
}

/// `delivered` counts the deliveries so far; refused with `lease-uses`.
pub(crate) fn check_uses(uses: u64, delivered: u64) -> Result<()> {
    if uses == 0 || delivered < uses {
        return Ok(());
    }
    Err(Refusal::new(Code::LeaseUses, "every use is spent"))
}

#[cfg(test)]
mod tests;
