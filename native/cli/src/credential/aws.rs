//! AWS SDKs (`credential_process`): one JSON object of version 1.
//!
//! `Expiration` is the end of the lease, so that an SDK comes back then; without a lease there is none, and the SDK keeps what it
//! got as long as its process lives. It says nothing about the key itself, which AWS accepts until it is rotated.

use zeroize::Zeroizing;

use super::{Options, one_line, release};
use crate::fault::{Fault, Format, exit};
use crate::forms::{Escapes, json_escaped};
use crate::out;
use crate::reference::Reference;

/// Answers an SDK.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    if options.operation.is_some() {
        return Err(super::unexpected(options.operation.as_deref().unwrap_or_default()));
    }
    let references: Vec<Reference> = match (&options.reference, &options.id, &options.key) {
        (Some(one), None, None) if options.token.is_none() => vec![one.clone()],
        (None, Some(id), Some(key)) => [Some(id), Some(key), options.token.as_ref()].into_iter().flatten().cloned().collect(),
        _ => {
            let remedy = "--ref sv://PATH for a value with fields, or --id-ref and --key-ref (and --token-ref) for plain ones";
            return Err(Fault::usage("stillvault credential aws takes one reference, or two or three of their kinds", remedy));
        }
    };
    let released = release(&references, &["aws", "credential_process"], &options.question, format)?;
    let lease = released.iter().filter_map(|one| one.end).min().map(rfc3339);
    if options.reference.is_none() {
        let whole = |at: usize| released.get(at).map(|one| one.bytes.clone());
        return write(&[whole(0), whole(1), whole(2)], lease.as_deref());
    }
    let field = |names: &[&str]| released.first().and_then(|one| one.field(names));
    let parts = [
        field(&["AccessKeyId", "aws_access_key_id", "AWS_ACCESS_KEY_ID"]),
        field(&["SecretAccessKey", "aws_secret_access_key", "AWS_SECRET_ACCESS_KEY"]),
        field(&["SessionToken", "aws_session_token", "AWS_SESSION_TOKEN"]),
    ];
    let end = match field(&["Expiration", "AWS_CREDENTIAL_EXPIRATION"]) {
        Some(held) => Some(earliest(lease, &held)?),
        None => lease,
    };
    write(&parts, end.as_deref())
}

/// The earlier of two ends: of the leases, and of the key itself where the secret names one.
fn earliest(lease: Option<String>, held: &[u8]) -> Result<String, Fault> {
    let held = one_line("the field Expiration", held)?;
    let shape = "0000-00-00T00:00:00Z";
    let fits = |(shape, held): (u8, u8)| if shape == b'0' { held.is_ascii_digit() } else { shape == held };
    if held.len() != shape.len() || !shape.bytes().zip(held.bytes()).all(fits) {
        return Err(Fault::failed("value-form", "the field Expiration is not like 2026-01-31T12:00:00Z", "seal it in that form"));
    }
    // Of one form, so the order of the text is the order of the times.
    Ok(lease.filter(|lease| lease.as_str() < held).unwrap_or_else(|| held.to_owned()))
}

fn write(parts: &[Option<Zeroizing<Vec<u8>>>; 3], expiration: Option<&str>) -> Result<u8, Fault> {
    let length = parts.iter().flatten().map(|part| part.len() * 6 + 24).sum::<usize>();
    let mut whole = Zeroizing::new(Vec::with_capacity(length + 80));
    whole.extend_from_slice(b"{\"Version\":1");
    for (name, part) in ["AccessKeyId", "SecretAccessKey", "SessionToken"].into_iter().zip(parts) {
        let Some(part) = part else {
            if name == "SessionToken" {
                continue;
            }
            let remedy =
                "seal {\"AccessKeyId\":..,\"SecretAccessKey\":..}, or lines AWS_ACCESS_KEY_ID=.. and AWS_SECRET_ACCESS_KEY=..";
            return Err(Fault::failed("value-form", format!("the secret has no field {name}"), remedy));
        };
        let part = json_escaped(one_line(name, part)?, Escapes::Few);
        for piece in [b",\"", name.as_bytes(), b"\":\"", &part, b"\""] {
            whole.extend_from_slice(piece);
        }
    }
    if let Some(end) = expiration {
        whole.extend_from_slice(format!(",\"Expiration\":\"{end}\"").as_bytes());
    }
    whole.extend_from_slice(b"}\n");
    out::write(&whole).map(|()| exit::OK)
}

/// Seconds since 1970 as AWS writes times.
fn rfc3339(unix: u64) -> String {
    // Days to a date by eras of 400 years that begin in March, so that the leap day is the last of its year.
    let (day, second) = (unix / 86_400 + 719_468, unix % 86_400);
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let (year, day) = (year + era * 400 + u64::from(month <= 2), of_year - (153 * shifted + 2) / 5 + 1);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }
}
