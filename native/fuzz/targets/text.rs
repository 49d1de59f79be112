//! base64url has one spelling; what is made visible hides nothing and stays as it is in canonical JSON; paths and patterns agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::encoding::{Value, decode_any, encode};
use stillvault_core::path::{check_path, check_pattern, matches};
use stillvault_core::text::{b64decode, b64encode, check_visible, visible};

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(b64decode(&b64encode(bytes)).as_deref(), Ok(bytes));
    let shown = visible(bytes);
    assert_eq!(check_visible(&shown), Ok(()));
    let json = encode(&Value::Text(shown.clone())).expect("visible text encodes");
    assert_eq!(decode_any(&json, json.len()), Ok(Value::Text(shown)));
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(raw) = b64decode(text) {
        assert_eq!(b64encode(&raw), text);
    }
    if check_path(text).is_ok() {
        assert_eq!(check_pattern(text), Ok(()));
        assert!(matches(text, text) && matches("**", text) && !matches(&format!("{text}/**"), text));
        assert!(matches(&format!("{text}/**"), &format!("{text}/x")));
    }
});
