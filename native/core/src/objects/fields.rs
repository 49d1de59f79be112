//! Reading and writing the fields of an object: strict in both directions.
//!
//! [`Fields`] hands each field out once and refuses what is left over; every reader names the field that it refuses.

#![allow(clippy::needless_pass_by_value, reason = "a field is taken once; readers are passed as functions of a Value")]

use std::collections::BTreeMap;

use crate::encoding::{Hash, Pair, Value};
use crate::error::{Code, Refusal, Result};
use crate::{path, text};

/// The fields of one object that have not been read yet.
pub struct Fields {
    object: &'static str,
    left: BTreeMap<String, Value>,
}

impl Fields {
    /// Opens `value`, which must be an object; `object` names it in refusals.
    pub fn open(object: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Object(left) => Ok(Self { object, left }),
            _ => Err(wrong(object, "an object")),
        }
    }

    /// A field that must be there.
    pub fn take<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Result<T>) -> Result<T> {
        let missing = || Refusal::new(Code::Field, format!("{}.{name} is missing", self.object));
        let value = self.left.remove(name).ok_or_else(missing)?;
        self.within(name, read(value))
    }

    /// A field that may be absent.
    pub fn maybe<T>(&mut self, name: &str, read: impl FnOnce(Value) -> Result<T>) -> Result<Option<T>> {
        match self.left.remove(name) {
            Some(value) => self.within(name, read(value)).map(Some),
            None => Ok(None),
        }
    }

    fn within<T>(&self, name: &str, result: Result<T>) -> Result<T> {
        result.map_err(|refusal| Refusal::new(refusal.code, format!("{}.{name}: {}", self.object, refusal.detail)))
    }

    /// Refuses fields that nobody asked for.
    pub fn close(self) -> Result<()> {
        match self.left.keys().next() {
            Some(name) => Err(Refusal::new(Code::Field, format!("{}.{name} is unknown", self.object))),
            None => Ok(()),
        }
    }
}

/// A refusal for a value of another type or outside its range.
pub fn wrong(what: &str, wanted: &str) -> Refusal {
    Refusal::new(Code::Field, format!("{what}: {wanted} is wanted"))
}

/// Any string.
pub fn string(value: Value) -> Result<String> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(wrong("type", "a string")),
    }
}

/// An integer.
pub fn int(value: Value) -> Result<u64> {
    match value {
        Value::Int(n) => Ok(n),
        _ => Err(wrong("type", "an integer")),
    }
}

/// A version: versions begin at 1.
pub fn version(value: Value) -> Result<u64> {
    match int(value)? {
        0 => Err(wrong("version", "at least 1")),
        n => Ok(n),
    }
}

/// A boolean.
pub fn boolean(value: Value) -> Result<bool> {
    match value {
        Value::Bool(b) => Ok(b),
        _ => Err(wrong("type", "a boolean")),
    }
}

/// Bytes of any length.
pub fn bytes(value: Value) -> Result<Vec<u8>> {
    text::b64decode(&string(value)?)
}

/// Exactly `N` bytes.
pub fn exactly<const N: usize>(value: Value) -> Result<[u8; N]> {
    let raw = bytes(value)?;
    <[u8; N]>::try_from(raw.as_slice()).map_err(|_| wrong("length", &format!("{N} bytes instead of {}", raw.len())))
}

/// Bytes of one length, kept in a vector: only 32-byte values are sealed (section 3), so other lengths are never opened.
pub fn length(value: Value, wanted: usize) -> Result<Vec<u8>> {
    let raw = bytes(value)?;
    if raw.len() == wanted { Ok(raw) } else { Err(wrong("length", &format!("{wanted} bytes instead of {}", raw.len()))) }
}

/// A digest or an oid.
pub fn hash(value: Value) -> Result<Hash> {
    exactly(value)
}

/// An id.
pub fn id(value: Value) -> Result<String> {
    let id = string(value)?;
    text::check_id(&id)?;
    Ok(id)
}

/// A path.
pub fn path(value: Value) -> Result<String> {
    let path = string(value)?;
    path::check_path(&path)?;
    Ok(path)
}

/// A pattern.
pub fn pattern(value: Value) -> Result<String> {
    let pattern = string(value)?;
    path::check_pattern(&pattern)?;
    Ok(pattern)
}

/// An array, each item by `read`.
pub fn list<T>(mut read: impl FnMut(Value) -> Result<T>) -> impl FnOnce(Value) -> Result<Vec<T>> {
    move |value| match value {
        Value::Array(items) => items.into_iter().map(&mut read).collect(),
        _ => Err(wrong("type", "an array")),
    }
}

/// An array of exactly `N` items: the tuples of section 4.
pub fn tuple<const N: usize>(value: Value) -> Result<[Value; N]> {
    match value {
        Value::Array(items) => {
            <[Value; N]>::try_from(items).map_err(|items| wrong("length", &format!("{N} items instead of {}", items.len())))
        }
        _ => Err(wrong("type", "an array")),
    }
}

/// A pair of integers.
pub fn pair(value: Value) -> Result<Pair> {
    let [a, b] = tuple(value)?;
    Ok((int(a)?, int(b)?))
}

/// `[size, root hash]` of the log.
pub fn log_head(value: Value) -> Result<(u64, Hash)> {
    let [size, root] = tuple(value)?;
    Ok((int(size)?, hash(root)?))
}

/// Collects the fields of an object on the way out.
#[derive(Default)]
pub struct Writer(BTreeMap<String, Value>);

impl Writer {
    /// A field.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// A field that is left out where there is none.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<Value>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The object.
    #[must_use]
    pub fn done(self) -> Value {
        Value::Object(self.0)
    }
}

/// An array of `items` by `write`.
pub fn array<T>(items: &[T], write: impl FnMut(&T) -> Value) -> Value {
    Value::Array(items.iter().map(write).collect())
}

/// Texts as an array.
pub fn texts(items: &[String]) -> Value {
    array(items, |t| Value::text(t))
}

/// A pair as an array.
pub fn pair_value(pair: Pair) -> Value {
    Value::Array(vec![Value::Int(pair.0), Value::Int(pair.1)])
}

/// The log head as an array.
pub fn log_head_value(head: &(u64, Hash)) -> Value {
    Value::Array(vec![Value::Int(head.0), Value::bytes(&head.1)])
}

/// A closed set of words: the enum, its reader, its text.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// The word on the wire.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value of a word.
            ///
            /// # Errors
            /// `field` for any other word.
            pub fn parse(text: &str) -> $crate::error::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::objects::fields::wrong(stringify!($name), concat!($($text, " "),+))),
                }
            }

            pub(crate) fn read(value: $crate::encoding::Value) -> $crate::error::Result<Self> {
                Self::parse(&$crate::objects::fields::string(value)?)
            }

            pub(crate) fn value(self) -> $crate::encoding::Value {
                $crate::encoding::Value::text(self.as_str())
            }
        }
    };
}
pub(crate) use words;
