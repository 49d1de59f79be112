//! No root chain that the fuzzer makes up verifies under a pin that is not its own, and none panics.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::objects::Payload as _;
use stillvault_core::objects::Root;
use stillvault_core::signed::Signed;
use stillvault_core::trust::{Trust, verify_roots};

fuzz_target!(|bytes: &[u8]| {
    // Two wrappers with a newline between: canonical JSON holds none.
    let parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert!(verify_roots(&[0; 32], &parts).is_err());
    let Some(pin) = parts.first().and_then(|first| Signed::parse(Root::NAME, first).ok()).map(|root| root.oid()) else {
        return;
    };
    if let Ok(newest) = verify_roots(&pin, &parts) {
        assert_eq!(newest.version, parts.len() as u64);
    }
    let (roster, roots) = parts.split_last().expect("at least one part");
    let _ = Trust::verify(&pin, roots, roster, 1_900_000_000, None);
});
