//! Section 8: what the client checks before it delivers.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use stillvault_core::client;
use stillvault_core::encoding::Pair;
use stillvault_core::error::{Code, Refusal};
use stillvault_core::hpke::{self, DiffieHellman as _};

use crate::errors::run;
use crate::random::Os;
use crate::trust::{Decision, Secret, Trust};
use crate::values::Value;

/// A fresh KEM key for one request. Wiped on drop or `erase`.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Ephemeral {
    key: Mutex<Option<hpke::KemKey>>,
    public: [u8; hpke::ENC_LENGTH],
}

#[pymethods]
impl Ephemeral {
    #[staticmethod]
    fn generate(py: Python<'_>) -> PyResult<Self> {
        run(py, || {
            let key = hpke::KemKey::generate(&mut Os);
            let public = *key.public().as_bytes();
            Ok(Self { key: Mutex::new(Some(key)), public })
        })
    }

    #[getter]
    fn public(&self) -> &[u8] {
        &self.public
    }

    fn erase(&self, py: Python<'_>) -> PyResult<()> {
        // Detached: an opening that is under way in another thread ends first.
        run(py, || {
            drop(self.key.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        })
    }

    #[expect(clippy::unused_self, reason = "that is the point")]
    fn __repr__(&self) -> &'static str {
        "Ephemeral(p256)"
    }
}

/// An opened secret and what may be done with it.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Opened {
    value: Py<Value>,
    secret: Py<Secret>,
    window: u64,
    uses: u64,
    scope: &'static str,
    approvers: Vec<(String, String)>,
}

#[pymethods]
impl Opened {
    #[getter]
    fn value(&self, py: Python<'_>) -> Py<Value> {
        self.value.clone_ref(py)
    }

    #[getter]
    fn secret(&self, py: Python<'_>) -> Py<Secret> {
        self.secret.clone_ref(py)
    }

    #[getter]
    fn window(&self) -> u64 {
        self.window
    }

    #[getter]
    fn uses(&self) -> u64 {
        self.uses
    }

    #[getter]
    fn scope(&self) -> &'static str {
        self.scope
    }

    #[getter]
    fn approvers(&self) -> Vec<(String, String)> {
        self.approvers.clone()
    }

    fn __repr__(&self) -> String {
        format!("Opened(by {})", self.approvers.len())
    }
}

/// Every check of section 8, then the plaintext.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what the relay hands over, what the client holds, and the interpreter")]
pub fn open_releases(
    py: Python<'_>,
    trust: &Trust,
    request: &[u8],
    ephemeral: &Ephemeral,
    secret: &[u8],
    ciphertext: &[u8],
    releases: Vec<PyBackedBytes>,
    remembered: Option<Pair>,
    now: u64,
) -> PyResult<Opened> {
    let opened = run(py, || {
        let releases: Vec<&[u8]> = releases.iter().map(AsRef::as_ref).collect();
        let handed = client::Handed { request, secret, ciphertext, releases: &releases };
        let key = ephemeral.key.lock().unwrap_or_else(PoisonError::into_inner);
        let key = key.as_ref().ok_or_else(|| Refusal::new(Code::Ephemeral, "the ephemeral key was erased"))?;
        client::open_releases(&trust.0, handed, key, remembered, now)
    })?;
    Ok(Opened {
        value: Py::new(py, Value::new(opened.value))?,
        secret: Py::new(py, Secret(opened.secret))?,
        window: opened.terms.window,
        uses: opened.terms.uses,
        scope: opened.terms.scope.as_str(),
        approvers: opened.approvers,
    })
}

/// One deny or freeze that verifies as a decision does.
#[pyfunction]
#[pyo3(signature = (trust, request, secret, decision, now))]
pub fn verify_denial(
    py: Python<'_>,
    trust: &Trust,
    request: &[u8],
    secret: Option<&[u8]>,
    decision: &[u8],
    now: u64,
) -> PyResult<Decision> {
    run(py, || Ok(Decision(client::verify_denial(&trust.0, request, secret, decision, now)?)))
}
