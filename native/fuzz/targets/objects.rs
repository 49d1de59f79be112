//! Every object that decodes encodes to the bytes that it came from. The first byte says which object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stillvault_core::objects::{
    Cancel, ClientCert, Decision, Enrol, Login, Payload, Receipt, Release, Request, Root, Roster, Secret, Use,
};

fn round<T: Payload>(payload: &[u8]) {
    if let Ok(object) = T::decode(payload) {
        assert_eq!(object.encode().as_deref(), Ok(payload));
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, payload)) = bytes.split_first() else { return };
    match which % 12 {
        0 => round::<Root>(payload),
        1 => round::<Roster>(payload),
        2 => round::<ClientCert>(payload),
        3 => round::<Secret>(payload),
        4 => round::<Request>(payload),
        5 => round::<Decision>(payload),
        6 => round::<Receipt>(payload),
        7 => round::<Use>(payload),
        8 => round::<Cancel>(payload),
        9 => round::<Enrol>(payload),
        10 => round::<Login>(payload),
        _ => round::<Release>(payload),
    }
});
