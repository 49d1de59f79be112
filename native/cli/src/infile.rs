//! Files that the caller names as input: a template, an env file.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::fault::Fault;

/// The largest template or env file, in bytes.
const MAX_INPUT: u64 = 1024 * 1024;

/// A file that the caller named, or standard input for `-`.
pub fn input(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |problem: std::io::Error| Fault::usage(format!("{} cannot be read: {problem}", path.display()), "");
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    } else {
        File::open(path).map_err(unreadable)?.take(MAX_INPUT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    }
    if bytes.len() as u64 > MAX_INPUT {
        return Err(Fault::usage(format!("{} is larger than 1 MiB", path.display()), "split it"));
    }
    Ok(bytes)
}
