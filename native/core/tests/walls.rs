//! What the crate's manual promises about its sources: unsafe code in one file, and no clock, network, file or thread anywhere.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn the_core_is_pure() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    for file in files {
        let name = file.strip_prefix(&root).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let code = text.lines().take_while(|line| *line != "#[cfg(test)]");
        for line in code.filter(|line| !line.trim_start().starts_with("//")) {
            for word in ["std::time", "Instant::", "SystemTime", "std::net", "std::fs", "std::thread", "std::env", "println!"] {
                assert!(!line.contains(word), "{name}: {word} in a pure crate: {line}");
            }
            let lifts = line.contains("allow(unsafe_code") || line.contains("unsafe {") || line.contains("unsafe fn");
            assert!(name == "memory.rs" || !lifts, "{name}: unsafe code outside memory.rs: {line}");
        }
    }
}
