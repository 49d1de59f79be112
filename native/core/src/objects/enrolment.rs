//! The small objects: enrolment, login, and what a client reports about a request.

use super::fields::{Fields, Writer, array, bytes, hash, int, list, string, words};
use super::{Kem, Payload};
use crate::encoding::{Hash, Oid, Value};
use crate::error::Result;
use crate::keys::Key;

/// A device or a client that wants to join, signed by its own `auth`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrol {
    /// The pin.
    pub org: Oid,
    /// The hash of the invite's nonce.
    pub invite: Hash,
    /// Its name, shown.
    pub name: String,
    /// The key that signs.
    pub auth: Key,
    /// The KEM key of a device; a client has none.
    pub kem: Option<Kem>,
    /// The key that signs deny and freeze.
    pub deny: Option<Key>,
    /// The key for its person's certificate.
    pub client: Option<Key>,
    /// Unix seconds.
    pub issued: u64,
}

impl Payload for Enrol {
    const NAME: &'static str = "enrol";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("enrol", value)?;
        let enrol = Self {
            org: f.take("org", hash)?,
            invite: f.take("invite", hash)?,
            name: f.take("name", string)?,
            auth: f.take("auth", Key::read)?,
            kem: f.maybe("kem", Kem::read)?,
            deny: f.maybe("deny", Key::read_deny)?,
            client: f.maybe("client", Key::read_client)?,
            issued: f.take("issued", int)?,
        };
        f.close()?;
        Ok(enrol)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("invite", Value::bytes(&self.invite))
            .with("name", Value::text(&self.name))
            .with("auth", self.auth.value())
            .maybe("kem", self.kem.as_ref().map(Kem::value))
            .maybe("deny", self.deny.as_ref().map(Key::value))
            .maybe("client", self.client.as_ref().map(Key::value))
            .with("issued", Value::Int(self.issued))
            .done()
    }
}

/// Proof towards the relay of holding a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The pin.
    pub org: Oid,
    /// The relay's origin.
    pub origin: String,
    /// The relay's nonce.
    pub nonce: Vec<u8>,
    /// Unix seconds.
    pub issued: u64,
}

impl Payload for Login {
    const NAME: &'static str = "login";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("login", value)?;
        let login = Self {
            org: f.take("org", hash)?,
            origin: f.take("origin", string)?,
            nonce: f.take("nonce", bytes)?,
            issued: f.take("issued", int)?,
        };
        f.close()?;
        Ok(login)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("origin", Value::text(&self.origin))
            .with("nonce", Value::bytes(&self.nonce))
            .with("issued", Value::Int(self.issued))
            .done()
    }
}

words! {
    /// What became of a release.
    ReceiptResult {
        /// The caller has it.
        Delivered = "delivered",
        /// It could not be delivered.
        Failed = "failed",
        /// Nobody wanted it any more.
        Discarded = "discarded",
    }
}

/// What a client says about an approved request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The pin.
    pub org: Oid,
    /// Oid of the request.
    pub request: Oid,
    /// Oid of the secret.
    pub secret: Oid,
    /// What became of it.
    pub result: ReceiptResult,
    /// Why.
    pub reason: Option<String>,
    /// Unix seconds.
    pub issued: u64,
}

impl Payload for Receipt {
    const NAME: &'static str = "receipt";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("receipt", value)?;
        let receipt = Self {
            org: f.take("org", hash)?,
            request: f.take("request", hash)?,
            secret: f.take("secret", hash)?,
            result: f.take("result", ReceiptResult::read)?,
            reason: f.maybe("reason", string)?,
            issued: f.take("issued", int)?,
        };
        f.close()?;
        Ok(receipt)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("request", Value::bytes(&self.request))
            .with("secret", Value::bytes(&self.secret))
            .with("result", self.result.value())
            .maybe("reason", self.reason.as_deref().map(Value::text))
            .with("issued", Value::Int(self.issued))
            .done()
    }
}

/// Deliveries out of a lease to one program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UseBy {
    /// The account's number.
    pub uid: u64,
    /// The executable.
    pub exe: String,
    /// Its digest.
    pub exe_sha256: Hash,
    /// How many.
    pub count: u64,
}

/// A report of deliveries out of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The pin.
    pub org: Oid,
    /// Oid of the request that made the lease.
    pub request: Oid,
    /// To whom.
    pub by: Vec<UseBy>,
    /// Unix seconds of the first.
    pub first: u64,
    /// Unix seconds of the last.
    pub last: u64,
    /// Unix seconds.
    pub issued: u64,
}

impl Payload for Use {
    const NAME: &'static str = "use";

    fn from_value(value: Value) -> Result<Self> {
        let by = |v| {
            let mut f = Fields::open("by", v)?;
            let by = UseBy {
                uid: f.take("uid", int)?,
                exe: f.take("exe", string)?,
                exe_sha256: f.take("exe_sha256", hash)?,
                count: f.take("count", int)?,
            };
            f.close()?;
            Ok(by)
        };
        let mut f = Fields::open("use", value)?;
        let report = Self {
            org: f.take("org", hash)?,
            request: f.take("request", hash)?,
            by: f.take("by", list(by))?,
            first: f.take("first", int)?,
            last: f.take("last", int)?,
            issued: f.take("issued", int)?,
        };
        f.close()?;
        Ok(report)
    }

    fn to_value(&self) -> Value {
        let by = |b: &UseBy| {
            Writer::default()
                .with("uid", Value::Int(b.uid))
                .with("exe", Value::text(&b.exe))
                .with("exe_sha256", Value::bytes(&b.exe_sha256))
                .with("count", Value::Int(b.count))
                .done()
        };
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("request", Value::bytes(&self.request))
            .with("by", array(&self.by, by))
            .with("first", Value::Int(self.first))
            .with("last", Value::Int(self.last))
            .with("issued", Value::Int(self.issued))
            .done()
    }
}

/// A client withdraws a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// The pin.
    pub org: Oid,
    /// Oid of the request.
    pub request: Oid,
    /// Unix seconds.
    pub issued: u64,
}

impl Payload for Cancel {
    const NAME: &'static str = "cancel";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("cancel", value)?;
        let cancel = Self { org: f.take("org", hash)?, request: f.take("request", hash)?, issued: f.take("issued", int)? };
        f.close()?;
        Ok(cancel)
    }

    fn to_value(&self) -> Value {
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("request", Value::bytes(&self.request))
            .with("issued", Value::Int(self.issued))
            .done()
    }
}
