//! Typed keys and the three signature algorithms (section 2).
//!
//! A [`Key`] is what a roster, root or certificate lists: the algorithm that counts is the one that stands there, never the one
//! that a message names. A [`SigningKey`] holds a secret in memory that is wiped when it is dropped; its `Debug` shows none of it.
//! Signing is deterministic (RFC 8032, RFC 6979), so this module needs no randomness; [`SigningKey::from_bytes`] takes 32 random
//! bytes from the caller to make a key.

use core::fmt;

use ed25519_dalek::Signer as _;
use p256::ecdsa::signature::Verifier as _;
use zeroize::Zeroizing;

use crate::encoding::{Hash, Value, sha256};
use crate::error::{Code, Refusal, Result};
use crate::objects::fields::{Fields, Writer, boolean, bytes, string, words, wrong};

/// Bytes of an uncompressed P-256 point.
pub const P256_POINT: usize = 65;
/// Bytes of an Ed25519 public key.
pub const ED25519_PUBLIC: usize = 32;
/// Bytes of a raw signature, both kinds.
const RAW_SIGNATURE: usize = 64;

words! {
    /// A signature algorithm.
    Alg {
        /// Ed25519 over the pre-authentication encoding.
        Ed25519 = "ed25519",
        /// ECDSA P-256 with SHA-256 over the same, 64-byte `r||s`.
        Es256 = "es256",
        /// A WebAuthn assertion whose challenge is the oid.
        WebauthnEs256 = "webauthn-es256",
    }
}

/// What a listed passkey must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// The credential id.
    pub credential: Vec<u8>,
    /// The relying party at which it was made.
    pub rp_id: String,
    /// Whether it could be backed up when it was enrolled; an assertion must say the same.
    pub backup: bool,
}

/// A listed public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The algorithm.
    pub alg: Alg,
    /// 32 bytes (Ed25519) or 65 (P-256).
    pub public: Vec<u8>,
    /// Exactly for [`Alg::WebauthnEs256`].
    pub passkey: Option<Passkey>,
}

impl Key {
    /// The hint by which a signature names its key.
    #[must_use]
    pub fn hint(&self) -> Hash {
        sha256(&self.public)
    }

    /// Reads a key.
    ///
    /// # Errors
    /// `field` or `base64`.
    pub fn from_value(value: Value) -> Result<Self> {
        Self::read(value)
    }

    pub(crate) fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("key", value)?;
        let alg = f.take("alg", Alg::read)?;
        let public = f.take("public", bytes)?;
        // credential, rp_id and backup stand exactly with a passkey: `close` refuses them with any other algorithm.
        let passkey = match alg {
            Alg::WebauthnEs256 => Some(Passkey {
                credential: f.take("credential", bytes)?,
                rp_id: f.take("rp_id", string)?,
                backup: f.take("backup", boolean)?,
            }),
            Alg::Ed25519 | Alg::Es256 => None,
        };
        f.close()?;
        let fits = match alg {
            Alg::Ed25519 => public.len() == ED25519_PUBLIC,
            Alg::Es256 | Alg::WebauthnEs256 => public.len() == P256_POINT && public.first() == Some(&4),
        };
        if !fits {
            return Err(wrong("key.public", "32 bytes (ed25519) or an uncompressed point of 65 bytes"));
        }
        Ok(Self { alg, public, passkey })
    }

    /// The key as a value.
    #[must_use]
    pub fn value(&self) -> Value {
        let passkey = self.passkey.as_ref();
        Writer::default()
            .with("alg", self.alg.value())
            .with("public", Value::bytes(&self.public))
            .maybe("credential", passkey.map(|p| Value::bytes(&p.credential)))
            .maybe("rp_id", passkey.map(|p| Value::text(&p.rp_id)))
            .maybe("backup", passkey.map(|p| Value::Bool(p.backup)))
            .done()
    }
}

fn no_signature(what: &str) -> Refusal {
    Refusal::new(Code::Signature, what)
}

