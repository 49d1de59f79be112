//! The wrapper of everything that is signed: `{"type", "payload", "signatures"}` (section 2).
//!
//! [`Signed::parse`] checks the form of the wrapper and of the payload, no signature. [`Signed::verify`] wants exactly one good
//! signature by one of the listed keys; [`Signed::count`] counts distinct listed keys with a good one. Only what these return
//! may be believed; [`Signed::peek`] is for routing and for finding the key.

use crate::encoding::{self, MAX_WRAPPER, Oid, Value};
use crate::error::{Code, Refusal, Result};
use crate::keys::{Alg, Key, SigningKey, verify_ed25519, verify_es256};
use crate::objects::fields::{Fields, Writer, array, bytes, list, string};
use crate::objects::{self, Payload, Quorum};
use crate::webauthn::Assertion;

/// One signature. What it says of itself is a hint; the listed key decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The algorithm that it claims.
    pub alg: String,
    /// SHA-256 of the public key, to find it by.
    pub key: Vec<u8>,
    /// The signature itself.
    pub sig: Vec<u8>,
    /// Authenticator data of an assertion.
    pub auth_data: Option<Vec<u8>>,
    /// Client data of an assertion.
    pub client_data: Option<Vec<u8>>,
}

impl Signature {
    fn read(value: Value) -> Result<Self> {
        let mut f = Fields::open("signature", value)?;
        let signature = Self {
            alg: f.take("alg", string)?,
            key: f.take("key", bytes)?,
            sig: f.take("sig", bytes)?,
            auth_data: f.maybe("auth_data", bytes)?,
            client_data: f.maybe("client_data", bytes)?,
        };
        f.close()?;
        Ok(signature)
    }

    fn value(&self) -> Value {
        Writer::default()
            .with("alg", Value::text(&self.alg))
            .with("key", Value::bytes(&self.key))
            .with("sig", Value::bytes(&self.sig))
            .maybe("auth_data", self.auth_data.as_deref().map(Value::bytes))
            .maybe("client_data", self.client_data.as_deref().map(Value::bytes))
            .done()
    }
}

/// A signed object, unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    name: &'static str,
    payload: Vec<u8>,
    signatures: Vec<Signature>,
}

/// A payload whose signature was good, parsed from the very bytes that were verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    oid: Oid,
    payload: Vec<u8>,
    object: T,
}

impl<T> Verified<T> {
    pub(crate) fn new(oid: Oid, payload: Vec<u8>, object: T) -> Self {
        Self { oid, payload, object }
    }

    /// The object id.
    #[must_use]
    pub fn oid(&self) -> &Oid {
        &self.oid
    }

    /// The verified bytes.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The object.
    #[must_use]
    pub fn object(&self) -> &T {
        &self.object
    }
}

impl<T> core::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.object
    }
}

impl Signed {
    /// Reads a wrapper that must hold the object `name`: its form, and the form of the payload. No schema, no signature.
    ///
    /// # Errors
    /// Any code of the encoding; `type` for another object.
    pub fn parse(name: &str, wrapper: &[u8]) -> Result<Self> {
        Self::from_value(name, encoding::decode(wrapper, MAX_WRAPPER)?)
    }

    /// [`Signed::parse`] for whatever object the wrapper says that it holds.
    ///
    /// # Errors
    /// As [`Signed::parse`].
    pub fn parse_any(wrapper: &[u8]) -> Result<Self> {
        let value = encoding::decode(wrapper, MAX_WRAPPER)?;
        let name = objects::name_of(value.get("type").and_then(Value::as_text).unwrap_or_default())?;
        Self::from_value(name, value)
    }

    pub(crate) fn from_value(name: &str, value: Value) -> Result<Self> {
        let mut f = Fields::open("signed object", value)?;
        let media_type = f.take("type", string)?;
        let payload = f.take("payload", bytes)?;
        let signatures = f.take("signatures", list(Signature::read))?;
        f.close()?;
        let found = objects::name_of(&media_type)?;
        if found != name {
            return Err(Refusal::new(Code::Type, format!("a {found} instead of a {name}")));
        }
        if payload.len() > objects::limit_of(found) {
            return Err(Refusal::new(Code::Size, format!("a {found} of {} bytes", payload.len())));
        }
        Ok(Self { name: found, payload, signatures })
    }

