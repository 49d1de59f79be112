//! From the pin to verified objects (sections 7.1, 7.3 and 8). Every type here can only be had by passing its checks.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use stillvault_core::encoding;
use stillvault_core::encoding::{Oid, Pair};
use stillvault_core::objects;
use stillvault_core::signed::Verified;
use stillvault_core::{approver, enrol, secret, trust};

use crate::errors::{keep, run};

/// `(index, person, device)`.
pub type Recipient = (u64, String, String);

/// Recipients as Python sees them.
pub fn recipients_of(found: &[objects::Recipient]) -> Vec<Recipient> {
    found.iter().map(|one| (one.index, one.person.clone(), one.device.clone())).collect()
}

/// A verified root chain and roster. Immutable.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Trust(pub trust::Trust);

/// A client certificate that verified.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Cert(pub Verified<objects::ClientCert>);

/// A request that verified.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Request(pub Verified<objects::Request>);

/// A signed secret that verified. It holds no plaintext and no key.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Secret(pub Verified<objects::Secret>);

/// A decision that verified as far as it can without its requests.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Decision(pub Verified<objects::Decision>);

/// An enrolment that verified.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Enrol(pub Verified<objects::Enrol>);

#[pymethods]
impl Trust {
    #[staticmethod]
    #[pyo3(signature = (pin, roots, roster, now, seen = None))]
    fn verify(
        py: Python<'_>,
        pin: Oid,
        roots: Vec<PyBackedBytes>,
        roster: &[u8],
        now: u64,
        seen: Option<(Pair, Oid)>,
    ) -> PyResult<Self> {
        run(py, || Ok(Self(trust::Trust::verify(&pin, &roots, roster, now, seen)?)))
    }

    #[getter]
    fn pin(&self) -> Oid {
        *self.0.pin()
    }

    #[getter]
    fn pair(&self) -> Pair {
        self.0.pair()
    }

    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn root_oid(&self) -> Oid {
        *self.0.root().oid()
    }

    #[getter]
    fn root(&self) -> &[u8] {
        self.0.root().payload()
    }

    #[getter]
    fn roster(&self) -> &[u8] {
        self.0.roster().payload()
    }

    #[getter]
    fn expires(&self) -> u64 {
        self.0.expires()
    }

    /// Canonical JSON of the policy that covers `path` most closely.
    fn select_policy(&self, path: &str) -> PyResult<Vec<u8>> {
        keep(|| encoding::encode(&self.0.policy(path)?.to_value()))
    }

    fn verify_cert(&self, py: Python<'_>, cert: &[u8], now: u64) -> PyResult<Cert> {
        run(py, || Ok(Cert(self.0.verify_cert(cert, now)?)))
    }

    #[pyo3(signature = (name, signed, person, device, now, *, deny = false))]
    #[expect(clippy::too_many_arguments, reason = "one more than the core's, for the interpreter")]
    fn verify_by_device(
        &self,
        py: Python<'_>,
        name: &str,
        signed: &[u8],
        person: &str,
        device: &str,
        now: u64,
        deny: bool,
    ) -> PyResult<Vec<u8>> {
        run(py, || Ok(self.0.verify_by_device(name, signed, (person, device), now, deny)?.payload().to_vec()))
    }

    fn verify_by_client(&self, py: Python<'_>, name: &str, signed: &[u8], cert: &Cert, now: u64) -> PyResult<Vec<u8>> {
        run(py, || Ok(self.0.verify_by_client(name, signed, &cert.0, now)?.payload().to_vec()))
    }

    /// `(index, person, device)` for whom a seal made now would be.
    fn recipients(&self, py: Python<'_>, path: &str, now: u64) -> PyResult<Vec<Recipient>> {
        run(py, || Ok(recipients_of(&secret::recipients_of(&self.0, self.0.policy(path)?, now))))
    }

    fn verify_request(&self, py: Python<'_>, signed: &[u8], cert: &Cert, now: u64) -> PyResult<Request> {
        run(py, || Ok(Request(approver::verify_request(&self.0, signed, &cert.0, now)?)))
    }

    #[pyo3(signature = (signed, path, lowest, now, *, reseal = false))]
    fn verify_secret(
        &self,
        py: Python<'_>,
        signed: &[u8],
        path: &str,
        lowest: Vec<Pair>,
        now: u64,
        reseal: bool,
    ) -> PyResult<Secret> {
        run(py, || Ok(Secret(secret::verify_secret(&self.0, signed, path, &lowest, now, reseal)?)))
    }

