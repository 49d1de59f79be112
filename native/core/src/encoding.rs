//! The one encoding of everything that is signed, sealed or hashed (section 2).
//!
//! A payload is canonical JSON (RFC 8785) in a restricted form: objects, arrays, strings, booleans and integers from 0 to
//! 2^53-1; no null, no float; a depth of at most 16; field names `[a-z][a-z0-9_]*`; no hidden character in any string.
//! Use [`decode`] on bytes from outside and [`encode`] on the way out. A decoder that keeps the meaning but not the bytes would
//! let two programs read one signature differently, so [`decode`] encodes again and compares.
//!
//! Not here: what fields an object has (see [`crate::objects`]), and JSON that others write (see [`crate::json::parse_foreign`]).

use aws_lc_rs::digest::{SHA256, digest};

use crate::error::{Code, Refusal, Result};
use crate::form::deeper;
pub use crate::form::{MAX_DEPTH, MAX_INT, Value};
use crate::text;

/// Bytes of a payload.
pub const MAX_PAYLOAD: usize = 64 * 1024;
/// Bytes of a roster's payload.
pub const MAX_ROSTER: usize = 1024 * 1024;
/// Bytes of a wrapper: a signed object or a release.
pub const MAX_WRAPPER: usize = 1536 * 1024;

/// SHA-256 over the pre-authentication encoding: the name of an object.
pub type Oid = [u8; 32];
/// A SHA-256 digest.
pub type Hash = [u8; 32];
/// `[version, revision]` or `[root version, roster version]`; pairs compare in order.
pub type Pair = (u64, u64);

/// Decodes a payload of at most `limit` bytes; its outer value is an object.
///
/// # Errors
/// `size`, `json`, `number`, `null`, `depth`, `char`, `field`, or `canonical` where the bytes are not the one encoding.
pub fn decode(payload: &[u8], limit: usize) -> Result<Value> {
    let value = decode_any(payload, limit)?;
    match value {
        Value::Object(_) => Ok(value),
        _ => Err(Refusal::new(Code::Field, "the outer value is not an object")),
    }
}

/// [`decode`] for any outer value: the arrays that stand in HPKE `info`.
///
/// # Errors
/// As [`decode`].
pub fn decode_any(payload: &[u8], limit: usize) -> Result<Value> {
    if payload.len() > limit {
        return Err(Refusal::new(Code::Size, format!("{} bytes, at most {limit}", payload.len())));
    }
    let value = crate::json::parse(payload)?;
    // One comparison ends duplicate keys, white space, other escapes, other number forms and other orders.
    if encode(&value)? != payload {
        return Err(Refusal::new(Code::Canonical, "not the canonical encoding"));
    }
    Ok(value)
}

/// The canonical bytes of `value`.
///
/// # Errors
/// `char`, `field`, `number`, `null` or `depth`: a producer is held to the same form as a receiver.
pub fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    write(value, 0, &mut out)?;
    Ok(out)
}

fn write(value: &Value, depth: usize, out: &mut Vec<u8>) -> Result<()> {
    match value {
        Value::Object(fields) => {
            let depth = deeper(depth)?;
            out.push(b'{');
            // A BTreeMap walks byte order, which for ASCII names is the UTF-16 order of RFC 8785.
            for (at, (name, item)) in fields.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                text::check_field_name(name)?;
                write_text(name, out)?;
                out.push(b':');
                write(item, depth, out)?;
            }
            out.push(b'}');
        }
        Value::Array(items) => {
            let depth = deeper(depth)?;
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, depth, out)?;
            }
            out.push(b']');
        }
        Value::Text(text) => write_text(text, out)?,
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(n) if *n <= MAX_INT => out.extend_from_slice(n.to_string().as_bytes()),
        Value::Int(_) => return Err(Refusal::new(Code::Number, "an integer above 2^53-1")),
        Value::Foreign => return Err(Refusal::new(Code::Null, "null or a number outside the form")),
    }
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Result<()> {
    // The two escapes that are left once control characters are refused.
    text::check_visible(text)?;
    out.push(b'"');
    if text.bytes().any(|byte| byte == b'"' || byte == b'\\') {
        for byte in text.bytes() {
            if byte == b'"' || byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    Ok(())
}

/// The pre-authentication encoding of DSSE version 1: what a signature covers.
#[must_use]
pub fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    out.extend_from_slice(payload);
    out
}

/// The object id of `payload` under the full media type `kind`.
#[must_use]
pub fn oid(kind: &str, payload: &[u8]) -> Oid {
    sha256(&pae(kind, payload))
}

/// SHA-256.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

/// A domain string of section 2 and its items as the canonical array that HPKE, HKDF and SHA-256 take.
///
/// # Errors
/// As [`encode`]: items that are texts from outside may hold hidden characters.
pub fn domain(name: &str, items: &[Value]) -> Result<Vec<u8>> {
    let mut array = vec![Value::Text(format!("stillvault/v1/{name}"))];
    array.extend_from_slice(items);
    encode(&Value::Array(array))
}

/// The media type of the object `name`.
#[must_use]
pub fn media_type(name: &str) -> String {
    format!("application/vnd.stillvault.{name}.v1+json")
}

/// The six digits that a person reads out: the first 20 bits of a request's oid, modulo 10^6.
#[must_use]
pub fn request_code(oid: &Oid) -> String {
    let [a, b, c, ..] = *oid;
    let bits = (u32::from(a) << 12) | (u32::from(b) << 4) | (u32::from(c) >> 4);
    format!("{:06}", bits % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_counts_bytes() {
        assert_eq!(pae("t", "é".as_bytes()), "DSSEv1 1 t 2 é".as_bytes());
    }

    #[test]
    fn code_is_padded() {
        assert_eq!(request_code(&[0; 32]), "000000");
        assert_eq!(request_code(&[0xff; 32]), "048575");
    }
}
