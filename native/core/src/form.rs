//! A value of the restricted form of section 2, and its bounds: what [`crate::encoding`] writes and [`crate::json`] reads.

use std::collections::BTreeMap;

use crate::error::{Code, Refusal, Result};
use crate::text;

/// The greatest integer, 2^53-1: the last that every JSON reader holds exactly.
pub const MAX_INT: u64 = (1 << 53) - 1;
/// The greatest depth; the outer object is 1.
pub const MAX_DEPTH: usize = 16;

/// A decoded value of the restricted form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Fields in the order of their names.
    Object(BTreeMap<String, Value>),
    /// Items in their order.
    Array(Vec<Value>),
    /// A string.
    Text(String),
    /// A boolean.
    Bool(bool),
    /// An integer, at most [`MAX_INT`].
    Int(u64),
    /// A null or a number outside the form. Only the lenient parser makes it, and [`crate::encoding::encode`] refuses it.
    Foreign,
}

impl Value {
    /// Bytes as they stand in a payload: base64url text.
    #[must_use]
    pub fn bytes(raw: &[u8]) -> Self {
        Self::Text(text::b64encode(raw))
    }

    /// A text.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// A field of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The items of an array.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The integer.
    #[must_use]
    pub fn as_int(&self) -> Option<u64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }
}

/// One level further in, where there is one.
pub(crate) fn deeper(depth: usize) -> Result<usize> {
    if depth >= MAX_DEPTH {
        return Err(Refusal::new(Code::Depth, format!("deeper than {MAX_DEPTH}")));
    }
    Ok(depth + 1)
}
