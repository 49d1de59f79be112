//! A release that splits joins to the same bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::release::{join, split};

fuzz_target!(|bytes: &[u8]| {
    if let Ok((decision, sealed)) = split(bytes) {
        assert_eq!(join(&decision, sealed).as_deref(), Ok(bytes));
    }
});
