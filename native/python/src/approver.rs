//! Section 7: what a device checks before it shows a prompt, and what it makes of a decision.

use pyo3::prelude::*;
use stillvault_core::approver;
use stillvault_core::encoding::Pair;
use stillvault_core::release;

use crate::errors::run;
use crate::keys::KemKey;
use crate::random::Os;
use crate::trust::{Cert, Recipient, Request, Secret, Trust, recipients_of};

/// A prompt that passed the checks 7.1 to 7.3 for one device.
#[pyclass(frozen, module = "stillvault._native")]
pub struct Prompt(approver::Prompt);

#[pymethods]
impl Prompt {
    #[getter]
    fn request(&self) -> Request {
        Request(self.0.request.clone())
    }

    #[getter]
    fn secret(&self) -> Secret {
        Secret(self.0.secret.clone())
    }

    #[getter]
    fn cert(&self) -> Cert {
        Cert(self.0.cert.clone())
    }

    #[getter]
    fn code(&self) -> &str {
        &self.0.code
    }

    #[getter]
    fn index(&self) -> u64 {
        self.0.index
    }

    #[getter]
    fn position(&self) -> usize {
        self.0.position
    }

    #[getter]
    fn host(&self) -> &str {
        &self.0.cert.host
    }

    #[getter]
    fn window(&self) -> u64 {
        self.0.window
    }

    #[getter]
    fn outside(&self) -> Vec<Recipient> {
        recipients_of(&self.0.outside)
    }

    fn __repr__(&self) -> String {
        format!("Prompt({} on {})", self.0.request.path, self.0.cert.host)
    }
}

/// Every check of 7.1 to 7.3.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what a device is handed, what it remembers, and the interpreter")]
pub fn check_prompt(
    py: Python<'_>,
    trust: &Trust,
    own: (String, String),
    cert: &[u8],
    request: &[u8],
    secret: &[u8],
    decided: bool,
    lowest: Option<Pair>,
    now: u64,
) -> PyResult<Prompt> {
    run(py, || {
        let own = approver::Own { person: &own.0, device: &own.1, decided, remembered: lowest };
        Ok(Prompt(approver::check_prompt(&trust.0, own, cert, request, secret, now)?))
    })
}

/// The release of every item of a signed, approving decision.
#[pyfunction]
#[pyo3(name = "release")]
pub fn release_prompts(
    py: Python<'_>,
    trust: &Trust,
    prompts: Vec<Py<Prompt>>,
    decision: &[u8],
    kem: &KemKey,
    now: u64,
) -> PyResult<Vec<u8>> {
    run(py, || {
        let prompts: Vec<&approver::Prompt> = prompts.iter().map(|prompt| &prompt.get().0).collect();
        release::release(&trust.0, &prompts, decision, &kem.0, now, &mut Os)
    })
}
