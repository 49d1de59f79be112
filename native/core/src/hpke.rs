//! HPKE (RFC 9180), base mode, single shot, one suite: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. Protocol section 3.
//!
//! * [`seal`] and [`open`] take 32-byte values alone and an empty aad: all binding goes into `info`, the canonical bytes of a
//!   JSON array whose first item is a domain string. A stanza, a release and an enrolment proof are such values; nothing else is.
//! * The Diffie-Hellman step stands behind [`DiffieHellman`], so that a TPM, a PIV card or a PKCS#11 token can do it while the
//!   rest of the scheme runs here. [`KemKey`] is the software key.
//! * A public key is a [`KemPublic`]: 65 bytes, uncompressed, on the curve. There is no other way to name one, so no later step
//!   has to ask. The point at infinity has no such form.
//!
//! Not here on purpose: the auth and psk modes, exports, more than one message a context, other suites (`mlkem768p256` is
//! reserved and refused).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{ECDH_P256, ParsedPublicKey, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use aws_lc_rs::hmac;
use core::fmt;
use zeroize::Zeroizing;

use crate::error::{Code, Refusal, Result};
use crate::random::Randomness;

/// Bytes of an encapsulated key, and of a public key.
pub const ENC_LENGTH: usize = 65;
/// Bytes of a sealed 32-byte value.
pub const CT_LENGTH: usize = 48;
/// Bytes of the only values that are sealed.
pub const VALUE_LENGTH: usize = 32;
/// The one suite that is spoken.
pub const SUITE: &str = "p256";

const UNCOMPRESSED: u8 = 4;
const VERSION: &[u8] = b"HPKE-v1";
/// "KEM" and `kem_id` 0x0010 (RFC 9180, 4.1).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// "HPKE", `kem_id` 0x0010, `kdf_id` 0x0001, `aead_id` 0x0002 (RFC 9180, 5.1).
const HPKE_SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x02";
const MODE_BASE: u8 = 0;
const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;

/// A 32-byte value that is wiped when it goes: a data key, a share, a Diffie-Hellman result.
pub type Secret32 = Zeroizing<[u8; VALUE_LENGTH]>;

/// A P-256 public key that was checked: uncompressed, on the curve.
#[derive(Clone)]
pub struct KemPublic {
    bytes: [u8; ENC_LENGTH],
    /// The point, so that it is checked once and not at each use.
    point: ParsedPublicKey,
}

impl PartialEq for KemPublic {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for KemPublic {}

impl KemPublic {
    /// Takes 65 bytes `04 || x || y`; a compressed, hybrid or off-curve point is refused with `open`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        // The library below also takes compressed points, hybrid points and X.509: only one form may name a key here.
        let bytes: [u8; ENC_LENGTH] = bytes.try_into().map_err(|_| not_a_point())?;
        if bytes[0] != UNCOMPRESSED {
            return Err(not_a_point());
        }
        let point = UnparsedPublicKey::new(&ECDH_P256, bytes).try_into().map_err(|_| not_a_point())?;
        Ok(Self { bytes, point })
    }

    /// The 65 bytes `04 || x || y`.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; ENC_LENGTH] {
        &self.bytes
    }
}

impl fmt::Debug for KemPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemPublic(p256)")
    }
}

/// The part of opening that needs the private key, and nothing more: a token implements this and never gives the key away.
pub trait DiffieHellman {
    /// The public key that belongs to the private one.
    fn public(&self) -> &KemPublic;

    /// The 32-byte x coordinate of `private * peer`.
    fn agree(&self, peer: &KemPublic) -> Result<Secret32>;
}

/// A software decryption key. The scalar lives in one allocation of the library below, which wipes it on release.
pub struct KemKey {
    private: PrivateKey,
    public: KemPublic,
}

impl KemKey {
    /// A fresh key: a uniform scalar, drawn again while it is 0 or not below the group order (odds 2^-32 a draw).
    pub fn generate(random: &mut dyn Randomness) -> Self {
        let mut scalar = Secret32::default();
        loop {
            random.fill(scalar.as_mut());
            if let Ok(key) = Self::from_bytes(scalar.as_ref()) {
                return key;
            }
        }
    }

