//! Operations that need no private key: encoding, signatures, paths, roster, enrolment.

use super::{bytes, exactly, field, int, items, object, text, texts, trust, wrapper};
use crate::encoding::{self, Value};
use crate::error::{Code, Refusal, Result};
use crate::keys::Key;
use crate::objects::{self, Policy};
use crate::path;
use crate::signed::Signed;
use crate::{enrol, roster, text as strings};

/// Runs one of these operations; `None` where `op` is none of them.
pub(super) fn run(op: &str, input: &Value) -> Option<Result<Value>> {
    let operation = match op {
        "decode" => decode,
        "parse" => parse,
        "base64" => base64,
        "visible" => visible,
        "verify" => verify,
        "count" => count,
        "path" => check_path,
        "pattern" => check_pattern,
        "match" => matches,
        "select" => select,
        "trust" => verify_trust,
        "cert" => cert,
        "enrol" => verify_enrol,
        _ => return None,
    };
    Some(operation(input))
}

fn decode(input: &Value) -> Result<Value> {
    let media_type = text(input, "type")?;
    let payload = bytes(input, "payload")?;
    encoding::decode(&payload, objects::limit_of(objects::name_of(media_type)?))?;
    Ok(object([("oid", Value::bytes(&encoding::oid(media_type, &payload)))]))
}

fn parse(input: &Value) -> Result<Value> {
    let oid = objects::check(text(input, "object")?, &bytes(input, "payload")?)?;
    Ok(object([("oid", Value::bytes(&oid))]))
}

fn base64(input: &Value) -> Result<Value> {
    let raw = strings::b64decode(text(input, "text")?)?;
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(object([("hex", Value::Text(hex))]))
}

fn visible(input: &Value) -> Result<Value> {
    Ok(object([("text", Value::Text(strings::visible(&bytes(input, "bytes")?)))]))
}

fn keys(values: &[Value]) -> Result<Vec<Key>> {
    values.iter().cloned().map(Key::from_value).collect()
}

fn verify(input: &Value) -> Result<Value> {
    let name = text(input, "object")?;
    let signed = Signed::parse(name, &wrapper(input, "signed")?)?;
    let key = Key::from_value(field(input, "key")?.clone())?;
    signed.verify([&key], &texts(input, "origins")?)?;
    let oid = objects::check(name, signed.unverified_payload())?;
    Ok(object([("oid", Value::bytes(&oid))]))
}

fn count(input: &Value) -> Result<Value> {
    let name = text(input, "object")?;
    let signed = Signed::parse(name, &wrapper(input, "signed")?)?;
    let quorum = objects::Quorum { keys: keys(items(input, "keys")?)?, threshold: int(input, "threshold")? };
    let count = signed.require(&quorum, &texts(input, "origins")?, Code::Threshold)?;
    objects::check(name, signed.unverified_payload())?;
    Ok(object([("count", Value::Int(count))]))
}

fn check_path(input: &Value) -> Result<Value> {
    path::check_path(text(input, "path")?)?;
    Ok(object([]))
}

fn check_pattern(input: &Value) -> Result<Value> {
    path::check_pattern(text(input, "pattern")?)?;
    Ok(object([]))
}

fn matches(input: &Value) -> Result<Value> {
    let (pattern, at) = (text(input, "pattern")?, text(input, "path")?);
    path::check_pattern(pattern)?;
    path::check_path(at)?;
    if !path::matches(pattern, at) {
        return Err(Refusal::new(Code::NoMatch, "the pattern does not cover the path"));
    }
    Ok(object([]))
}

fn select(input: &Value) -> Result<Value> {
    let policies = items(input, "policies")?.iter().cloned().map(Policy::from_value).collect::<Result<Vec<_>>>()?;
    let policy = roster::select(&policies, text(input, "path")?)?;
    Ok(object([("policy", Value::text(&policy.id))]))
}

fn verify_trust(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let (root, roster) = trust.pair();
    let pair = Value::Array(vec![Value::Int(root), Value::Int(roster)]);
    Ok(object([("pair", pair), ("oid", Value::bytes(trust.oid()))]))
}

fn cert(input: &Value) -> Result<Value> {
    let cert = trust(input)?.verify_cert(&wrapper(input, "client_cert")?, int(input, "now")?)?;
    Ok(object([("subject", Value::text(&cert.subject))]))
}

fn verify_enrol(input: &Value) -> Result<Value> {
    let pin = exactly(input, "pin")?;
    let nonce = exactly(input, "nonce")?;
    let invite = enrol::invite(&nonce)?;
    let found = enrol::verify_enrol(&pin, &texts(input, "origins")?, &wrapper(input, "enrol")?, &invite)?;
    let words = enrol::word_indices(found.oid(), &nonce)?;
    Ok(object([
        ("oid", Value::bytes(found.oid())),
        ("invite", Value::bytes(&invite)),
        ("bearer", Value::Text(enrol::bearer(&pin, &nonce)?)),
        ("words", Value::Array(words.iter().map(|&word| Value::Int(u64::from(word))).collect())),
        ("proof_info", Value::bytes(&enrol::proof_info()?)),
    ]))
}
