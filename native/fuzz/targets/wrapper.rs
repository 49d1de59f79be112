//! A wrapper that parses has one encoding, and keys that its signatures name do not make it panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::encoding::sha256;
use stillvault_core::keys::{Alg, SigningKey};
use stillvault_core::signed::Signed;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(signed) = Signed::parse_any(bytes) {
        assert_eq!(signed.to_bytes().as_deref(), Ok(bytes));
        let keys: Vec<_> = [Alg::Ed25519, Alg::Es256]
            .into_iter()
            .map(|alg| SigningKey::from_bytes(alg, &sha256(b"fuzz")).expect("a key").key().clone())
            .collect();
        assert!(signed.count(&keys, &[]) <= 2);
        let _ = signed.verify(&keys, &[]);
    }
});