    pub(crate) fn to_value(&self) -> Value {
        Writer::default()
            .with("type", Value::Text(encoding::media_type(self.name)))
            .with("payload", Value::bytes(&self.payload))
            .with("signatures", array(&self.signatures, Signature::value))
            .done()
    }

    /// The canonical bytes of the wrapper.
    ///
    /// # Errors
    /// `size` above the limit of a wrapper.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let wrapper = encoding::encode(&self.to_value())?;
        if wrapper.len() > MAX_WRAPPER {
            return Err(Refusal::new(Code::Size, "a wrapper above 1.5 MiB"));
        }
        Ok(wrapper)
    }

    /// The name of the object.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The oid, of unverified bytes.
    #[must_use]
    pub fn oid(&self) -> Oid {
        encoding::oid(&encoding::media_type(self.name), &self.payload)
    }

    /// The **unverified** payload bytes.
    #[must_use]
    pub fn unverified_payload(&self) -> &[u8] {
        &self.payload
    }

    /// The **unverified** object: for routing, and to learn who claims to have signed.
    ///
    /// # Errors
    /// `type` where it is another object; any code of the encoding.
    pub fn peek<T: Payload>(&self) -> Result<T> {
        if self.name != T::NAME {
            return Err(Refusal::new(Code::Type, format!("a {} instead of a {}", self.name, T::NAME)));
        }
        T::decode(&self.payload)
    }

    /// Exactly one signature, by one of `keys`, made at one of `origins` where the key is a passkey.
    ///
    /// # Errors
    /// `signature`, `alg`, or a code of [`Assertion::verify`].
    pub fn verify<'k>(&self, keys: impl IntoIterator<Item = &'k Key>, origins: &[String]) -> Result<&'k Key> {
        let [signature] = self.signatures.as_slice() else {
            return Err(Refusal::new(Code::Signature, format!("{} signatures, exactly one is wanted", self.signatures.len())));
        };
        let pae = encoding::pae(&encoding::media_type(self.name), &self.payload);
        let mut refusal = Refusal::new(Code::Signature, "signed by no listed key");
        for key in keys {
            match check(signature, key, &pae, origins) {
                Ok(()) => return Ok(key),
                // Of several keys, the one that the hint names has the word on why.
                Err(why) if signature.key == key.hint() => refusal = why,
                Err(_) => {}
            }
        }
        Err(refusal)
    }

    /// [`Signed::verify`], then the object parsed from the verified bytes.
    ///
    /// # Errors
    /// As [`Signed::verify`] and [`Payload::decode`].
    pub fn open<'k, T: Payload>(&self, keys: impl IntoIterator<Item = &'k Key>, origins: &[String]) -> Result<Verified<T>> {
        self.verify(keys, origins)?;
        self.believe()
    }

    /// How many distinct keys of `keys` made a good signature. Bad, foreign and repeated signatures are ignored.
    #[must_use]
    pub fn count(&self, keys: &[Key], origins: &[String]) -> u64 {
        let pae = encoding::pae(&encoding::media_type(self.name), &self.payload);
        let mut good: Vec<&[u8]> = Vec::new();
        for signature in &self.signatures {
            // A public key counts once, even where it is listed under two algorithms.
            let fresh = keys.iter().filter(|key| !good.contains(&key.public.as_slice()));
            let signer = fresh.into_iter().find(|key| check(signature, key, &pae, origins).is_ok());
            if let Some(key) = signer {
                good.push(&key.public);
            }
        }
        good.len() as u64
    }

    /// As many distinct keys as the quorum wants; `code` names the refusal.
    ///
    /// # Errors
    /// `code`.
    pub fn require(&self, quorum: &Quorum, origins: &[String], code: Code) -> Result<u64> {
        let count = self.count(&quorum.keys, origins);
        // A threshold of 0 is refused wherever a quorum is read; here it must not pass for want of that check.
        if quorum.threshold == 0 || count < quorum.threshold {
            return Err(Refusal::new(code, format!("{count} of {} signatures", quorum.threshold)));
        }
        Ok(count)
    }

    /// The typed object of bytes whose signatures the caller has just verified.
    pub(crate) fn believe<T: Payload>(&self) -> Result<Verified<T>> {
        let object = self.peek()?;
        Ok(Verified::new(self.oid(), self.payload.clone(), object))
    }

    /// Signs a payload after checking its form and schema.
    ///
    /// # Errors
    /// Any code of the encoding; `alg` where the schema forbids the key.
    pub fn sign(name: &str, payload: &[u8], key: &SigningKey) -> Result<Self> {
        let mut signed = Self::unsigned(name, payload)?;
        signed.append(key)?;
        Ok(signed)
    }

    /// A wrapper without signatures yet, after checking form and schema: for keys that sign elsewhere (see [`Signed::attach`]).
    ///
    /// # Errors
    /// Any code of the encoding.
    pub fn unsigned(name: &str, payload: &[u8]) -> Result<Self> {
        objects::check(name, payload)?;
        let name = objects::name_of(&encoding::media_type(name))?;
        Ok(Self { name, payload: payload.to_vec(), signatures: Vec::new() })
    }

    /// Adds a signature, for thresholds.
    ///
    /// # Errors
    /// Any code of the encoding; `signature` where this key has signed already.
    pub fn add(&mut self, key: &SigningKey) -> Result<()> {
        objects::check(self.name, &self.payload)?;
        self.append(key)
    }

    /// Signs a payload whose form and schema the caller has just checked.
    fn append(&mut self, key: &SigningKey) -> Result<()> {
        let hint = key.key().hint().to_vec();
        if self.signatures.iter().any(|s| s.key == hint) {
            return Err(Refusal::new(Code::Signature, "this key has signed already"));
        }
        let pae = encoding::pae(&encoding::media_type(self.name), &self.payload);
        let alg = key.key().alg.as_str().to_owned();
        let sig = key.sign_raw(&pae)?;
        self.signatures.push(Signature { alg, key: hint, sig, auth_data: None, client_data: None });
        Ok(())
    }

    /// Adds a signature that was made elsewhere: a passkey's, or a token's.
    pub fn attach(&mut self, signature: Signature) {
        self.signatures.push(signature);
    }
}

