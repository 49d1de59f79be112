//! Private keys as opaque objects: they sign and open, their `repr` shows the kind alone, their memory is wiped.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stillvault_core::error::{Code, Refusal};
use stillvault_core::hpke::{self, DiffieHellman as _, KemPublic};
use stillvault_core::keys::{self, Alg};
use stillvault_core::random::Randomness as _;
use stillvault_core::signed::Signed;
use zeroize::Zeroizing;

use crate::errors::run;
use crate::random::Os;

/// An ed25519 or es256 key in wiped memory.
#[pyclass(frozen, module = "stillvault._native")]
pub struct SigningKey(pub keys::SigningKey);

#[pymethods]
impl SigningKey {
    #[staticmethod]
    fn generate(py: Python<'_>, alg: &str) -> PyResult<Self> {
        run(py, || {
            let alg = Alg::parse(alg)?;
            loop {
                let mut secret = Zeroizing::new([0; 32]);
                Os.fill(secret.as_mut());
                match keys::SigningKey::from_bytes(alg, secret.as_ref()) {
                    Ok(key) => return Ok(Self(key)),
                    // A scalar of P-256 is drawn again where it is not below the order: once in 2^32.
                    Err(_) if alg == Alg::Es256 => {}
                    Err(refusal) => return Err(refusal),
                }
            }
        })
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, alg: &str, secret: &[u8]) -> PyResult<Self> {
        run(py, || Ok(Self(keys::SigningKey::from_bytes(Alg::parse(alg)?, secret)?)))
    }

    #[getter]
    fn alg(&self) -> &'static str {
        self.0.key().alg.as_str()
    }

    #[getter]
    fn public(&self) -> &[u8] {
        &self.0.key().public
    }

    fn secret_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let secret = run(py, || Ok(self.0.secret_bytes()))?;
        Ok(PyBytes::new(py, &secret))
    }

    fn sign(&self, py: Python<'_>, name: &str, payload: &[u8]) -> PyResult<Vec<u8>> {
        run(py, || Signed::sign(name, payload, &self.0)?.to_bytes())
    }

    fn __repr__(&self) -> String {
        format!("SigningKey({})", self.alg())
    }
}

/// Adds a signature to a wrapper, for thresholds.
#[pyfunction]
pub fn add_signature(py: Python<'_>, name: &str, signed: &[u8], key: &SigningKey) -> PyResult<Vec<u8>> {
    run(py, || {
        let mut signed = Signed::parse(name, signed)?;
        signed.add(&key.0)?;
        signed.to_bytes()
    })
}

/// Seals 32 bytes to a KEM key: `(enc, ct)`.
#[pyfunction]
pub fn kem_seal(py: Python<'_>, public: &[u8], info: &[u8], plaintext: &[u8]) -> PyResult<([u8; 65], [u8; 48])> {
    run(py, || {
        let value = plaintext.try_into().map_err(|_| Refusal::new(Code::Open, "32 bytes are sealed, no more and no fewer"))?;
        let sealed = hpke::seal(&KemPublic::parse(public)?, info, value, &mut Os)?;
        Ok((sealed.enc, sealed.ct))
    })
}

/// A p256 decryption key in wiped memory.
#[pyclass(frozen, module = "stillvault._native")]
pub struct KemKey(pub hpke::KemKey);

#[pymethods]
impl KemKey {
    #[staticmethod]
    fn generate(py: Python<'_>) -> PyResult<Self> {
        run(py, || Ok(Self(hpke::KemKey::generate(&mut Os))))
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, secret: &[u8]) -> PyResult<Self> {
        run(py, || Ok(Self(hpke::KemKey::from_bytes(secret)?)))
    }

    #[getter]
    fn public(&self) -> &[u8] {
        self.0.public().as_bytes()
    }

    fn secret_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let secret = run(py, || self.0.to_bytes())?;
        Ok(PyBytes::new(py, secret.as_ref()))
    }

    fn open<'py>(&self, py: Python<'py>, info: &[u8], enc: &[u8], ct: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let opened = run(py, || hpke::open(&self.0, info, enc, ct))?;
        Ok(PyBytes::new(py, opened.as_ref()))
    }

    #[expect(clippy::unused_self, reason = "that is the point")]
    fn __repr__(&self) -> &'static str {
        "KemKey(p256)"
    }
}
