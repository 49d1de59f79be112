//! Section 10: live leases. The interpreter is kept: letting go of it costs more than a lookup, and a delivery never waits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};
use stillvault_core::encoding::{self, MAX_PAYLOAD, Oid, Pair};
use stillvault_core::error::{Code, Refusal};
use stillvault_core::lease::{self, EvictionTerms, Lease};
use stillvault_core::objects::{Policy, Purpose, Scope};

use crate::descriptors::write_at_once;
use crate::errors::keep;
use crate::values::Value;

/// `(number, client, path, scope, uid, version, seconds left, uses so far, request oid)`.
type Line = (u64, String, String, &'static str, u32, Pair, u64, u64, Oid);

/// Live leases.
#[pyclass(frozen, module = "stillvault._native")]
pub struct LeaseCache(Mutex<lease::LeaseCache>);

impl LeaseCache {
    fn lock(&self) -> MutexGuard<'_, lease::LeaseCache> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl LeaseCache {
    #[new]
    #[pyo3(signature = (capacity = 4096))]
    fn new(capacity: usize) -> Self {
        Self(Mutex::new(lease::LeaseCache::new(capacity)))
    }

    #[pyo3(signature = (client, path, scope, scope_id, value, version, window, uses, now, *, uid, people, request))]
    #[expect(clippy::too_many_arguments, reason = "what a delivery leaves behind")]
    fn insert(
        &self,
        client: String,
        path: String,
        scope: &str,
        scope_id: Vec<u8>,
        value: &Value,
        version: Pair,
        window: u64,
        uses: u64,
        now: u64,
        uid: u32,
        people: Vec<(String, String)>,
        request: Oid,
    ) -> PyResult<u64> {
        keep(|| {
            let scope = Scope::parse(scope)?;
            let lease = Lease { client, path, scope, scope_id, version, window, uses, uid, people, request };
            self.lock().insert(lease, value.take()?, now)
        })
    }

    /// `scopes` is walked where it lies, without a copy: this is the hot path.
    fn find(&self, client: &str, path: &str, scopes: &Bound<'_, PyList>, now: u64) -> PyResult<Option<u64>> {
        let cache = self.lock();
        for item in scopes {
            let pair = item.cast_exact::<PyTuple>()?;
            let (scope, scope_id) = (pair.get_item(0)?, pair.get_item(1)?);
            let scope = scope.cast_exact::<PyString>()?.to_str()?;
            let scope_id = scope_id.cast_exact::<PyBytes>()?.as_bytes();
            let found = keep(|| Ok(cache.find(client, path, &[(Scope::parse(scope)?, scope_id)], now)))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Bytes written and seconds left. The use is counted before the bytes go out, also when they then do not.
    fn deliver(&self, number: u64, scope_id: &[u8], fd: i32, now: u64) -> PyResult<(usize, u64)> {
        let (value, left) = keep(|| self.lock().deliver(number, scope_id, now))?;
        let bytes = keep(|| value.expose())?;
        write_at_once(fd, bytes)?;
        Ok((bytes.len(), left))
    }

    fn value_length(&self, number: u64) -> PyResult<usize> {
        let ended = || Refusal::new(Code::LeaseWindow, "the lease has ended");
        keep(|| self.lock().value_length(number).ok_or_else(ended))
    }

    fn expire(&self, now: u64) -> PyResult<Vec<(u64, &'static str)>> {
        keep(|| Ok(self.lock().expire(now).into_iter().map(|(number, why)| (number, why.as_str())).collect()))
    }

    #[pyo3(signature = (*, number = None, client = None, path = None, below = None, device = None, uid = None, scope_id = None))]
    #[expect(clippy::too_many_arguments, reason = "each is a way to name leases")]
    fn evict(
        &self,
        number: Option<u64>,
        client: Option<&str>,
        path: Option<&str>,
        below: Option<Pair>,
        device: Option<(String, String)>,
        uid: Option<u32>,
        scope_id: Option<&[u8]>,
    ) -> PyResult<Vec<u64>> {
        let device = device.as_ref().map(|(person, device)| (person.as_str(), device.as_str()));
        keep(|| Ok(self.lock().evict(&EvictionTerms { number, client, path, below, device, uid, scope_id })))
    }

    fn list(&self, now: u64) -> PyResult<Vec<Line>> {
        keep(|| {
            let cache = self.lock();
            let line = |live: lease::Live<'_>| {
                let lease = live.lease;
                let (client, path, scope) = (lease.client.clone(), lease.path.clone(), lease.scope.as_str());
                (live.number, client, path, scope, lease.uid, lease.version, live.left, live.used, lease.request)
            };
            Ok(cache.list(now).into_iter().map(line).collect())
        })
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    fn __repr__(&self) -> String {
        format!("LeaseCache({} live)", self.lock().len())
    }
}

/// What a delivery allows: `(window, uses, scope)`. Policies are canonical JSON; items and request are `(window, uses)`.
#[pyfunction]
#[pyo3(signature = (policy, sealed_policy, items, request, *, reseal = false))]
pub fn lease_terms(
    policy: &[u8],
    sealed_policy: &[u8],
    items: Vec<(u64, u64)>,
    request: (u64, u64),
    reseal: bool,
) -> PyResult<(u64, u64, &'static str)> {
    keep(|| {
        let read = |payload| Policy::from_value(encoding::decode(payload, MAX_PAYLOAD)?);
        let purpose = if reseal { Purpose::Reseal } else { Purpose::Use };
        let terms = lease::lease_terms(&read(policy)?, &read(sealed_policy)?, &items, request, purpose);
        Ok((terms.window, terms.uses, terms.scope.as_str()))
    })
}

/// Whether an executable is on the fixed list of those that run whatever they are given.
#[pyfunction]
pub fn is_interpreter(exe: &str) -> PyResult<bool> {
    keep(|| Ok(lease::is_interpreter(exe)))
}