/// Verifies an Ed25519 signature: 64 bytes, `s` reduced, no key of small order.
pub(crate) fn verify_ed25519(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    let public = <[u8; ED25519_PUBLIC]>::try_from(public).map_err(|_| no_signature("not an ed25519 key"))?;
    let key = ed25519_dalek::VerifyingKey::from_bytes(&public).map_err(|_| no_signature("not an ed25519 key"))?;
    let sig = ed25519_dalek::Signature::from_slice(sig).map_err(|_| no_signature("not an ed25519 signature"))?;
    // Strict: a key of small order verifies signatures that nobody made.
    key.verify_strict(message, &sig).map_err(|_| no_signature("the ed25519 signature does not verify"))
}

fn p256_key(public: &[u8]) -> Result<p256::ecdsa::VerifyingKey> {
    if public.len() != P256_POINT {
        return Err(no_signature("not an uncompressed point"));
    }
    p256::ecdsa::VerifyingKey::from_sec1_bytes(public).map_err(|_| no_signature("not a point of P-256"))
}

/// Verifies an ES256 signature of 64 bytes `r||s`.
pub(crate) fn verify_es256(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    if sig.len() != RAW_SIGNATURE {
        return Err(no_signature("an es256 signature has 64 bytes"));
    }
    let sig = p256::ecdsa::Signature::from_slice(sig).map_err(|_| no_signature("not an es256 signature"))?;
    p256_key(public)?.verify(message, &sig).map_err(|_| no_signature("the es256 signature does not verify"))
}

/// Verifies an ES256 signature in strict DER: what an authenticator makes.
pub(crate) fn verify_es256_der(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    let sig = p256::ecdsa::Signature::from_der(sig).map_err(|_| no_signature("not a DER signature"))?;
    p256_key(public)?.verify(message, &sig).map_err(|_| no_signature("the webauthn-es256 signature does not verify"))
}

enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    Es256(Box<p256::ecdsa::SigningKey>),
}

/// An `ed25519` or `es256` key. Passkeys sign elsewhere.
pub struct SigningKey {
    secret: Secret,
    key: Key,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.key.alg.as_str())
    }
}

impl SigningKey {
    /// A key of 32 secret bytes: the seed of Ed25519, the big-endian scalar of P-256.
    ///
    /// # Errors
    /// `field` for another length or a scalar outside the group's order; `alg` for an algorithm that does not sign here.
    pub fn from_bytes(alg: Alg, secret: &[u8]) -> Result<Self> {
        let bad = || wrong("secret key", "32 bytes below the order of the group");
        let (secret, public) = match alg {
            Alg::Ed25519 => {
                let seed = Zeroizing::new(<[u8; 32]>::try_from(secret).map_err(|_| bad())?);
                let key = ed25519_dalek::SigningKey::from_bytes(&seed);
                let public = key.verifying_key().to_bytes().to_vec();
                (Secret::Ed25519(Box::new(key)), public)
            }
            Alg::Es256 => {
                let key = p256::ecdsa::SigningKey::from_slice(secret).map_err(|_| bad())?;
                let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
                (Secret::Es256(Box::new(key)), public)
            }
            Alg::WebauthnEs256 => return Err(Refusal::new(Code::Alg, "a passkey signs on its own device")),
        };
        Ok(Self { secret, key: Key { alg, public, passkey: None } })
    }

    /// The public side, as a roster lists it.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The secret bytes, for a key file or a recovery kit alone.
    #[must_use]
    pub fn secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match &self.secret {
            Secret::Ed25519(key) => key.to_bytes().to_vec(),
            Secret::Es256(key) => key.to_bytes().to_vec(),
        })
    }

    /// A raw signature over `message`. For payloads use [`crate::signed::Signed::sign`], which checks the schema first.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Secret::Es256(key) => {
                let sig: p256::ecdsa::Signature = key.sign(message);
                sig.to_bytes().to_vec()
            }
        }
    }
}
