//! Writes the corpus to begin with: every wrapper and payload of the test vectors. `seeds VECTORS CORPUS`.

// Not a target, but built with the same instrumentation, whose symbols this links.
use libfuzzer_sys as _;
use std::path::{Path, PathBuf};

use stillvault_core::encoding::{Value, encode, sha256};
use stillvault_core::json::parse_foreign;
use stillvault_core::text::{b64decode, b64encode};

const ORDER: [&str; 11] =
    ["root", "roster", "client-cert", "secret", "request", "decision", "receipt", "use", "cancel", "enrol", "login"];

struct Corpus(PathBuf);

impl Corpus {
    fn put(&self, target: &str, bytes: &[u8]) {
        let folder = self.0.join(target);
        std::fs::create_dir_all(&folder).expect("the corpus can be written");
        std::fs::write(folder.join(b64encode(&sha256(bytes))), bytes).expect("the corpus can be written");
    }

    fn wrapper(&self, value: &Value) {
        let Ok(bytes) = encode(value) else { return };
        self.put("wrapper", &bytes);
        self.put("json", &bytes);
        let name = value.get("type").and_then(Value::as_text).and_then(|t| t.split('.').nth(2)).unwrap_or_default();
        if name == "root" || name == "roster" {
            self.put("roots", &bytes);
        }
        let payload = value.get("payload").and_then(Value::as_text).and_then(|text| b64decode(text).ok());
        if let (Some(which), Some(payload)) = (ORDER.iter().position(|n| *n == name), payload) {
            self.payload(which as u8, &payload);
        }
        for signature in value.get("signatures").and_then(Value::as_array).unwrap_or_default() {
            if let Some(Ok(data)) = signature.get("client_data").and_then(Value::as_text).map(b64decode) {
                self.put("assertion", &[&[5, 0], data.as_slice()].concat());
            }
        }
    }

    fn payload(&self, which: u8, payload: &[u8]) {
        self.put("objects", &[&[which], payload].concat());
        self.put("json", payload);
    }

    fn walk(&self, value: &Value) {
        match value {
            Value::Object(fields) => {
                if fields.contains_key("signatures") {
                    self.wrapper(value);
                }
                if fields.contains_key("decision")
                    && let Ok(bytes) = encode(value)
                {
                    self.put("release", &bytes);
                    self.payload(11, &bytes);
                }
                let roots = fields.get("roots").and_then(Value::as_array).unwrap_or_default();
                let chain: Vec<Vec<u8>> =
                    roots.iter().chain(fields.get("roster")).filter_map(|wrapper| encode(wrapper).ok()).collect();
                if !roots.is_empty() {
                    self.put("roots", &chain.join(&b'\n'));
                }
                fields.values().for_each(|field| self.walk(field));
            }
            Value::Array(items) => items.iter().for_each(|item| self.walk(item)),
            Value::Text(text) => self.put("text", text.as_bytes()),
            _ => {}
        }
    }
}

fn main() {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(vectors), Some(corpus)) = (arguments.next(), arguments.next()) else {
        eprintln!("seeds VECTORS CORPUS");
        std::process::exit(2);
    };
    let corpus = Corpus(corpus.into());
    for entry in std::fs::read_dir(Path::new(&vectors)).expect("the vectors can be read").flatten() {
        if entry.path().extension().is_some_and(|e| e == "json") {
            let file = std::fs::read(entry.path()).expect("the vectors can be read");
            corpus.walk(&parse_foreign(&file).expect("a vector file is JSON"));
        }
    }
}
