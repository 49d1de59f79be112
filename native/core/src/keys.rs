//! Typed keys and the three signature algorithms (section 2).
//!
//! A [`Key`] is what a roster, root or certificate lists: the algorithm that counts is the one that stands there, never the one
//! that a message names. A [`SigningKey`] holds a secret in memory that is wiped when it is dropped; its `Debug` shows none of it.
//! [`SigningKey::from_bytes`] takes 32 random bytes from the caller to make a key. Ed25519 signs deterministically (RFC 8032); the
//! nonce of an ES256 signature comes from the generator inside AWS-LC, because a caller who could choose it could leak the key.

use core::fmt;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey, VerificationAlgorithm,
};
use zeroize::Zeroizing;

use crate::encoding::{Hash, Value, sha256};
use crate::error::{Code, Refusal, Result};
use crate::hpke::KemPublic;
use crate::objects::fields::{Fields, Writer, boolean, bytes, string, words, wrong};

/// Bytes of an uncompressed P-256 point.
pub const P256_POINT: usize = 65;
/// Bytes of an Ed25519 public key.
pub const ED25519_PUBLIC: usize = 32;
/// Bytes of a raw signature, both kinds.
const RAW_SIGNATURE: usize = 64;
/// Bytes of a secret key, both kinds.
const SECRET: usize = 32;

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
            Alg::Es256 | Alg::WebauthnEs256 => KemPublic::parse(&public).is_ok(),
        };
        if !fits {
            return Err(wrong("key.public", "32 bytes (ed25519) or an uncompressed point of P-256, 65 bytes"));
        }
        Ok(Self { alg, public, passkey })
    }

    pub(crate) fn read_client(value: Value) -> Result<Self> {
        let key = Self::read(value)?;
        key.check_client()?;
        Ok(key)
    }

    pub(crate) fn read_deny(value: Value) -> Result<Self> {
        let key = Self::read(value)?;
        key.check_deny()?;
        Ok(key)
    }

    /// A client's key: it runs unattended, and nobody is there to touch a passkey.
    ///
    /// # Errors
    /// `alg`.
    pub fn check_client(&self) -> Result<()> {
        match self.alg {
            Alg::Ed25519 | Alg::Es256 => Ok(()),
            Alg::WebauthnEs256 => Err(Refusal::new(Code::Alg, "a client's key is not a passkey")),
        }
    }

    /// A deny key: it works without user verification, on every kind of device.
    ///
    /// # Errors
    /// `alg`.
    pub fn check_deny(&self) -> Result<()> {
        match self.alg {
            Alg::Es256 => Ok(()),
            Alg::Ed25519 | Alg::WebauthnEs256 => Err(Refusal::new(Code::Alg, "a deny key is es256")),
        }
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

/// Verifies with a library that also takes keys in other forms: only one form may name a key here.
fn verify(algorithm: &'static dyn VerificationAlgorithm, public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    UnparsedPublicKey::new(algorithm, public).verify(message, sig).map_err(|_| no_signature("it does not verify"))
}

/// The y of the points of small order, little-endian: 0, 1, -1, and the two of order 8. Under such a key one signature is good
/// for many messages, and anyone can make it.
const SMALL_ORDER: [[u8; 32]; 5] = [
    [0; 32],
    [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [
        0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f,
    ],
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05,
        0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa,
        0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

/// Whether the bytes name a point of small order, or name any point by a y that is not reduced (there are 19 such y).
fn is_weak(point: &[u8]) -> bool {
    let Ok(mut y) = <[u8; ED25519_PUBLIC]>::try_from(point) else { return true };
    y[31] &= 0x7f; // the sign of x
    let unreduced = y[31] == 0x7f && y[1..31].iter().all(|&byte| byte == 0xff) && y[0] >= 0xed;
    unreduced || SMALL_ORDER.contains(&y)
}

/// Verifies an Ed25519 signature: 64 bytes, `s` reduced, neither the key nor R of small order.
pub(crate) fn verify_ed25519(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    if public.len() != ED25519_PUBLIC || sig.len() != RAW_SIGNATURE {
        return Err(no_signature("an ed25519 key has 32 bytes, its signature 64"));
    }
    if is_weak(public) || is_weak(sig.split_at(ED25519_PUBLIC).0) {
        return Err(no_signature("a point of small order"));
    }
    verify(&ED25519, public, message, sig)
}

fn check_point(public: &[u8]) -> Result<()> {
    if public.len() == P256_POINT && public.first() == Some(&4) {
        return Ok(());
    }
    Err(no_signature("not an uncompressed point of P-256"))
}

/// Verifies an ES256 signature of 64 bytes `r||s`.
pub(crate) fn verify_es256(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    check_point(public)?;
    if sig.len() != RAW_SIGNATURE {
        return Err(no_signature("an es256 signature has 64 bytes"));
    }
    verify(&ECDSA_P256_SHA256_FIXED, public, message, sig)
}

/// Verifies an ES256 signature in strict DER: what an authenticator makes.
pub(crate) fn verify_es256_der(public: &[u8], message: &[u8], sig: &[u8]) -> Result<()> {
    check_point(public)?;
    verify(&ECDSA_P256_SHA256_ASN1, public, message, sig)
}

enum Signer {
    Ed25519(Ed25519KeyPair),
    Es256(EcdsaKeyPair),
}

/// An `ed25519` or `es256` key. Passkeys sign elsewhere.
pub struct SigningKey {
    signer: Signer,
    secret: Zeroizing<[u8; SECRET]>,
    key: Key,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, ..)", self.key.alg.as_str())
    }
}

fn bad_secret() -> Refusal {
    wrong("secret key", "32 bytes, for es256 below the order of the group and not 0")
}

fn es256_pair(secret: &[u8; SECRET]) -> core::result::Result<(EcdsaKeyPair, Vec<u8>), aws_lc_rs::error::Unspecified> {
    let private = PrivateKey::from_private_key(&ECDH_P256, secret)?;
    let public = private.compute_public_key()?.as_ref().to_vec();
    let pair = EcdsaKeyPair::from_private_key_and_public_key(&ECDSA_P256_SHA256_FIXED_SIGNING, secret, &public)?;
    Ok((pair, public))
}

impl SigningKey {
    /// A key of 32 secret bytes: the seed of Ed25519, the big-endian scalar of P-256.
    ///
    /// # Errors
    /// `field` for another length or a scalar outside the group's order; `alg` for an algorithm that does not sign here.
    pub fn from_bytes(alg: Alg, secret: &[u8]) -> Result<Self> {
        let secret = Zeroizing::new(<[u8; SECRET]>::try_from(secret).map_err(|_| bad_secret())?);
        let (signer, public) = match alg {
            Alg::Ed25519 => {
                let pair = Ed25519KeyPair::from_seed_unchecked(secret.as_slice()).map_err(|_| bad_secret())?;
                let public = pair.public_key().as_ref().to_vec();
                (Signer::Ed25519(pair), public)
            }
            Alg::Es256 => {
                let (pair, public) = es256_pair(&secret).map_err(|_| bad_secret())?;
                (Signer::Es256(pair), public)
            }
            Alg::WebauthnEs256 => return Err(Refusal::new(Code::Alg, "a passkey signs on its own device")),
        };
        Ok(Self { signer, secret, key: Key { alg, public, passkey: None } })
    }

    /// The public side, as a roster lists it.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The secret bytes, for a key file or a recovery kit alone.
    #[must_use]
    pub fn secret_bytes(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.secret.to_vec())
    }

    /// A raw signature over `message`. For payloads use [`crate::signed::Signed::sign`], which checks the schema first.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> Result<Vec<u8>> {
        match &self.signer {
            Signer::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Signer::Es256(pair) => {
                let sig = pair.sign(&SystemRandom::new(), message).map_err(|_| no_signature("the key did not sign"))?;
                Ok(sig.as_ref().to_vec())
            }
        }
    }
}
