//! `read`: one value, raw, to standard output or into a new file.

use crate::command::Read;
use crate::fault::{Fault, Format};
use crate::later::Fetch;
use crate::{ask, deliver, later, listing};

/// Reads one value. It is complete before the first byte is written anywhere.
pub fn read(wanted: &Read, format: Format) -> Result<u8, Fault> {
    if wanted.dry_run {
        return listing::dry_run(std::slice::from_ref(&wanted.reference), None, format);
    }
    if wanted.detach {
        let path = std::slice::from_ref(&wanted.reference.path);
        return later::detach(path, None, &wanted.question, &Fetch::Wait(wanted.reference.field.as_ref()), format);
    }
    deliver::check(&wanted.output, &format!("run --env NAME={} --", wanted.reference))?;
    let answer = ask::ask(vec![wanted.reference.path.clone()], None, &wanted.question, format)?;
    deliver::deliver(&answer, wanted.reference.field.as_ref(), &wanted.output, format)
}
