//! The entry point of the vector runner. It takes private keys from files: only in a build with the feature `vectors`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use stillvault_core::encoding;
use stillvault_core::json;
use stillvault_core::vectors;

use crate::errors::run;

/// Runs one operation of the vector format: JSON in, JSON out; `ValueError` for an unknown one. `panic` panics with the input, for
/// the test that nothing of it comes out.
#[pyfunction]
pub fn run_vector(py: Python<'_>, op: &str, input: &[u8]) -> PyResult<Vec<u8>> {
    run(py, || {
        assert!(op != "panic", "{}", String::from_utf8_lossy(input));
        Ok(())
    })?;
    let input = run(py, || json::parse_foreign(input))?;
    let result = vectors::run(op, &input).ok_or_else(|| PyValueError::new_err(format!("no operation {op}")))?;
    run(py, || encoding::encode(&result?))
}
