//! AWS SDKs (`credential_process`): one JSON object of version 1.
//!
//! `Expiration` is the end of the lease, so that an SDK comes back then; without a lease there is none, and the SDK keeps what it
//! got as long as its process lives. It says nothing about the key itself, which AWS accepts until it is rotated.

use zeroize::Zeroizing;

use super::fields::Fields;
use super::{Options, lease_end, one_line, release};
use crate::ask::Delivered;
use crate::fault::{Fault, Format, exit};
use crate::forms::{Escapes, json_escaped};
use crate::reference::Path;
use crate::text;

/// Answers an SDK.
pub fn serve(options: &Options, format: Format) -> Result<u8, Fault> {
    if options.operation.is_some() {
        return Err(super::unexpected(options.operation.as_deref().unwrap_or_default()));
    }
    let paths: Vec<Path> = match (&options.reference, &options.id, &options.key) {
        (Some(one), None, None) if options.token.is_none() => vec![one.clone()],
        (None, Some(id), Some(key)) => [Some(id), Some(key), options.token.as_ref()].into_iter().flatten().cloned().collect(),
        _ => {
            let remedy = "--ref sv://PATH for a value with fields, or --id-ref and --key-ref (and --token-ref) for plain ones";
            return Err(Fault::usage("stillvault credential aws takes one reference, or two or three of their kinds", remedy));
        }
    };
    if (1..paths.len()).any(|at| paths.get(..at).unwrap_or_default().contains(&paths[at])) {
        return Err(Fault::usage("one secret cannot be two of the parts", "seal them apart"));
    }
    let values = release(&paths, &["aws", "credential_process"], &options.question, format)?;
    let fields = values.first().map(|first| Fields::of(first.value.bytes()));
    let whole = |at: usize| values.get(at).map(|delivered| delivered.value.bytes());
    let field = |names: &[&str]| fields.as_ref().and_then(|fields| fields.take(names)).map(str::as_bytes);
    let parts = if options.reference.is_some() {
        [
            ("AccessKeyId", field(&["accesskeyid", "awsaccesskeyid"])),
            ("SecretAccessKey", field(&["secretaccesskey", "awssecretaccesskey"])),
            ("SessionToken", field(&["sessiontoken", "awssessiontoken"])),
        ]
    } else {
        [("AccessKeyId", whole(0)), ("SecretAccessKey", whole(1)), ("SessionToken", whole(2))]
    };
    let held = if options.reference.is_some() { field(&["expiration", "awscredentialexpiration"]) } else { None };
    write(&parts, expiration(&values, held)?.as_deref())
}

/// The earliest end: of the leases, or of the key itself where the secret names one.
fn expiration(values: &[Delivered], held: Option<&[u8]>) -> Result<Option<String>, Fault> {
    let lease = values.iter().filter_map(lease_end).min().map(rfc3339);
    let Some(held) = held else { return Ok(lease) };
    let held = one_line("the field Expiration", held)?;
    let like = |shape: &str| shape.len() == held.len() && shape.bytes().zip(held.bytes()).all(|(s, h)| if s == b'0' { h.is_ascii_digit() } else { s == h });
    if !like("0000-00-00T00:00:00Z") {
        return Err(Fault::failed("value-form", "the field Expiration is not like 2026-01-31T12:00:00Z", "seal it in that form"));
    }
    // Of one form, so the order of the text is the order of the times.
    Ok(Some(lease.into_iter().chain([held.to_owned()]).min().unwrap_or_default()))
}

fn write(parts: &[(&str, Option<&[u8]>); 3], expiration: Option<&str>) -> Result<u8, Fault> {
    let length = parts.iter().filter_map(|(_, part)| *part).map(|part| part.len() * 6 + 24).sum::<usize>();
    let mut whole = Zeroizing::new(Vec::with_capacity(length + 80));
    whole.extend_from_slice(b"{\"Version\":1");
    for (name, part) in parts {
        let Some(part) = part else {
            if *name == "SessionToken" {
                continue;
            }
            let remedy = "seal {\"AccessKeyId\":..,\"SecretAccessKey\":..}, or lines AWS_ACCESS_KEY_ID=.. and AWS_SECRET_ACCESS_KEY=..";
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
    text::output(&whole).map(|()| exit::OK)
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
