//! What the relay does with a release: take it apart, and hand on to a client only what is sealed to its request.

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stillvault_core::encoding::Oid;
use stillvault_core::objects::SealedEntry;
use stillvault_core::release;

use crate::errors::run;

type Entry<'py> = (Oid, Bound<'py, PyBytes>, Bound<'py, PyBytes>);

/// `(signed decision, [(request oid, enc, ct)])` of a release, strictly read. Nothing is verified.
#[pyfunction]
pub fn split_release<'py>(py: Python<'py>, release: &[u8]) -> PyResult<(Vec<u8>, Vec<Entry<'py>>)> {
    let (decision, sealed) = run(py, || release::split(release))?;
    let entry = |one: &SealedEntry| (one.request, PyBytes::new(py, &one.enc), PyBytes::new(py, &one.ct));
    Ok((decision, sealed.iter().map(entry).collect()))
}

/// A release of a signed decision and some of its entries.
#[pyfunction]
pub fn join_release(py: Python<'_>, decision: &[u8], sealed: Vec<(Oid, Vec<u8>, Vec<u8>)>) -> PyResult<Vec<u8>> {
    run(py, || {
        let sealed = sealed.into_iter().map(|(request, enc, ct)| SealedEntry { request, enc, ct }).collect();
        release::join(decision, sealed)
    })
}
