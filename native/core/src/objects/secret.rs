//! A sealed secret: the core that says what it is and for whom, and one stanza for each recipient.

use super::fields::{Fields, Writer, array, exactly, hash, id, int, length, list, path, tuple, version};
use super::{Payload, Policy};
use crate::encoding::{self, Hash, Oid, Pair, Value};
use crate::error::Result;
use crate::hpke::{CT_LENGTH, ENC_LENGTH};

/// The person in the recipients of recovery keys; no person may have this id.
pub const RECOVERY: &str = "recovery";

/// A device that signed, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The person.
    pub person: String,
    /// The device.
    pub device: String,
}

/// `[index, person, device]`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// Position in the policy's people plus 1; 128 + n for recovery key n.
    pub index: u64,
    /// The person, or [`RECOVERY`].
    pub person: String,
    /// The device, or the recovery key's id.
    pub device: String,
}

/// `[index, SHA-256 of the share]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareCommitment {
    /// The index.
    pub index: u64,
    /// The commitment.
    pub hash: Hash,
}

/// `[enc, ct]`: what HPKE made for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// The encapsulated key.
    pub enc: Vec<u8>,
    /// The ciphertext.
    pub ct: Vec<u8>,
}

/// What every stanza and the payload are bound to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// The pin.
    pub org: Oid,
    /// The path.
    pub path: String,
    /// Grows with new content.
    pub version: u64,
    /// Grows with new recipients.
    pub revision: u64,
    /// Oid of the seal before.
    pub previous: Option<Oid>,
    /// Unix seconds.
    pub sealed: u64,
    /// Who sealed it.
    pub by: By,
    /// The whole policy as it stood.
    pub policy: Policy,
    /// Salt of the derivations.
    pub salt: [u8; 32],
    /// Commitment to the data key.
    pub dek_commitment: Hash,
    /// SHA-256 of the ciphertext.
    pub ciphertext_hash: Hash,
    /// Bytes of the ciphertext.
    pub length: u64,
    /// For whom, sorted by index and device.
    pub recipients: Vec<Recipient>,
    /// Commitments to the shares, ascending.
    pub share_commitments: Vec<ShareCommitment>,
}

impl Core {
    /// `(version, revision)`.
    #[must_use]
    pub fn pair(&self) -> Pair {
        (self.version, self.revision)
    }

    /// SHA-256 over the canonical bytes of the core alone, as it stands in the info of stanzas.
    ///
    /// # Errors
    /// As [`encoding::encode`]; none for a decoded core.
    pub fn hash(&self) -> Result<Hash> {
        Ok(encoding::sha256(&encoding::encode(&self.to_value())?))
    }

    /// Reads a core that stands alone.
    ///
    /// # Errors
    /// `field`, `path` or `base64`.
    pub fn from_value(value: Value) -> Result<Self> {
        let recipient = |v| {
            let [index, person, device] = tuple(v)?;
            Ok(Recipient { index: int(index)?, person: id(person)?, device: id(device)? })
        };
        let commitment = |v| {
            let [index, digest] = tuple(v)?;
            Ok(ShareCommitment { index: int(index)?, hash: hash(digest)? })
        };
        let mut f = Fields::open("core", value)?;
        let core = Self {
            org: f.take("org", hash)?,
            path: f.take("path", path)?,
            version: f.take("version", version)?,
            revision: f.take("revision", int)?,
            previous: f.maybe("previous", hash)?,
            sealed: f.take("sealed", int)?,
            by: f.take("by", |v| {
                let mut f = Fields::open("by", v)?;
                let by = By { person: f.take("person", id)?, device: f.take("device", id)? };
                f.close()?;
                Ok(by)
            })?,
            policy: f.take("policy", Policy::read)?,
            salt: f.take("salt", exactly)?,
            dek_commitment: f.take("dek_commitment", hash)?,
            ciphertext_hash: f.take("ciphertext_hash", hash)?,
            length: f.take("length", int)?,
            recipients: f.take("recipients", list(recipient))?,
            share_commitments: f.take("share_commitments", list(commitment))?,
        };
        f.close()?;
        Ok(core)
    }

    /// The core as a value.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let by = Writer::default().with("person", Value::text(&self.by.person)).with("device", Value::text(&self.by.device));
        let recipient = |r: &Recipient| Value::Array(vec![Value::Int(r.index), Value::text(&r.person), Value::text(&r.device)]);
        let commitment = |c: &ShareCommitment| Value::Array(vec![Value::Int(c.index), Value::bytes(&c.hash)]);
        Writer::default()
            .with("org", Value::bytes(&self.org))
            .with("path", Value::text(&self.path))
            .with("version", Value::Int(self.version))
            .with("revision", Value::Int(self.revision))
            .maybe("previous", self.previous.map(|oid| Value::bytes(&oid)))
            .with("sealed", Value::Int(self.sealed))
            .with("by", by.done())
            .with("policy", self.policy.to_value())
            .with("salt", Value::bytes(&self.salt))
            .with("dek_commitment", Value::bytes(&self.dek_commitment))
            .with("ciphertext_hash", Value::bytes(&self.ciphertext_hash))
            .with("length", Value::Int(self.length))
            .with("recipients", array(&self.recipients, recipient))
            .with("share_commitments", array(&self.share_commitments, commitment))
            .done()
    }
}

/// A sealed secret without its payload ciphertext, which travels apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The core.
    pub core: Core,
    /// One for each recipient, in their order.
    pub stanzas: Vec<Stanza>,
}

impl Payload for Secret {
    const NAME: &'static str = "secret";

    fn from_value(value: Value) -> Result<Self> {
        let stanza = |v| {
            let [enc, ct] = tuple(v)?;
            Ok(Stanza { enc: length(enc, ENC_LENGTH)?, ct: length(ct, CT_LENGTH)? })
        };
        let mut f = Fields::open("secret", value)?;
        let secret = Self { core: f.take("core", Core::from_value)?, stanzas: f.take("stanzas", list(stanza))? };
        f.close()?;
        Ok(secret)
    }

    fn to_value(&self) -> Value {
        let stanza = |s: &Stanza| Value::Array(vec![Value::bytes(&s.enc), Value::bytes(&s.ct)]);
        Writer::default().with("core", self.core.to_value()).with("stanzas", array(&self.stanzas, stanza)).done()
    }
}
