//! One way out: a refusal of the core becomes `stillvault.protocol.errors.Refused` with its code, a panic becomes `Failed`.
//!
//! [`run`] lets other Python threads go on while the core works; use it for signatures, sealing, opening, hashing and writing.
//! [`keep`] keeps the interpreter, because letting go of it costs more than the work; use it for a lookup.
//! Both stop a panic. `PyO3` alone would raise a `BaseException`, which ends a server that catches what it should.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::import_exception;
use pyo3::prelude::*;
use stillvault_core::error::{Refusal, Result};

import_exception!(stillvault.protocol.errors, Refused);
import_exception!(stillvault.protocol.errors, Failed);

/// The exception of a refusal. The detail names a field or a rule, never a value.
pub fn refused(refusal: &Refusal) -> PyErr {
    Refused::new_err((refusal.code.as_str(), refusal.detail.clone()))
}

/// Runs `work` of the core with the interpreter detached.
pub fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    settle(py.detach(|| catch_unwind(AssertUnwindSafe(work))))
}

/// Runs `work` of the core with the interpreter held.
pub fn keep<T>(work: impl FnOnce() -> Result<T>) -> PyResult<T> {
    settle(catch_unwind(AssertUnwindSafe(work)))
}

fn settle<T>(outcome: std::thread::Result<Result<T>>) -> PyResult<T> {
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(refusal)) => Err(refused(&refusal)),
        // The panic's own text is dropped: nobody has proved that it holds no value.
        Err(_) => Err(Failed::new_err(("internal", "the core stopped on a fault of its own; this is a bug, please report it"))),
    }
}

/// Says where a panic was, and not what: the text of a panic may quote what it worked on.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("stillvault: internal fault at {place}");
    }));
}
