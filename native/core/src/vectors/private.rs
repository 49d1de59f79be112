//! Operations that take private keys, data keys or plaintext: sections 3, 5, 7, 8 and 10.

use super::{bytes, exactly, field, int, items, object, pair, text, texts, trust, wrapper};
use crate::approver::{Own, check_prompt};
use crate::client::{Handed, open_releases, verify_denial};
use crate::encoding::{self, Pair, Value, encode, request_code};
use crate::error::{Code, Refusal, Result};
use crate::hpke::{self, DiffieHellman, KemKey, Secret32};
use crate::lease::{check_uses, check_window, least};
use crate::objects::{Core, Payload, Purpose, Request, Scope, Secret};
use crate::payload::{self, check_dek, dek_commitment, payload_key};
use crate::recovery::{Exported, open_recovered};
use crate::secret::{self, open_stanza, verify_secret};
use crate::shares::{self, Share};
use crate::signed::Signed;
use crate::text::b64decode;

/// How many bytes of a padded value a vector shows.
const SHOWN: usize = 80;

/// Runs one of these operations; `None` where `op` is none of them.
pub(super) fn run(op: &str, input: &Value) -> Option<Result<Value>> {
    let operation = match op {
        "open" => open,
        "keys" => keys,
        "payload" => open_payload,
        "stanza" => stanza,
        "join" => join,
        "share" => share,
        "pad" => pad,
        "unpad" => unpad,
        "secret" => secret,
        "client" => client,
        "approver" => approver,
        "denied" => denied,
        "recover" => recover,
        "lease" => lease,
        "hit" => hit,
        _ => return None,
    };
    Some(operation(input))
}

fn secret32(input: &Value, name: &str) -> Result<Secret32> {
    Ok(Secret32::new(exactly(input, name)?))
}

fn open(input: &Value) -> Result<Value> {
    let key = KemKey::from_bytes(&bytes(input, "secret_key")?)?;
    let info = encode(field(input, "info")?)?;
    let plaintext = hpke::open(&key, &info, &bytes(input, "enc")?, &bytes(input, "ct")?)?;
    Ok(object([("plaintext", Value::bytes(plaintext.as_ref()))]))
}

fn index(value: &Value) -> Result<u8> {
    let small = value.as_int().and_then(|index| u8::try_from(index).ok());
    small.ok_or_else(|| Refusal::new(Code::Index, "an index has one byte"))
}

fn keys(input: &Value) -> Result<Value> {
    let (dek, salt) = (secret32(input, "dek")?, exactly(input, "salt")?);
    let prf_input = encoding::domain("prf-input", &[field(input, "org")?.clone()])?;
    let commitment = shares::commitment(&salt, index(field(input, "index")?)?, &dek);
    Ok(object([
        ("payload_key", Value::bytes(payload_key(&dek, &salt).as_ref())),
        ("dek_commitment", Value::bytes(&dek_commitment(&dek, &salt))),
        ("share_commitment", Value::bytes(&commitment)),
        ("prf_input", Value::bytes(&encoding::sha256(&prf_input))),
        ("code", Value::Text(request_code(&dek))),
    ]))
}

fn open_payload(input: &Value) -> Result<Value> {
    let core = Core::from_value(field(input, "core")?.clone())?;
    let (dek, ciphertext) = (secret32(input, "dek")?, bytes(input, "ciphertext")?);
    check_dek(&dek, &core.salt, &core.dek_commitment)?;
    let value = secret::open_payload(&core, &dek, &ciphertext)?;
    Ok(object([("data", Value::bytes(value.expose()?))]))
}

fn stanza(input: &Value) -> Result<Value> {
    let secret = Secret::from_value(field(input, "secret")?.clone())?;
    let key = KemKey::from_bytes(&bytes(input, "secret_key")?)?;
    let position = usize::try_from(int(input, "position")?).unwrap_or(usize::MAX);
    Ok(object([("opened", Value::bytes(open_stanza(&secret, position, &key)?.as_ref()))]))
}

fn join(input: &Value) -> Result<Value> {
    let share = |entry: &Value| match entry.as_array() {
        Some([at, Value::Text(value)]) => {
            let value = crate::text::b64decode(value)?;
            let value = value.try_into().map_err(|_| Refusal::new(Code::Field, "a share has 32 bytes"))?;
            Ok(Share { index: index(at)?, value: Secret32::new(value) })
        }
        _ => Err(Refusal::new(Code::Field, "no share")),
    };
    let shares = items(input, "shares")?.iter().map(share).collect::<Result<Vec<_>>>()?;
    Ok(object([("secret", Value::bytes(shares::join(&shares)?.as_ref()))]))
}

fn share(input: &Value) -> Result<Value> {
    let share = Share { index: index(field(input, "index")?)?, value: secret32(input, "share")? };
    shares::check(&exactly(input, "salt")?, &share, &exactly(input, "commitment")?)?;
    Ok(object([]))
}

fn pad(input: &Value) -> Result<Value> {
    let length = usize::try_from(int(input, "length")?).unwrap_or(usize::MAX);
    let mut padded = vec![0; payload::padded_length(length)?];
    let byte = u8::try_from(int(input, "byte")?).map_err(|_| Refusal::new(Code::Field, "no byte"))?;
    payload::pad(&vec![byte; length], &mut padded)?;
    let shown = padded.get(..SHOWN).unwrap_or(&padded);
    Ok(object([("padded", Value::bytes(shown)), ("total", Value::Int(padded.len() as u64))]))
}

