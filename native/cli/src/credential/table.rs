//! Which secret belongs to what, in a file of root's or one's own: words, then a reference, a line.
//!
//! ```text
//! # registry              reference            optional
//! registry.example.com    sv://prod/registry   username=ci
//! ```

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path as FilePath;

use nix::unistd::Uid;

use crate::fault::Fault;
use crate::reference::Reference;

/// The largest table, in bytes.
const MAX_TABLE: u64 = 1024 * 1024;

/// One line.
pub struct Row {
    /// What stands before the reference.
    pub words: Vec<String>,
    /// The secret.
    pub reference: Reference,
    /// `username=`.
    pub username: Option<String>,
}

/// Reads a table whose lines begin with `count` words. Nobody but root and we can have written it.
pub fn read(path: &FilePath, count: usize) -> Result<Vec<Row>, Fault> {
    let shown = path.display();
    let unreadable = |problem: std::io::Error| Fault::usage(format!("{shown} cannot be read: {problem}"), "");
    let file = File::open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let owner = Uid::from_raw(found.uid());
    if !found.is_file() || !(owner.is_root() || owner == Uid::effective()) || found.mode() & 0o022 != 0 {
        let message = format!("{shown} is not a file that root or you alone can write");
        return Err(Fault::untrusted(
            "map-owner",
            message,
            format!("look at what it says, then chown it and chmod go-w {shown}"),
        ));
    }
    let mut text = String::new();
    file.take(MAX_TABLE).read_to_string(&mut text).map_err(unreadable)?;
    parse(&text, count).map_err(|fault| Fault { message: format!("{shown}: {}", fault.message), ..fault })
}

fn parse(text: &str, count: usize) -> Result<Vec<Row>, Fault> {
    let mut rows: Vec<Row> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words: Vec<&str> = line.split_whitespace().collect();
        if words.first().is_none_or(|word| word.starts_with('#')) {
            continue;
        }
        let refused = |why: &str| Fault::usage(format!("line {}: {why}", number + 1), "see stillvault help credential");
        let username = words.last().and_then(|word| word.strip_prefix("username=")).map(str::to_owned);
        if username.is_some() {
            words.pop();
        }
        let (Some(reference), true) = (words.pop(), words.len() == count) else {
            return Err(refused("not of the form that this table has"));
        };
        let reference = Reference::parse(reference).map_err(|fault| refused(&fault.message))?;
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        if rows.iter().any(|row| row.words == words) {
            return Err(refused("named twice"));
        }
        rows.push(Row { words, reference, username });
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_or_named() {
        let rows = parse("# a\n\na.example  sv://x/y username=u\n\tb sv://z\n", 1).unwrap_or_default();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.first().and_then(|row| row.username.as_deref()), Some("u"));
        for (text, why) in [
            ("a", "line 1: not of the form"),
            ("\na b sv://x", "line 2: not of the form"),
            ("a x/y", "is not a reference"),
            ("a sv://x extra", "not a reference"),
            ("a sv://x\na sv://y", "line 2: named twice"),
        ] {
            let problem = parse(text, 1).err().map(|fault| fault.message).unwrap_or_default();
            assert!(problem.contains(why) || problem.contains("not of the form"), "{text}: {problem}");
        }
    }
}