    fn verify_new_secret(&self, py: Python<'_>, signed: &[u8], ciphertext: &[u8], now: u64) -> PyResult<Secret> {
        run(py, || Ok(Secret(secret::verify_new_secret(&self.0, signed, ciphertext, now)?)))
    }

    fn verify_decision(&self, py: Python<'_>, signed: &[u8], now: u64) -> PyResult<Decision> {
        run(py, || Ok(Decision(self.0.verify_decision(signed, now)?)))
    }

    fn __repr__(&self) -> String {
        let (root, roster) = self.0.pair();
        format!("Trust(root {root}, roster {roster})")
    }
}

#[pymethods]
impl Cert {
    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn subject(&self) -> &str {
        &self.0.subject
    }

    #[getter]
    fn host(&self) -> &str {
        &self.0.host
    }

    #[getter]
    fn grade(&self) -> &'static str {
        self.0.grade.as_str()
    }

    #[getter]
    fn scopes(&self) -> Vec<String> {
        self.0.scopes.clone()
    }

    #[getter]
    fn expires(&self) -> u64 {
        self.0.expires
    }

    #[getter]
    fn public(&self) -> &[u8] {
        &self.0.key.public
    }

    #[getter]
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn __repr__(&self) -> String {
        format!("Cert({})", self.0.subject)
    }
}

#[pymethods]
impl Request {
    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn path(&self) -> &str {
        &self.0.path
    }

    #[getter]
    fn code(&self) -> PyResult<String> {
        keep(|| Ok(encoding::request_code(self.0.oid())))
    }

    #[getter]
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn __repr__(&self) -> String {
        format!("Request({})", self.0.path)
    }
}

#[pymethods]
impl Secret {
    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn path(&self) -> &str {
        &self.0.core.path
    }

    #[getter]
    fn version(&self) -> Pair {
        (self.0.core.version, self.0.core.revision)
    }

    #[getter]
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn __repr__(&self) -> String {
        format!("Secret({}, {}.{})", self.0.core.path, self.0.core.version, self.0.core.revision)
    }
}

#[pymethods]
impl Decision {
    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn verdict(&self) -> &'static str {
        self.0.verdict.as_str()
    }

    #[getter]
    fn person(&self) -> &str {
        &self.0.person
    }

    #[getter]
    fn device(&self) -> &str {
        &self.0.device
    }

    #[getter]
    fn expires(&self) -> u64 {
        self.0.expires
    }

    #[getter]
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn __repr__(&self) -> String {
        format!("Decision({} by {}/{})", self.verdict(), self.0.person, self.0.device)
    }
}

#[pymethods]
impl Enrol {
    #[getter]
    fn oid(&self) -> Oid {
        *self.0.oid()
    }

    #[getter]
    fn invite(&self) -> Oid {
        self.0.invite
    }

    #[getter]
    fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    fn __repr__(&self) -> String {
        format!("Enrol({})", self.0.name)
    }
}

/// Form, signature by its own `auth`, organisation, invite and algorithms of an enrolment.
#[pyfunction]
pub fn verify_enrol(py: Python<'_>, pin: Oid, origins: Vec<String>, signed: &[u8], invite: Oid) -> PyResult<Enrol> {
    run(py, || Ok(Enrol(enrol::verify_enrol(&pin, &origins, signed, &invite)?)))
}

/// `(invite, bearer)` of a nonce.
#[pyfunction]
pub fn invite_terms(py: Python<'_>, pin: Oid, nonce: [u8; 32]) -> PyResult<(Oid, String)> {
    run(py, || Ok((enrol::invite(&nonce)?, enrol::bearer(&pin, &nonce)?)))
}

/// The five words of an enrolment.
#[pyfunction]
pub fn enrol_words(py: Python<'_>, oid: Oid, nonce: [u8; 32]) -> PyResult<Vec<&'static str>> {
    run(py, || enrol::words(&oid, &nonce))
}

/// The HPKE info of the enrolment's challenge.
#[pyfunction]
pub fn proof_info() -> PyResult<Vec<u8>> {
    keep(enrol::proof_info)
}
