//! Policies: who decides about which paths, and under which rule.

use super::Kem;
use super::fields::{Fields, Writer, array, boolean, id, int, list, pattern, texts, words};
use crate::encoding::Value;
use crate::error::Result;

words! {
    /// How well a device keeps its KEM key, in order.
    Tier {
        /// A key file: laboratories and CI.
        Soft = "soft",
        /// Wrapped under a passkey's PRF output.
        Synced = "synced",
        /// The same with a credential that cannot be backed up, attested.
        DeviceGated = "device-gated",
        /// Diffie-Hellman inside hardware.
        DeviceBound = "device-bound",
    }
}

words! {
    /// Whom a lease serves.
    Scope {
        /// That process.
        Process = "process",
        /// The descendants of the agent or session leader.
        Task = "task",
        /// The account and executable.
        Exe = "exe",
        /// The account, unit or container, and executable.
        Unit = "unit",
    }
}

words! {
    /// What a deny does.
    Deny {
        /// One deny ends the request.
        Veto = "veto",
        /// As many as leave fewer than the threshold.
        Count = "count",
    }
}

/// An offline recovery key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryKey {
    /// Its id, the device name in `recipients`.
    pub id: String,
    /// Its key.
    pub kem: Kem,
}

/// The recovery group of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// How many keys join.
    pub threshold: u64,
    /// The keys, in the order of their indices from 129.
    pub keys: Vec<RecoveryKey>,
}

/// A policy, as it stands in the roster and, whole, in every sealed secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// The patterns (`match` on the wire).
    pub matches: Vec<String>,
    /// How many people must approve.
    pub threshold: u64,
    /// Who may; the position plus 1 is the index of a share.
    pub people: Vec<String>,
    /// The least tier of a device that may hold a stanza.
    pub tier: Tier,
    /// Seconds that a lease lives at most.
    pub window: u64,
    /// Whom a lease serves.
    pub scope: Scope,
    /// Deliveries of one lease; 0 is no limit.
    pub uses: u64,
    /// Seconds that a request lives at most.
    pub ttl: u64,
    /// Whether the six-digit code must be typed.
    pub code: bool,
    /// What a deny does.
    pub deny: Deny,
    /// The recovery group.
    pub recovery: Option<Recovery>,
}

impl Policy {
    pub(crate) fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("policy", value)?;
        let policy = Self {
            id: f.take("id", id)?,
            matches: f.take("match", list(pattern))?,
            threshold: f.take("threshold", int)?,
            people: f.take("people", list(id))?,
            tier: f.take("tier", Tier::read)?,
            window: f.take("window", int)?,
            scope: f.take("scope", Scope::read)?,
            uses: f.take("uses", int)?,
            ttl: f.take("ttl", int)?,
            code: f.take("code", boolean)?,
            deny: f.take("deny", Deny::read)?,
            recovery: f.maybe("recovery", read_recovery)?,
        };
        f.close()?;
        Ok(policy)
    }

    /// Reads a policy that stands alone.
    ///
    /// # Errors
    /// `field` or `path`.
    pub fn from_value(value: Value) -> Result<Self> {
        Self::read(value)
    }

    /// The policy as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let recovery = self.recovery.as_ref().map(|group| {
            let keys =
                array(&group.keys, |key| Writer::default().with("id", Value::text(&key.id)).with("kem", key.kem.value()).done());
            Writer::default().with("threshold", Value::Int(group.threshold)).with("keys", keys).done()
        });
        Writer::default()
            .with("id", Value::text(&self.id))
            .with("match", texts(&self.matches))
            .with("threshold", Value::Int(self.threshold))
            .with("people", texts(&self.people))
            .with("tier", self.tier.value())
            .with("window", Value::Int(self.window))
            .with("scope", self.scope.value())
            .with("uses", Value::Int(self.uses))
            .with("ttl", Value::Int(self.ttl))
            .with("code", Value::Bool(self.code))
            .with("deny", self.deny.value())
            .maybe("recovery", recovery)
            .done()
    }

    /// The index of a person's shares: the position in `people` plus 1. `None` for anybody else.
    #[must_use]
    pub fn index_of(&self, person: &str) -> Option<u64> {
        self.people.iter().position(|p| p == person).map(|at| at as u64 + 1)
    }
}

fn read_recovery(value: Value) -> Result<Recovery> {
    let mut f = Fields::open("recovery", value)?;
    let keys = list(|v| {
        let mut f = Fields::open("recovery key", v)?;
        let key = RecoveryKey { id: f.take("id", id)?, kem: f.take("kem", Kem::read)? };
        f.close()?;
        Ok(key)
    });
    let group = Recovery { threshold: f.take("threshold", int)?, keys: f.take("keys", keys)? };
    f.close()?;
    Ok(group)
}
