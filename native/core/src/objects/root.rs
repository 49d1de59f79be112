//! The organisation root, and the public keys that every object is built of.

use super::Payload;
use super::fields::{Fields, Writer, array, exactly, hash, int, list, string, texts, version, wrong};
use crate::encoding::{Oid, Value};
use crate::error::Result;
use crate::hpke::{KemPublic, SUITE};
use crate::keys::{Key, P256_POINT};

/// A key encapsulation key. Version 1 speaks `p256` alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kem {
    /// The uncompressed point, on the curve.
    pub public: [u8; P256_POINT],
}

impl Kem {
    pub(crate) fn read(value: Value) -> Result<Self> {
        let mut fields = Fields::open("kem", value)?;
        let suite = fields.take("suite", string)?;
        // 3: unknown suites are refused before anything is opened, or sealed to them.
        if suite != SUITE {
            return Err(wrong("kem.suite", SUITE));
        }
        let public = fields.take("public", exactly)?;
        fields.close()?;
        KemPublic::parse(&public).map_err(|_| wrong("kem.public", "an uncompressed point of P-256"))?;
        Ok(Self { public })
    }

    pub(crate) fn value(&self) -> Value {
        Writer::default().with("suite", Value::text(SUITE)).with("public", Value::bytes(&self.public)).done()
    }
}

/// Keys, and how many distinct ones of them must sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// The listed keys.
    pub keys: Vec<Key>,
    /// How many.
    pub threshold: u64,
}

impl Quorum {
    fn read(value: Value) -> Result<Self> {
        let mut fields = Fields::open("quorum", value)?;
        let quorum = Self { keys: fields.take("keys", list(Key::read))?, threshold: fields.take("threshold", int)? };
        fields.close()?;
        Ok(quorum)
    }

    fn value(&self) -> Value {
        Writer::default().with("keys", array(&self.keys, Key::value)).with("threshold", Value::Int(self.threshold)).done()
    }
}

/// The transparency log: the origin line of its checkpoints and its Ed25519 key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogKey {
    /// The origin line.
    pub origin: String,
    /// The Ed25519 public key.
    pub public: [u8; 32],
}

/// One version of the organisation root. The oid of version 1 is the organisation id, which everybody pins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The organisation's name, shown.
    pub name: String,
    /// From 1, without gaps.
    pub version: u64,
    /// Oid of the version before; absent at first.
    pub previous: Option<Oid>,
    /// Who may replace the root.
    pub root: Quorum,
    /// Who may sign rosters and client certificates.
    pub admin: Quorum,
    /// The log.
    pub log: LogKey,
    /// The WebAuthn relying party.
    pub rp_id: String,
    /// Origins at which passkeys sign.
    pub origins: Vec<String>,
    /// Unix seconds.
    pub issued: u64,
    /// Unix seconds.
    pub expires: u64,
}

impl Payload for Root {
    const NAME: &'static str = "root";

    fn from_value(value: Value) -> Result<Self> {
        let mut f = Fields::open("root", value)?;
        let root = Self {
            name: f.take("name", string)?,
            version: f.take("version", version)?,
            previous: f.maybe("previous", hash)?,
            root: f.take("root", Quorum::read)?,
            admin: f.take("admin", Quorum::read)?,
            log: f.take("log", |v| {
                let mut f = Fields::open("log", v)?;
                let log = LogKey { origin: f.take("origin", string)?, public: f.take("public", exactly)? };
                f.close()?;
                Ok(log)
            })?,
            rp_id: f.take("rp_id", string)?,
            origins: f.take("origins", list(string))?,
            issued: f.take("issued", int)?,
            expires: f.take("expires", int)?,
        };
        f.close()?;
        Ok(root)
    }

    fn to_value(&self) -> Value {
        let log = Writer::default().with("origin", Value::text(&self.log.origin)).with("public", Value::bytes(&self.log.public));
        Writer::default()
            .with("name", Value::text(&self.name))
            .with("version", Value::Int(self.version))
            .maybe("previous", self.previous.map(|oid| Value::bytes(&oid)))
            .with("root", self.root.value())
            .with("admin", self.admin.value())
            .with("log", log.done())
            .with("rp_id", Value::text(&self.rp_id))
            .with("origins", texts(&self.origins))
            .with("issued", Value::Int(self.issued))
            .with("expires", Value::Int(self.expires))
            .done()
    }
}
