//! The roster: people, their devices, policies, floors, revocations and holds. The rules that a roster must keep are in
//! [`crate::roster`]; here is its form.

use super::fields::{Fields, Writer, array, hash, id, int, list, path, pattern, string, tuple, version, words, wrong};
use super::{Kem, Payload, Policy, Tier};
use crate::encoding::{Hash, MAX_ROSTER, Oid, Value};
use crate::error::Result;
use crate::keys::Key;

words! {
    /// What a person may do.
    Role {
        /// Manage people, at the relay only.
        Admin = "admin",
        /// Decide about requests.
        Approver = "approver",
        /// Seal new versions.
        Sealer = "sealer",
        /// Read the log, at the relay only.
        Auditor = "auditor",
    }
}

/// One KEM key of a person, and the keys that sign for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its id.
    pub id: String,
    /// Its name, shown.
    pub name: String,
    /// How well it keeps its key.
    pub tier: Tier,
    /// The key that stanzas are sealed to.
    pub kem: Kem,
    /// The keys that sign; any one does.
    pub auth: Vec<Key>,
    /// The key that signs deny and freeze and nothing else.
    pub deny: Option<Key>,
    /// SHA-256 of the attestation evidence.
    pub attestation: Option<Hash>,
    /// Unix seconds: in date from here.
    pub added: u64,
    /// Unix seconds: out of date from here.
    pub expires: u64,
}

impl Device {
    /// In date: `added <= now < expires`.
    #[must_use]
    pub fn in_date(&self, now: u64) -> bool {
        self.added <= now && now < self.expires
    }

    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("device", value)?;
        let device = Self {
            id: f.take("id", id)?,
            name: f.take("name", string)?,
            tier: f.take("tier", Tier::read)?,
            kem: f.take("kem", Kem::read)?,
            auth: f.take("auth", list(Key::read))?,
            deny: f.maybe("deny", Key::read)?,
            attestation: f.maybe("attestation", hash)?,
            added: f.take("added", int)?,
            expires: f.take("expires", int)?,
        };
        f.close()?;
        Ok(device)
    }

    fn value(&self) -> Value {
        Writer::default()
            .with("id", Value::text(&self.id))
            .with("name", Value::text(&self.name))
            .with("tier", self.tier.value())
            .with("kem", self.kem.value())
            .with("auth", array(&self.auth, Key::value))
            .maybe("deny", self.deny.as_ref().map(Key::value))
            .maybe("attestation", self.attestation.map(|h| Value::bytes(&h)))
            .with("added", Value::Int(self.added))
            .with("expires", Value::Int(self.expires))
            .done()
    }
}

/// Somebody of the organisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: String,
    /// Their name, shown.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// Their devices, retired ones too.
    pub devices: Vec<Device>,
}

impl Person {
    /// Whether the person has the role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The device with this id.
    #[must_use]
    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.iter().find(|d| d.id == id)
    }

    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("person", value)?;
        let person = Self {
            id: f.take("id", id)?,
            name: f.take("name", string)?,
            roles: f.take("roles", list(Role::read))?,
            devices: f.take("devices", list(Device::read))?,
        };
        f.close()?;
        Ok(person)
    }

    fn value(&self) -> Value {
        Writer::default()
            .with("id", Value::text(&self.id))
            .with("name", Value::text(&self.name))
            .with("roles", array(&self.roles, |r| r.value()))
            .with("devices", array(&self.devices, Device::value))
            .done()
    }
}

/// The least version of one exact path that may still be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floor {
    /// The path.
    pub path: String,
    /// The version.
    pub version: u64,
    /// The revision.
    pub revision: u64,
}

/// What a hold stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldOn {
    /// A client.
    Subject(String),
    /// Paths.
    Match(String),
}

/// A hold: nothing is approved while `now < until`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What it stops.
    pub on: HoldOn,
    /// Unix seconds.
    pub until: u64,
}

impl Hold {
    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("hold", value)?;
        let on = match (f.maybe("subject", path)?, f.maybe("match", pattern)?) {
            (Some(subject), None) => HoldOn::Subject(subject),
            (None, Some(pattern)) => HoldOn::Match(pattern),
            _ => return Err(wrong("hold", "either subject or match")),
        };
        let hold = Self { on, until: f.take("until", int)? };
        f.close()?;
        Ok(hold)
    }

    fn value(&self) -> Value {
        let (name, text) = match &self.on {
            HoldOn::Subject(subject) => ("subject", subject),
            HoldOn::Match(pattern) => ("match", pattern),
        };
        Writer::default().with(name, Value::text(text)).with("until", Value::Int(self.until)).done()
    }
}

/// Who belongs to the organisation, and which policy covers what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roster {
    /// The pin.
    pub org: Oid,
    /// Oid of the newest root.
    pub root: Oid,
    /// From 1, under each root.
    pub version: u64,
    /// Oid of the version before.
    pub previous: Option<Oid>,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
    /// The people.
    pub people: Vec<Person>,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Least versions, sorted by path.
    pub floors: Vec<Floor>,
    /// Oids of client certificates.
    pub revoked: Vec<Oid>,
    /// Holds.
    pub holds: Vec<Hold>,
}

impl Roster {
    /// The person with this id.
    #[must_use]
    pub fn person(&self, id: &str) -> Option<&Person> {
        self.people.iter().find(|p| p.id == id)
    }

    /// The floor of this exact path: nothing below is served.
    #[must_use]
    pub fn floor(&self, path: &str) -> Option<(u64, u64)> {
        self.floors.iter().find(|f| f.path == path).map(|f| (f.version, f.revision))
    }
}

impl Payload for Roster {
    const NAME: &'static str = "roster";
    const LIMIT: usize = MAX_ROSTER;

    fn from_value(value: Value) -> Result<Self> {
        let floor = |v| {
            let [at, number, revision] = tuple(v)?;
            Ok(Floor { path: path(at)?, version: int(number)?, revision: int(revision)? })
        };
        let mut f = Fields::open("roster", value)?;
        let roster = Self {
            org: f.take("org", hash)?,
            root: f.take("root", hash)?,
            version: f.take("version", version)?,
            previous: f.maybe("previous", hash)?,
            issued: f.take("issued", int)?,
            expires: f.take("expires", int)?,
            people: f.take("people", list(Person::read))?,
            policies: f.take("policies", list(Policy::read))?,
            floors: f.take("floors", list(floor))?,
            revoked: f.take("revoked", list(hash))?,
            holds: f.take("holds", list(Hold::read))?,
        };
        f.close()?;
        Ok(roster)
    }

    fn to_value(&self) -> Value {
        let floor = |f: &Floor| Value::Array(vec![Value::text(&f.path), Value::Int(f.version), Value::Int(f.revision)]);
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("root", Value::bytes(&self.root))
            .with("version", Value::Int(self.version))
            .maybe("previous", self.previous.map(|oid| Value::bytes(&oid)))
            .with("issued", Value::Int(self.issued))
            .with("expires", Value::Int(self.expires))
            .with("people", array(&self.people, Person::value))
            .with("policies", array(&self.policies, Policy::to_value))
            .with("floors", array(&self.floors, floor))
            .with("revoked", array(&self.revoked, |oid| Value::bytes(oid)))
            .with("holds", array(&self.holds, Hold::value))
            .done()
    }
}
