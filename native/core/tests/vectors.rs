//! Every vector in `tests/vectors/`, through the operations of the feature `vectors`.
//!
//! An accepted case must give the expected result; a refused one must be refused, and with the expected code.

#![cfg(feature = "vectors")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stillvault_core::encoding::Value;
use stillvault_core::json::parse_foreign;
use stillvault_core::vectors::run;

/// Operations of the relay and of the approver's screen, which are Python.
const ELSEWHERE: [&str; 2] = ["life", "cards"];

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json"));
    files.sort();
    files
}

fn object(value: &Value) -> &BTreeMap<String, Value> {
    let Value::Object(fields) = value else { panic!("no object: {value:?}") };
    fields
}

/// What is wrong with one case, if anything.
fn judge(case: &BTreeMap<String, Value>, defaults: &BTreeMap<String, Value>) -> Option<String> {
    let op = case["op"].as_text().unwrap();
    let mut input = defaults.get(op).map(object).cloned().unwrap_or_default();
    input.extend(object(&case["input"]).clone());
    let Some(result) = run(op, &Value::Object(input)) else { return Some("unknown operation".to_owned()) };
    match (case["kind"].as_text().unwrap(), result) {
        ("accept", Ok(found)) => (found != case["expect"]).then(|| format!("{found:?} instead of {:?}", case["expect"])),
        ("accept", Err(refusal)) => Some(format!("refused: {refusal}")),
        ("refuse", Ok(found)) => Some(format!("accepted: {found:?}")),
        ("refuse", Err(refusal)) => {
            let wanted = case["failure"].as_text().unwrap();
            (refusal.code.as_str() != wanted).then(|| format!("{refusal} instead of {wanted}"))
        }
        (kind, _) => Some(format!("unknown kind {kind}")),
    }
}

#[test]
fn every_vector() {
    let mut wrong = Vec::new();
    let mut run = 0;
    for file in files() {
        let document = parse_foreign(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(document.get("format"), Some(&Value::Int(1)), "{}", file.display());
        let defaults = object(document.get("defaults").unwrap());
        for case in document.get("cases").unwrap().as_array().unwrap().iter().map(object) {
            if ELSEWHERE.contains(&case["op"].as_text().unwrap()) {
                continue;
            }
            run += 1;
            if let Some(why) = judge(case, defaults) {
                let name = file.file_name().unwrap().to_string_lossy().into_owned();
                wrong.push(format!("{name}: {} ({}): {why}", case["name"].as_text().unwrap(), case["op"].as_text().unwrap()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {run} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(run > 100, "only {run} vectors were found");
}
