//! Section 5: sealing a value for the people of a policy.

use pyo3::prelude::*;
use stillvault_core::encoding::{Oid, Pair};
use stillvault_core::seal;

use crate::errors::run;
use crate::keys::SigningKey;
use crate::random::Os;
use crate::trust::{Recipient, Trust, recipients_of};
use crate::values::Value;

/// A signed secret and its ciphertext.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Sealed(seal::Sealed);

#[pymethods]
impl Sealed {
    #[getter]
    fn secret(&self) -> &[u8] {
        &self.0.secret
    }

    #[getter]
    fn ciphertext(&self) -> &[u8] {
        &self.0.ciphertext
    }

    #[getter]
    fn oid(&self) -> Oid {
        self.0.oid
    }

    #[getter]
    fn recipients(&self) -> Vec<Recipient> {
        recipients_of(&self.0.recipients)
    }

    #[getter]
    fn missing(&self) -> Vec<String> {
        self.0.missing.clone()
    }

    fn __repr__(&self) -> String {
        format!("Sealed(for {})", self.0.recipients.len())
    }
}

/// Seals `value`, signed by the sealer's device.
#[pyfunction]
#[pyo3(name = "seal")]
#[expect(clippy::too_many_arguments, reason = "what a seal binds, and the interpreter")]
pub fn seal_value(
    py: Python<'_>,
    trust: &Trust,
    key: &SigningKey,
    by: (String, String),
    path: &str,
    value: &Value,
    version: Pair,
    previous: Option<Oid>,
    now: u64,
) -> PyResult<Sealed> {
    run(py, || {
        let label = seal::Label { by: (&by.0, &by.1), path, version, previous };
        value.with(|value| Ok(Sealed(seal::seal(&trust.0, &key.0, &label, value, now, &mut Os)?)))
    })
}