    /// The key of a 32-byte big-endian scalar; 0 and scalars not below the group order are refused.
    pub fn from_bytes(scalar: &[u8]) -> Result<Self> {
        let refused = || Refusal::new(Code::Open, "a p256 secret key is 32 bytes, above 0 and below the group order");
        let private = PrivateKey::from_private_key(&ECDH_P256, scalar).map_err(|_| refused())?;
        let point = private.compute_public_key().map_err(|_| refused())?;
        Ok(Self { private, public: KemPublic::parse(point.as_ref())? })
    }

    /// The scalar, for the key file alone.
    pub fn to_bytes(&self) -> Result<Secret32> {
        let lost = || Refusal::new(Code::Open, "the secret key cannot be read back");
        let scalar: EcPrivateKeyBin<'_> = self.private.as_be_bytes().map_err(|_| lost())?;
        Ok(Zeroizing::new(scalar.as_ref().try_into().map_err(|_| lost())?))
    }
}

impl fmt::Debug for KemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KemKey(..)")
    }
}

impl DiffieHellman for KemKey {
    fn public(&self) -> &KemPublic {
        &self.public
    }

    fn agree(&self, peer: &KemPublic) -> Result<Secret32> {
        let mut shared = Secret32::default();
        agree(&self.private, peer.point.clone(), not_a_point(), |x| {
            if x.len() != shared.len() {
                return Err(not_a_point());
            }
            shared.copy_from_slice(x);
            Ok(())
        })?;
        Ok(shared)
    }
}

/// What [`seal`] makes: `enc` and `ct` of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The encapsulated key, 65 bytes.
    pub enc: [u8; ENC_LENGTH],
    /// The sealed value, 48 bytes.
    pub ct: [u8; CT_LENGTH],
}

/// Seals 32 bytes to `to`, bound to `info`.
pub fn seal(to: &KemPublic, info: &[u8], value: &[u8; VALUE_LENGTH], random: &mut dyn Randomness) -> Result<Sealed> {
    let (enc, ct) = seal_any(to, info, b"", value, &KemKey::generate(random))?;
    let ct = ct.as_slice().try_into().map_err(|_| not_opened())?;
    Ok(Sealed { enc, ct })
}

/// Opens what [`seal`] made. Refused with `open`: an `enc` that is not 65 bytes of a point on the curve, a `ct` that is not 48
/// bytes (both before any key is touched), another key, another `info`, one flipped bit.
pub fn open(key: &dyn DiffieHellman, info: &[u8], enc: &[u8], ct: &[u8]) -> Result<Secret32> {
    if enc.len() != ENC_LENGTH || ct.len() != CT_LENGTH {
        return Err(Refusal::new(Code::Open, "enc is 65 bytes and ct is 48"));
    }
    let plain = open_any(key, info, b"", enc, ct)?;
    Ok(Zeroizing::new(plain.as_slice().try_into().map_err(|_| not_opened())?))
}

