//! Client data and authenticator data of a passkey that signs whatever it is given: what is accepted keeps every rule.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::encoding::{Value, sha256};
use stillvault_core::json::parse_foreign;
use stillvault_core::keys::Passkey;
use stillvault_core::text::b64encode;
use stillvault_core::webauthn::Assertion;

const RP_ID: &str = "vault.example.com";
const ORIGIN: &str = "https://vault.example.com";

fuzz_target!(|bytes: &[u8]| {
    // One byte of flags, one of what follows the counter, then the client data.
    let [flags, tail, client_data @ ..] = bytes else { return };
    let mut auth_data = sha256(RP_ID.as_bytes()).to_vec();
    auth_data.push(*flags);
    auth_data.extend_from_slice(&[0; 4]);
    auth_data.extend(std::iter::repeat_n(0, usize::from(*tail)));
    let oid = sha256(b"oid");
    let passkey = Passkey { credential: vec![1], rp_id: RP_ID.to_owned(), backup: flags & 8 != 0 };
    let origins = [ORIGIN.to_owned()];
    let (public, sig): (&[u8], &[u8]) = (&[], &[]);
    let assertion =
        Assertion { public, passkey: &passkey, origins: &origins, oid: &oid, auth_data: &auth_data, client_data, sig };
    assert!(assertion.verify().is_err(), "no signature was made");
    if assertion.verify_without_signature().is_ok() {
        assert_eq!(flags & 5, 5);
        let data = parse_foreign(client_data).expect("accepted client data parses");
        let text = |name: &str| data.get(name).and_then(Value::as_text).map(str::to_owned);
        assert_eq!(text("type").as_deref(), Some("webauthn.get"));
        assert_eq!(text("challenge"), Some(b64encode(&oid)));
        assert_eq!(text("origin").as_deref(), Some(ORIGIN));
    }
});
