//! Whatever the strict parser accepts has one encoding, and the lenient parser accepts it too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::encoding::{MAX_WRAPPER, decode_any, encode};
use stillvault_core::json::parse_foreign;

fuzz_target!(|bytes: &[u8]| {
    let foreign = parse_foreign(bytes);
    if let Ok(value) = decode_any(bytes, MAX_WRAPPER) {
        assert_eq!(encode(&value).as_deref(), Ok(bytes));
        assert_eq!(foreign, Ok(value));
    }
});
