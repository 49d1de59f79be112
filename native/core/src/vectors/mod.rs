//! The operations of the test vectors, for builds with the feature `vectors` only: some take raw secret keys.
//!
//! A vector is JSON, here a [`Value`] from [`crate::json::parse_foreign`]. Signed objects stand in it as values and are encoded
//! again, so that what is tested is what arrives on the wire. [`run`] looks an operation up by its name.

mod private;
mod public;

use crate::encoding::{Oid, Pair, Value, encode};
use crate::error::{Code, Refusal, Result};
use crate::text::b64decode;
use crate::trust::Trust;

/// Runs one operation. `None` where there is no such operation: that must never count as a refusal.
#[must_use]
pub fn run(op: &str, input: &Value) -> Option<Result<Value>> {
    public::run(op, input).or_else(|| private::run(op, input))
}

/// A field of the input.
pub(crate) fn field<'v>(input: &'v Value, name: &str) -> Result<&'v Value> {
    input.get(name).ok_or_else(|| Refusal::new(Code::Field, format!("input.{name} is missing")))
}

/// A text field.
pub(crate) fn text<'v>(input: &'v Value, name: &str) -> Result<&'v str> {
    field(input, name)?.as_text().ok_or_else(|| Refusal::new(Code::Field, format!("input.{name} is no text")))
}

/// An integer field.
pub(crate) fn int(input: &Value, name: &str) -> Result<u64> {
    field(input, name)?.as_int().ok_or_else(|| Refusal::new(Code::Field, format!("input.{name} is no integer")))
}

/// The items of an array field.
pub(crate) fn items<'v>(input: &'v Value, name: &str) -> Result<&'v [Value]> {
    field(input, name)?.as_array().ok_or_else(|| Refusal::new(Code::Field, format!("input.{name} is no array")))
}

/// The bytes of a base64url field.
pub(crate) fn bytes(input: &Value, name: &str) -> Result<Vec<u8>> {
    b64decode(text(input, name)?)
}

/// Exactly `N` bytes of a base64url field.
pub(crate) fn exactly<const N: usize>(input: &Value, name: &str) -> Result<[u8; N]> {
    let raw = bytes(input, name)?;
    raw.try_into().map_err(|_| Refusal::new(Code::Field, format!("input.{name} has not {N} bytes")))
}

/// A wrapper that stands as a value, as the bytes that travel.
pub(crate) fn wrapper(input: &Value, name: &str) -> Result<Vec<u8>> {
    encode(field(input, name)?)
}

/// A pair of integers.
pub(crate) fn pair(value: &Value) -> Result<Pair> {
    match value.as_array() {
        Some([Value::Int(a), Value::Int(b)]) => Ok((*a, *b)),
        _ => Err(Refusal::new(Code::Field, "no pair")),
    }
}

/// An array of texts.
pub(crate) fn texts(input: &Value, name: &str) -> Result<Vec<String>> {
    let text = |v: &Value| v.as_text().map(str::to_owned).ok_or_else(|| Refusal::new(Code::Field, "no text"));
    items(input, name)?.iter().map(text).collect()
}

/// An object of the given fields.
pub(crate) fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// The trust inputs: `pin`, `roots`, `roster`, `now` and `seen?`.
pub(crate) fn trust(input: &Value) -> Result<Trust> {
    let pin: Oid = exactly(input, "pin")?;
    let roots = items(input, "roots")?.iter().map(encode).collect::<Result<Vec<_>>>()?;
    let seen = match input.get("seen") {
        Some(Value::Foreign) | None => None,
        Some(seen) => Some((pair(field(seen, "roster")?)?, exactly(seen, "oid")?)),
    };
    Trust::verify(&pin, &roots, &wrapper(input, "roster")?, int(input, "now")?, seen)
}
