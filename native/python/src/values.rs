//! A secret's plaintext as an opaque object. It goes out by [`Value::write_fd`]; [`Value::reveal`] alone makes Python bytes of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use stillvault_core::error::{Code, Refusal};
use stillvault_core::memory::{self, SecretBytes};
use stillvault_core::payload::DATA_LIMIT;
use stillvault_core::value;

use crate::descriptors::{random_text, read_into, write_all, write_at_once};
use crate::errors::{keep, run};

/// A secret's plaintext in secret memory, wiped on drop. Empty after `wipe`, or once a lease has taken it over.
///
/// The lock is held for a look at the pointer alone: a write that waits for its reader must not make `length` wait, which holds
/// the interpreter that the reader may need.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Value(Mutex<Option<Arc<value::Value>>>);

impl Value {
    /// A value of the core.
    pub fn new(value: value::Value) -> Self {
        Self(Mutex::new(Some(Arc::new(value))))
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<value::Value>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the value.
    pub fn with<T>(&self, look: impl FnOnce(&value::Value) -> Result<T, Refusal>) -> Result<T, Refusal> {
        let value = self.slot().clone().ok_or_else(gone)?;
        look(&value)
    }

    /// Takes the value out; what is left is empty. Refused while it is being written.
    pub fn take(&self) -> Result<value::Value, Refusal> {
        let value = self.slot().take().ok_or_else(gone)?;
        Arc::try_unwrap(value).map_err(|value| {
            *self.slot() = Some(value);
            Refusal::new(Code::Memory, "the value is being written")
        })
    }
}

fn gone() -> Refusal {
    Refusal::new(Code::Memory, "the value was wiped or handed over")
}

#[pymethods]
impl Value {
    /// Reads until the end of the file; above `limit` bytes: `size`.
    #[staticmethod]
    #[pyo3(signature = (fd, limit = 61_440))]
    fn read_fd(py: Python<'_>, fd: i32, limit: usize) -> PyResult<Self> {
        let limit = limit.min(DATA_LIMIT);
        let read = run(py, || {
            // One byte more than is allowed tells a value that fits from one that does not.
            let mut buffer = SecretBytes::new(limit + 1)?;
            match read_into(fd, buffer.expose_mut()?) {
                Ok(length) if length > limit => Err(Refusal::new(Code::Size, format!("a value has at most {limit} bytes"))),
                Ok(length) => Ok(Ok(value::Value::new(buffer.expose()?.get(..length).unwrap_or_default())?)),
                Err(error) => Ok(Err(error)),
            }
        })?;
        Ok(Self::new(read?))
    }

    /// base64url text of `length` random bytes.
    #[staticmethod]
    fn random(py: Python<'_>, length: usize) -> PyResult<Self> {
        run(py, || {
            if length > DATA_LIMIT {
                return Err(Refusal::new(Code::Size, format!("a value has at most {DATA_LIMIT} bytes")));
            }
            Ok(Self::new(value::Value::new(random_text(length).as_bytes())?))
        })
    }

    #[staticmethod]
    fn from_bytes(py: Python<'_>, raw: &[u8]) -> PyResult<Self> {
        run(py, || Ok(Self::new(value::Value::new(raw)?)))
    }

    #[getter]
    fn length(&self) -> PyResult<usize> {
        keep(|| self.with(|value| Ok(value.length())))
    }

    /// Writes all of it; with `wait=False` into a pipe at once or not at all.
    #[pyo3(signature = (fd, *, wait = true))]
    fn write_fd(&self, py: Python<'_>, fd: i32, wait: bool) -> PyResult<()> {
        let write = if wait { write_all } else { write_at_once };
        Ok(run(py, || self.with(|value| Ok(write(fd, value.expose()?))))??)
    }

    fn reveal<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        keep(|| self.with(|value| Ok(PyBytes::new(py, value.expose()?))))
    }

    /// Wiped now, or when a write that is under way has ended.
    fn wipe(&self) {
        drop(self.slot().take());
    }

    #[expect(clippy::unused_self, reason = "that is the point")]
    fn __repr__(&self) -> &'static str {
        "Value(..)"
    }
}

/// `memfd_secret`, `mlock` or `plain`.
#[pyfunction]
pub fn memory_kind() -> PyResult<&'static str> {
    keep(|| Ok(memory::kind()?.as_str()))
}

/// No core dumps, no ptrace by the same user.
#[pyfunction]
pub fn harden_process() -> PyResult<()> {
    keep(memory::harden_process)
}
