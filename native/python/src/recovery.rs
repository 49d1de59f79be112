//! Section 11: opening with recovery keys, offline.

use pyo3::prelude::*;
use stillvault_core::hpke::DiffieHellman;
use stillvault_core::recovery::{self, Exported};

use crate::errors::run;
use crate::keys::KemKey;
use crate::trust::Trust;
use crate::values::Value;

/// Every check of a sealed secret, then its value by the recovery keys that its policy named.
#[pyfunction]
pub fn open_recovered(
    py: Python<'_>,
    trust: &Trust,
    path: &str,
    secret: &[u8],
    ciphertext: &[u8],
    keys: Vec<PyRef<'_, KemKey>>,
    now: u64,
) -> PyResult<Value> {
    let keys: Vec<&KemKey> = keys.iter().map(|key| &**key).collect();
    let opened = run(py, || {
        let keys: Vec<&dyn DiffieHellman> = keys.iter().map(|key| &key.0 as &dyn DiffieHellman).collect();
        recovery::open_recovered(&trust.0, Exported { path, secret, ciphertext }, &keys, now)
    })?;
    Ok(Value::new(opened.value))
}
