//! A WebAuthn assertion as a signature over an object (section 2, WebAuthn Level 3 section 7.2).
//!
//! The browser and the authenticator sign `auth_data || SHA-256(client_data)`; that covers our object because the challenge in
//! `client_data` is the object's oid. Not checked here: the signature counter (synced passkeys keep none) and extension outputs,
//! which nothing rests on; the signature covers them.

use crate::encoding::{Oid, Value, sha256};
use crate::error::{Code, Refusal, Result};
use crate::keys::{Passkey, verify_es256_der};
use crate::{json, text};

/// User present.
const UP: u8 = 0x01;
/// User verified.
const UV: u8 = 0x04;
/// Backup eligible.
const BE: u8 = 0x08;
/// Backed up.
const BS: u8 = 0x10;
/// Attested credential data follows.
const AT: u8 = 0x40;
/// Extension data follows.
const ED: u8 = 0x80;
/// Hash of the relying party id, flags, counter.
const FIXED: usize = 37;

/// One assertion, and what it has to be.
pub struct Assertion<'a> {
    /// The listed public key, 65 bytes.
    pub public: &'a [u8],
    /// What the roster says of the credential.
    pub passkey: &'a Passkey,
    /// Where it may have been made.
    pub origins: &'a [String],
    /// The object that is signed.
    pub oid: &'a Oid,
    /// Authenticator data.
    pub auth_data: &'a [u8],
    /// Client data, as the browser wrote it.
    pub client_data: &'a [u8],
    /// The signature, DER.
    pub sig: &'a [u8],
}

impl Assertion<'_> {
    /// Verifies the assertion.
    ///
    /// # Errors
    /// `signature`, `client-data`, `challenge`, `origin`, `cross-origin`, `rp-id`, `flags` or `backup`.
    pub fn verify(&self) -> Result<()> {
        // 1. The signature first: nothing below reads bytes that the authenticator did not sign.
        let mut message = self.auth_data.to_vec();
        message.extend_from_slice(&sha256(self.client_data));
        verify_es256_der(self.public, &message, self.sig)?;
        self.check_client_data()?;
        self.check_auth_data()
    }

    /// The checks behind the signature, alone: for fuzzing, where no signature can be guessed. Never in a released wheel.
    ///
    /// # Errors
    /// As [`Assertion::verify`], without `signature`.
    #[cfg(feature = "vectors")]
    pub fn verify_without_signature(&self) -> Result<()> {
        self.check_client_data()?;
        self.check_auth_data()
    }

    fn check_client_data(&self) -> Result<()> {
        // 2. A foreign parser, because browsers add members; a member that stands twice is refused.
        let bad = |what: &str| Refusal::new(Code::ClientData, what);
        let data = json::parse_foreign(self.client_data).map_err(|_| bad("client data is not JSON"))?;
        let text = |name: &str| data.get(name).and_then(Value::as_text);
        // 3. The ceremony: a registration is no assertion.
        if text("type") != Some("webauthn.get") {
            return Err(bad("type is not webauthn.get"));
        }
        // 4. The challenge binds the assertion to this object.
        if text("challenge") != Some(text::b64encode(self.oid).as_str()) {
            return Err(Refusal::new(Code::Challenge, "the challenge is not the oid"));
        }
        // 5. The whole origin, never a prefix or suffix.
        if !text("origin").is_some_and(|origin| self.origins.iter().any(|listed| listed == origin)) {
            return Err(Refusal::new(Code::Origin, "the origin is not listed"));
        }
        // 6. No frame inside somebody else's page.
        if !matches!(data.get("crossOrigin"), None | Some(Value::Bool(false))) {
            return Err(Refusal::new(Code::CrossOrigin, "made in a frame of another origin"));
        }
        Ok(())
    }

    fn check_auth_data(&self) -> Result<()> {
        let (Some(rp_id_hash), Some(&flags)) = (self.auth_data.get(..32), self.auth_data.get(32)) else {
            return Err(Refusal::new(Code::ClientData, "authenticator data is too short"));
        };
        let extended = flags & (AT | ED) != 0;
        if self.auth_data.len() < FIXED || (!extended && self.auth_data.len() > FIXED) {
            return Err(Refusal::new(Code::ClientData, "authenticator data has another length"));
        }
        // 7. The relying party of the listed credential.
        if rp_id_hash != sha256(self.passkey.rp_id.as_bytes()) {
            return Err(Refusal::new(Code::RpId, "another relying party"));
        }
        // 8. A person was there and was verified.
        if flags & UP == 0 || flags & UV == 0 {
            return Err(Refusal::new(Code::Flags, "user presence and user verification are both wanted"));
        }
        // 9. The credential can be copied exactly when the roster says so: otherwise its tier would be a lie.
        let eligible = flags & BE != 0;
        if eligible != self.passkey.backup || (flags & BS != 0 && !eligible) {
            return Err(Refusal::new(Code::Backup, "backup flags are not those of the enrolled credential"));
        }
        Ok(())
    }
}
