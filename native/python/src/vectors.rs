//! The entry point of the vector runner. It takes private keys from files: only in a build with the feature `vectors`.

use pyo3::prelude::*;
use stillvault_core::json;
use stillvault_core::encoding;
use stillvault_core::vectors;

use crate::errors::run;

/// Runs one operation of the vector format: JSON in, JSON out.
#[pyfunction]
pub fn run_vector(py: Python<'_>, op: &str, input: &[u8]) -> PyResult<Vec<u8>> {
    run(py, || encoding::encode(&vectors::run(op, &json::parse_foreign(input)?)?))
}
