//! Decisions and releases: what a person signed, and the key material sealed to the requests under it.

use super::Payload;
use super::fields::{
    Fields, Writer, array, hash, id, int, length, list, log_head, log_head_value, pair, pair_value, path, string, tuple, words,
};
use crate::encoding::{Hash, MAX_WRAPPER, Oid, Pair, Value};
use crate::error::Result;
use crate::hpke::{CT_LENGTH, ENC_LENGTH};
use crate::signed::Signed;

words! {
    /// What was decided.
    Verdict {
        /// Release what the items name.
        Approve = "approve",
        /// Not now.
        Deny = "deny",
        /// Not now, and hold the client.
        Freeze = "freeze",
    }
}

/// One secret for one request, by oid and by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Oid of the request.
    pub request: Oid,
    /// Oid of the secret.
    pub secret: Oid,
    /// The secret's path.
    pub path: String,
    /// The secret's version.
    pub version: u64,
    /// The secret's revision.
    pub revision: u64,
    /// The decider's index in the secret's policy.
    pub index: u64,
    /// Seconds of lease.
    pub window: u64,
    /// Uses of the lease; 0 is no limit.
    pub uses: u64,
}

impl Item {
    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("item", value)?;
        let item = Self {
            request: f.take("request", hash)?,
            secret: f.take("secret", hash)?,
            path: f.take("path", path)?,
            version: f.take("version", int)?,
            revision: f.take("revision", int)?,
            index: f.take("index", int)?,
            window: f.take("window", int)?,
            uses: f.take("uses", int)?,
        };
        f.close()?;
        Ok(item)
    }

    fn value(&self) -> Value {
        Writer::default()
            .with("request", Value::bytes(&self.request))
            .with("secret", Value::bytes(&self.secret))
            .with("path", Value::text(&self.path))
            .with("version", Value::Int(self.version))
            .with("revision", Value::Int(self.revision))
            .with("index", Value::Int(self.index))
            .with("window", Value::Int(self.window))
            .with("uses", Value::Int(self.uses))
            .done()
    }
}

/// A person's word about one card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The pin.
    pub org: Oid,
    /// What was decided.
    pub verdict: Verdict,
    /// By whom.
    pub person: String,
    /// On which device.
    pub device: String,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// The roster that the device saw.
    pub roster: Pair,
    /// The log head that the device saw.
    pub log_head: Option<(u64, Hash)>,
    /// A word to the others.
    pub note: Option<String>,
    /// What it is about.
    pub items: Vec<Item>,
}

impl Payload for Decision {
    const NAME: &'static str = "decision";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("decision", value)?;
        let decision = Self {
            org: f.take("org", hash)?,
            verdict: f.take("verdict", Verdict::read)?,
            person: f.take("person", id)?,
            device: f.take("device", id)?,
            issued: f.take("issued", int)?,
            expires: f.take("expires", int)?,
            roster: f.take("roster", pair)?,
            log_head: f.maybe("log_head", log_head)?,
            note: f.maybe("note", string)?,
            items: f.take("items", list(Item::read))?,
        };
        f.close()?;
        Ok(decision)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("verdict", self.verdict.value())
            .with("person", Value::text(&self.person))
            .with("device", Value::text(&self.device))
            .with("issued", Value::Int(self.issued))
            .with("expires", Value::Int(self.expires))
            .with("roster", pair_value(self.roster))
            .maybe("log_head", self.log_head.as_ref().map(log_head_value))
            .maybe("note", self.note.as_deref().map(Value::text))
            .with("items", array(&self.items, Item::value))
            .done()
    }
}

/// `[request oid, enc, ct]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedEntry {
    /// Oid of the request.
    pub request: Oid,
    /// The encapsulated key.
    pub enc: Vec<u8>,
    /// The ciphertext.
    pub ct: Vec<u8>,
}

/// A signed decision and what it releases. Not signed itself: every entry is bound to the decision by its HPKE info.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The decision, unverified.
    pub decision: Signed,
    /// One entry for each item.
    pub sealed: Vec<SealedEntry>,
}

impl Payload for Release {
    const NAME: &'static str = "release";
    const LIMIT: usize = MAX_WRAPPER;

    fn from_value(value: Value) -> Result<Self> {
        let entry = |v| {
            let [request, enc, ct] = tuple(v)?;
            Ok(SealedEntry { request: hash(request)?, enc: length(enc, ENC_LENGTH)?, ct: length(ct, CT_LENGTH)? })
        };
        let mut f = Fields::open("release", value)?;
        let release = Self {
            decision: f.take("decision", |v| Signed::from_value(Decision::NAME, v))?,
            sealed: f.take("sealed", list(entry))?,
        };
        f.close()?;
        Ok(release)
    }

    fn to_value(&self) -> Value {
        let entry = |e: &SealedEntry| Value::Array(vec![Value::bytes(&e.request), Value::bytes(&e.enc), Value::bytes(&e.ct)]);
        Writer::default().with("decision", self.decision.to_value()).with("sealed", array(&self.sealed, entry)).done()
    }
}