/// The scheme without the limits on lengths, with the sender's ephemeral key given: for the vectors of the RFC.
pub(crate) fn seal_any(
    to: &KemPublic,
    info: &[u8],
    aad: &[u8],
    value: &[u8],
    ephemeral: &KemKey,
) -> Result<([u8; ENC_LENGTH], Vec<u8>)> {
    let shared = ephemeral.agree(to)?;
    let schedule = Schedule::derive(&shared, &ephemeral.public, to, info);
    // Reserved once: a buffer that grows leaves plaintext behind in the old place.
    let mut sealed = Vec::with_capacity(value.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(value);
    schedule.key()?.seal_in_place_append_tag(schedule.nonce(), Aad::from(aad), &mut sealed).map_err(|_| not_opened())?;
    Ok((ephemeral.public.bytes, sealed))
}

/// The other side of [`seal_any`].
pub(crate) fn open_any(key: &dyn DiffieHellman, info: &[u8], aad: &[u8], enc: &[u8], ct: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let enc = KemPublic::parse(enc)?;
    let shared = key.agree(&enc)?;
    let schedule = Schedule::derive(&shared, &enc, key.public(), info);
    let mut opened = Zeroizing::new(ct.to_vec());
    let length = schedule.key()?.open_in_place(schedule.nonce(), Aad::from(aad), &mut opened).map_err(|_| not_opened())?.len();
    opened.truncate(length);
    Ok(opened)
}

/// Key and base nonce of RFC 9180, 5.1. The first and only message has sequence number 0, so its nonce is the base nonce.
pub(crate) struct Schedule {
    pub(crate) key: Zeroizing<[u8; KEY_LENGTH]>,
    pub(crate) base_nonce: [u8; NONCE_LENGTH],
}

impl Schedule {
    pub(crate) fn derive(shared: &Secret32, enc: &KemPublic, recipient: &KemPublic, info: &[u8]) -> Self {
        // RFC 9180, 4.1: ExtractAndExpand with kem_context = enc || pkRm.
        let eae_prk = labeled_extract(KEM_SUITE, b"", b"eae_prk", shared.as_ref());
        let mut kem_shared = Secret32::default();
        labeled_expand(&eae_prk, KEM_SUITE, b"shared_secret", &[&enc.bytes, &recipient.bytes], kem_shared.as_mut());

        // RFC 9180, 5.1: KeySchedule in mode_base, with the default empty psk and psk_id.
        let psk_id_hash = labeled_hash(b"psk_id_hash", b"");
        let info_hash = labeled_hash(b"info_hash", info);
        let secret = labeled_extract(HPKE_SUITE, kem_shared.as_ref(), b"secret", b"");
        let context: [&[u8]; 3] = [&[MODE_BASE], psk_id_hash.as_ref(), info_hash.as_ref()];
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        labeled_expand(&secret, HPKE_SUITE, b"key", &context, key.as_mut());
        let mut base_nonce = [0; NONCE_LENGTH];
        labeled_expand(&secret, HPKE_SUITE, b"base_nonce", &context, &mut base_nonce);
        Self { key, base_nonce }
    }

    fn key(&self) -> Result<LessSafeKey> {
        Ok(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, self.key.as_ref()).map_err(|_| not_opened())?))
    }

    /// The name below warns of a nonce used twice: the key is fresh for each message, since the ephemeral key is.
    fn nonce(&self) -> Nonce {
        Nonce::assume_unique_for_key(self.base_nonce)
    }
}

/// RFC 9180, 4: `LabeledExtract`, for what is secret: the result cannot be read, only expanded, and is wiped.
fn labeled_extract(suite: &[u8], salt: &[u8], label: &[u8], ikm: &[u8]) -> Prk {
    let labeled = Zeroizing::new([VERSION, suite, label, ikm].concat());
    Salt::new(HKDF_SHA256, salt).extract(&labeled)
}

/// `LabeledExtract` without salt, for the two public inputs of the key schedule: HKDF-Extract is one HMAC under the salt.
fn labeled_hash(label: &[u8], input: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, b""));
    for part in [VERSION, HPKE_SUITE, label, input] {
        context.update(part);
    }
    context.sign()
}

/// RFC 9180, 4: `LabeledExpand` into `out`, with `context` in parts.
fn labeled_expand(prk: &Prk, suite: &[u8], label: &[u8], context: &[&[u8]], out: &mut [u8]) {
    let length = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut parts: Vec<&[u8]> = vec![&length, VERSION, suite, label];
    parts.extend_from_slice(context);
    expand(prk, &parts, out);
}

/// HKDF-Expand (RFC 5869). It fails above 255 hashes alone, and the outputs here are at most 32 bytes.
pub(crate) fn expand(prk: &Prk, info: &[&[u8]], out: &mut [u8]) {
    struct Length(usize);
    impl KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }
    let filled = prk.expand(info, Length(out.len())).and_then(|okm| okm.fill(out));
    assert!(filled.is_ok(), "HKDF-SHA256 gives up to 8160 bytes");
}

fn not_a_point() -> Refusal {
    Refusal::new(Code::Open, "a p256 public key is 65 bytes, uncompressed, on the curve")
}

fn not_opened() -> Refusal {
    Refusal::new(Code::Open, "the sealed value does not open with this key and this binding")
}

#[cfg(test)]
mod tests;