fn unpad(input: &Value) -> Result<Value> {
    let padded = bytes(input, "padded")?;
    let data = payload::unpad(&padded)?;
    Ok(object([("data", Value::bytes(padded.get(data).unwrap_or_default()))]))
}

fn pairs(values: &[Value]) -> Result<Vec<Pair>> {
    values.iter().map(pair).collect()
}

fn secret(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let lowest = pairs(items(input, "lowest")?)?;
    let wrapper = wrapper(input, "secret")?;
    let secret = verify_secret(&trust, &wrapper, text(input, "path")?, &lowest, int(input, "now")?, false)?;
    Ok(object([("oid", Value::bytes(secret.oid()))]))
}

fn client(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let ephemeral = KemKey::from_bytes(&bytes(input, "ephemeral_secret")?)?;
    let releases = items(input, "releases")?.iter().map(encode).collect::<Result<Vec<_>>>()?;
    let handed = Handed {
        request: &wrapper(input, "request")?,
        secret: &wrapper(input, "secret")?,
        ciphertext: &bytes(input, "ciphertext")?,
        releases: &releases.iter().map(Vec::as_slice).collect::<Vec<_>>(),
    };
    let remembered = match input.get("remembered") {
        None | Some(Value::Foreign) => None,
        Some(remembered) => Some(pair(remembered)?),
    };
    let opened = open_releases(&trust, handed, &ephemeral, remembered, int(input, "now")?)?;
    let lease = object([
        ("window", Value::Int(opened.terms.window)),
        ("uses", Value::Int(opened.terms.uses)),
        ("scope", Value::text(opened.terms.scope.as_str())),
    ]);
    Ok(object([("data", Value::bytes(opened.value.expose()?)), ("lease", lease)]))
}

fn approver(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let wrapped = wrapper(input, "request")?;
    // What the device remembers is looked up by what the request says of itself.
    let request: Request = Signed::parse(Request::NAME, &wrapped)?.peek()?;
    let memory = field(input, "memory")?;
    let this = Value::Array(vec![Value::bytes(&request.client), Value::bytes(&request.id)]);
    let own = match items(input, "own")? {
        [Value::Text(person), Value::Text(device)] => Own {
            person,
            device,
            decided: items(memory, "decided")?.contains(&this),
            remembered: memory.get("secrets").and_then(|seen| seen.get(&request.path)).map(pair).transpose()?,
        },
        _ => return Err(Refusal::new(Code::Field, "own is person and device")),
    };
    let (cert, secret) = (wrapper(input, "client_cert")?, wrapper(input, "secret")?);
    let prompt = check_prompt(&trust, own, &cert, &wrapped, &secret, int(input, "now")?)?;
    Ok(object([
        ("code", Value::text(&prompt.code)),
        ("index", Value::Int(prompt.index)),
        ("position", Value::Int(prompt.position as u64)),
        ("host", Value::text(&prompt.cert.host)),
    ]))
}

fn denied(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let (request, decision) = (wrapper(input, "request")?, wrapper(input, "decision")?);
    let secret = input.get("secret").map(encode).transpose()?;
    let decision = verify_denial(&trust, &request, secret.as_deref(), &decision, int(input, "now")?)?;
    Ok(object([
        ("verdict", Value::text(decision.verdict.as_str())),
        ("person", Value::text(&decision.person)),
        ("device", Value::text(&decision.device)),
    ]))
}

fn recover(input: &Value) -> Result<Value> {
    let trust = trust(input)?;
    let keys = texts(input, "keys")?.iter().map(|key| KemKey::from_bytes(&b64decode(key)?)).collect::<Result<Vec<_>>>()?;
    let keys: Vec<&dyn DiffieHellman> = keys.iter().map(|key| key as &dyn DiffieHellman).collect();
    let (secret, ciphertext) = (wrapper(input, "secret")?, bytes(input, "ciphertext")?);
    let exported = Exported { path: text(input, "path")?, secret: &secret, ciphertext: &ciphertext };
    let opened = open_recovered(&trust, exported, &keys, int(input, "now")?)?;
    Ok(object([("data", Value::bytes(opened.value.expose()?)), ("secret", Value::bytes(opened.secret.oid()))]))
}

fn bounds(value: &Value) -> Result<(u64, u64)> {
    Ok((int(value, "window")?, int(value, "uses")?))
}

fn lease(input: &Value) -> Result<Value> {
    let (policy, request) = (field(input, "policy")?, field(input, "request")?);
    let policies = [bounds(policy)?, bounds(field(input, "sealed_policy")?)?];
    let decided = items(input, "items")?.iter().map(bounds).collect::<Result<Vec<_>>>()?;
    let purpose = request.get("purpose").map_or(Ok(Purpose::Use), |_| Purpose::parse(text(request, "purpose")?))?;
    let terms = least(Scope::parse(text(policy, "scope")?)?, &policies, &decided, bounds(request)?, purpose);
    Ok(object([
        ("window", Value::Int(terms.window)),
        ("uses", Value::Int(terms.uses)),
        ("scope", Value::text(terms.scope.as_str())),
    ]))
}

fn hit(input: &Value) -> Result<Value> {
    let lease = field(input, "lease")?;
    check_window(int(input, "start")?, int(input, "boot")?, int(lease, "window")?)?;
    check_uses(int(lease, "uses")?, int(input, "used")?)?;
    let id = field(lease, "id")?;
    if field(input, "before")? != id || field(input, "after")? != id {
        return Err(Refusal::new(Code::LeaseScope, "another scope than the lease's"));
    }
    Ok(object([]))
}
