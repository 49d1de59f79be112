//! Section 2 of the protocol: canonical JSON from Python values, object ids, the grammars of paths and ids.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString};
use stillvault_core::encoding::{self, MAX_DEPTH, MAX_INT, MAX_ROSTER, Value};
use stillvault_core::error::{Code, Refusal};
use stillvault_core::signed::Signed;
use stillvault_core::{objects, path, text};

use crate::errors::{keep, refused, run};

/// The value of the restricted form that a Python value stands for. `level` is the number of objects and lists around it.
fn value_of(item: &Bound<'_, PyAny>, level: usize) -> PyResult<Value> {
    // Bounded before it is entered: a list may hold itself.
    let too_deep = || refused(&Refusal::new(Code::Depth, format!("deeper than {MAX_DEPTH}")));
    let deeper = || if level < MAX_DEPTH { Ok(level + 1) } else { Err(too_deep()) };
    if let Ok(fields) = item.cast::<PyDict>() {
        let level = deeper()?;
        let pairs = fields.iter().map(|(name, item)| {
            let name = name.cast::<PyString>().map_err(|_| PyTypeError::new_err("a field's name is a str"))?;
            Ok((text_of(name)?, value_of(&item, level)?))
        });
        return Ok(Value::Object(pairs.collect::<PyResult<_>>()?));
    }
    if let Ok(items) = item.cast::<PyList>() {
        let level = deeper()?;
        return Ok(Value::Array(items.iter().map(|item| value_of(&item, level)).collect::<PyResult<_>>()?));
    }
    if let Ok(string) = item.cast::<PyString>() {
        return Ok(Value::Text(text_of(string)?));
    }
    // A bool is an int in Python: asked first.
    if let Ok(flag) = item.cast::<PyBool>() {
        return Ok(Value::Bool(flag.is_true()));
    }
    if item.is_instance_of::<PyInt>() {
        let outside = || refused(&Refusal::new(Code::Number, "not an integer from 0 to 2^53-1"));
        return item.extract::<u64>().ok().filter(|n| *n <= MAX_INT).map(Value::Int).ok_or_else(outside);
    }
    if item.is_none() {
        return Err(refused(&Refusal::new(Code::Null, "an absent field is left out")));
    }
    if item.is_instance_of::<PyFloat>() {
        return Err(refused(&Refusal::new(Code::Number, "a float has no form here")));
    }
    Err(PyTypeError::new_err("only dict, list, str, bool and int have a canonical form"))
}

fn text_of(string: &Bound<'_, PyString>) -> PyResult<String> {
    // A lone surrogate has no UTF-8.
    string.to_cow().map(String::from).map_err(|_| refused(&Refusal::new(Code::Char, "a surrogate")))
}

/// The canonical bytes of a dict, list, str, bool or int.
#[pyfunction]
pub fn encode(value: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    let value = value_of(value, 0)?;
    keep(|| {
        let bytes = encoding::encode(&value)?;
        match bytes.len() {
            0..=MAX_ROSTER => Ok(bytes),
            more => Err(Refusal::new(Code::Size, format!("{more} bytes, at most {MAX_ROSTER}"))),
        }
    })
}

/// Form alone, for a full media type; the oid.
#[pyfunction]
pub fn check_form(py: Python<'_>, r#type: &str, payload: &[u8]) -> PyResult<[u8; 32]> {
    run(py, || {
        let limit = objects::name_of(r#type).map_or(encoding::MAX_PAYLOAD, objects::limit_of);
        encoding::decode(payload, limit)?;
        Ok(encoding::oid(r#type, payload))
    })
}

/// Form and schema of the object `name`; the oid.
#[pyfunction]
pub fn check_object(py: Python<'_>, name: &str, payload: &[u8]) -> PyResult<[u8; 32]> {
    run(py, || objects::check(name, payload))
}

/// The unverified payload of a wrapper, its form and schema checked.
#[pyfunction]
pub fn payload_of(py: Python<'_>, name: &str, signed: &[u8]) -> PyResult<Vec<u8>> {
    run(py, || {
        let signed = Signed::parse(name, signed)?;
        objects::check(signed.name(), signed.unverified_payload())?;
        Ok(signed.unverified_payload().to_vec())
    })
}

/// The oid of a wrapper of any object, unverified; the wrapper's form is checked.
#[pyfunction]
pub fn oid_of(py: Python<'_>, signed: &[u8]) -> PyResult<[u8; 32]> {
    run(py, || Ok(Signed::parse_any(signed)?.oid()))
}

/// Bytes from outside as a text without hidden characters.
#[pyfunction]
pub fn visible(raw: &[u8]) -> PyResult<String> {
    keep(|| Ok(text::visible(raw)))
}

/// Refuses what is not a path.
#[pyfunction]
pub fn check_path(path: &str) -> PyResult<()> {
    keep(|| path::check_path(path))
}

/// Refuses what is not a pattern.
#[pyfunction]
pub fn check_pattern(pattern: &str) -> PyResult<()> {
    keep(|| path::check_pattern(pattern))
}

/// Refuses what is not an id.
#[pyfunction]
pub fn check_id(text: &str) -> PyResult<()> {
    keep(|| text::check_id(text))
}

/// Whether a pattern covers a path; both are checked.
#[pyfunction]
pub fn pattern_matches(pattern: &str, path: &str) -> PyResult<bool> {
    keep(|| {
        path::check_pattern(pattern)?;
        path::check_path(path)?;
        Ok(path::matches(pattern, path))
    })
}

/// base64url without padding.
#[pyfunction]
pub fn b64encode(raw: &[u8]) -> PyResult<String> {
    keep(|| Ok(text::b64encode(raw)))
}

/// The bytes of base64url without padding, spare bits 0.
#[pyfunction]
pub fn b64decode(text: &str) -> PyResult<Vec<u8>> {
    keep(|| text::b64decode(text))
}

/// SHA-256.
#[pyfunction]
pub fn sha256(py: Python<'_>, raw: &[u8]) -> PyResult<[u8; 32]> {
    run(py, || Ok(encoding::sha256(raw)))
}

/// The six digits of a request's oid.
#[pyfunction]
pub fn request_code(oid: [u8; 32]) -> PyResult<String> {
    keep(|| Ok(encoding::request_code(&oid)))
}

/// RFC 6962, 2.1: the hash of a leaf.
#[pyfunction]
pub fn leaf_hash(py: Python<'_>, leaf: &[u8]) -> PyResult<[u8; 32]> {
    run(py, || Ok(encoding::sha256(&[&[0], leaf].concat())))
}

/// RFC 6962, 2.1: the hash of an inner node.
#[pyfunction]
pub fn node_hash(left: [u8; 32], right: [u8; 32]) -> PyResult<[u8; 32]> {
    keep(|| Ok(encoding::sha256(&[&[1_u8][..], &left, &right].concat())))
}
