//! The typed objects of section 4. Each is read strictly: an unknown, missing or wrongly typed field is a refusal with the code
//! `field` (or `path`, `base64` for a string of the wrong grammar).
//!
//! [`Payload::decode`] is bytes to type, [`Payload::encode`] is type to bytes, and each undoes the other. A decoded object is
//! **not** a verified one: signatures are the matter of [`crate::signed`], who may sign of [`crate::trust`].

pub(crate) mod fields;

mod enrolment;
mod policy;
mod release;
mod request;
mod root;
mod roster;
mod secret;

pub use enrolment::{Cancel, Enrol, Login, Receipt, ReceiptResult, Use, UseBy};
pub use policy::{Deny, Policy, Recovery, RecoveryKey, Scope, Tier};
pub use release::{Decision, Item, Release, SealedEntry, Verdict};
pub use request::{Claimed, ClientCert, Grade, Link, Observed, Purpose, Request};
pub use root::{Kem, LogKey, Quorum, Root};
pub use roster::{Device, Floor, Hold, HoldOn, Person, Role, Roster};
pub use secret::{By, Core, RECOVERY, Recipient, Secret, ShareCommitment, Stanza};

use crate::encoding::{self, MAX_PAYLOAD, MAX_ROSTER, MAX_WRAPPER, Oid, Value};
use crate::error::{Code, Refusal, Result};

/// An object that travels as a payload.
pub trait Payload: Sized {
    /// The name in the media type.
    const NAME: &'static str;
    /// Bytes that a payload may have.
    const LIMIT: usize = MAX_PAYLOAD;

    /// Reads the object.
    ///
    /// # Errors
    /// `field`, `path` or `base64`.
    fn from_value(value: Value) -> Result<Self>;

    /// The object as a value.
    fn to_value(&self) -> Value;

    /// Reads the payload: form, then schema.
    ///
    /// # Errors
    /// Any code of the encoding.
    fn decode(payload: &[u8]) -> Result<Self> {
        Self::from_value(encoding::decode(payload, Self::LIMIT)?)
    }

    /// The payload, held to the same schema and size as one from outside.
    ///
    /// # Errors
    /// Any code of the encoding.
    fn encode(&self) -> Result<Vec<u8>> {
        let payload = encoding::encode(&self.to_value())?;
        Self::decode(&payload)?;
        Ok(payload)
    }

    /// The oid of a payload of this type.
    #[must_use]
    fn oid_of(payload: &[u8]) -> Oid {
        encoding::oid(&encoding::media_type(Self::NAME), payload)
    }
}

/// Every object that is signed, by name.
pub const NAMES: [&str; 11] =
    ["root", "roster", "client-cert", "secret", "request", "decision", "receipt", "use", "cancel", "enrol", "login"];

/// The name in a media type.
///
/// # Errors
/// `type` for any other.
pub fn name_of(media_type: &str) -> Result<&'static str> {
    let found = NAMES.iter().find(|name| encoding::media_type(name) == media_type);
    found.copied().ok_or_else(|| Refusal::new(Code::Type, "an unknown media type"))
}

/// Bytes that the payload of `name` may have.
#[must_use]
pub fn limit_of(name: &str) -> usize {
    match name {
        "roster" => MAX_ROSTER,
        "release" => MAX_WRAPPER,
        _ => MAX_PAYLOAD,
    }
}

/// Form and schema of a payload whose type is known by name alone.
///
/// # Errors
/// Any code of the encoding; `type` for an unknown name.
pub fn check(name: &str, payload: &[u8]) -> Result<Oid> {
    fn one<T: Payload>(payload: &[u8]) -> Result<Oid> {
        T::decode(payload)?;
        Ok(T::oid_of(payload))
    }
    match name {
        "root" => one::<Root>(payload),
        "roster" => one::<Roster>(payload),
        "client-cert" => one::<ClientCert>(payload),
        "secret" => one::<Secret>(payload),
        "request" => one::<Request>(payload),
        "decision" => one::<Decision>(payload),
        "receipt" => one::<Receipt>(payload),
        "use" => one::<Use>(payload),
        "cancel" => one::<Cancel>(payload),
        "enrol" => one::<Enrol>(payload),
        "login" => one::<Login>(payload),
        "release" => one::<Release>(payload),
        _ => Err(Refusal::new(Code::Type, "an unknown object")),
    }
}