/// Whether `signature` is one by `key` over `pae`.
fn check(signature: &Signature, key: &Key, pae: &[u8], origins: &[String]) -> Result<()> {
    // 1. The algorithm of the listed key; a message cannot choose a weaker one.
    if signature.alg != key.alg.as_str() {
        return Err(Refusal::new(Code::Alg, format!("{} is listed", key.alg.as_str())));
    }
    // 2. The hint, which must be right.
    if signature.key != key.hint() {
        return Err(Refusal::new(Code::Signature, "another key"));
    }
    // 3. The signature; the parts of an assertion stand with an assertion only.
    let parts = (signature.auth_data.as_deref(), signature.client_data.as_deref());
    match (key.alg, key.passkey.as_ref(), parts) {
        (Alg::Ed25519, None, (None, None)) => verify_ed25519(&key.public, pae, &signature.sig),
        (Alg::Es256, None, (None, None)) => verify_es256(&key.public, pae, &signature.sig),
        (Alg::WebauthnEs256, Some(passkey), (Some(auth_data), Some(client_data))) => {
            let oid = encoding::sha256(pae);
            let (public, sig) = (key.public.as_slice(), signature.sig.as_slice());
            Assertion { public, passkey, origins, oid: &oid, auth_data, client_data, sig }.verify()
        }
        (Alg::WebauthnEs256, ..) => Err(Refusal::new(Code::Field, "an assertion needs auth_data and client_data")),
        _ => Err(Refusal::new(Code::Field, "auth_data and client_data stand with webauthn-es256 only")),
    }
}
