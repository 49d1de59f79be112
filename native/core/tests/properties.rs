//! Properties that hold for every input: nothing panics, what is decoded encodes to the same bytes, no byte of a signed object can
//! be changed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{NOW, ed, key};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use stillvault_core::encoding::{MAX_INT, MAX_WRAPPER, Value, decode, decode_any, encode};
use stillvault_core::json::parse_foreign;
use stillvault_core::keys::{Alg, SigningKey};
use stillvault_core::objects::{
    self, Claimed, Decision, Grade, Item, Link, Login, NAMES, Observed, Payload, Purpose, Release, Request, SealedEntry, Verdict,
};
use stillvault_core::signed::Signed;
use stillvault_core::text::{b64decode, b64encode, check_visible, visible};
use stillvault_core::{path, trust};

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (0..=MAX_INT).prop_map(Value::Int),
        any::<Vec<u8>>().prop_map(|raw| Value::Text(visible(&raw))),
        any::<Vec<u8>>().prop_map(|raw| Value::bytes(&raw)),
    ]
}

fn any_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            btree_map("[a-z][a-z0-9_]{0,5}", inner, 0..6).prop_map(Value::Object),
        ]
    })
}

/// Text that looks like JSON often enough to reach deep into the parser.
fn near_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just("\""),
        Just("\\"),
        Just("\\u"),
        Just("d83d"),
        Just("\\ude00"),
        Just("null"),
        Just("true"),
        Just("-"),
        Just("0"),
        Just("9007199254740992"),
        Just("."),
        Just("e"),
        Just("a"),
        Just("\"a\":"),
        Just(" "),
        Just("\n"),
        Just("é"),
        Just("\u{202e}"),
        Just("\u{0}"),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

prop_compose! {
    fn text()(raw in any::<Vec<u8>>()) -> String { visible(&raw) }
}

prop_compose! {
    fn request()(
        a in any::<[u8; 32]>(), id in any::<[u8; 16]>(), at in "[a-z0-9][a-z0-9._-]{0,8}(/[a-z0-9]{1,5}){0,3}",
        numbers in proptest::array::uniform7(0..=MAX_INT), words in proptest::array::uniform4(text()),
        head in proptest::option::of((0..=MAX_INT, any::<[u8; 32]>())), chain in 0..=8_usize, flag in any::<bool>(),
        argv in proptest::option::of(vec(text(), 0..4)), ephemeral in vec(any::<u8>(), 0..70),
    ) -> Request {
        let [host, user, exe, reason] = words;
        let grade = if flag { Grade::System } else { Grade::User };
        let chain = vec![Link { exe: exe.clone(), exe_sha256: a }; chain];
        Request {
            org: a, id, client: a, path: at, minimum: (numbers[0], numbers[1]), suite: user.clone(), ephemeral,
            issued: numbers[2], expires: numbers[3], window: numbers[4], uses: numbers[5], roster: (numbers[5], numbers[6]),
            log_head: head, purpose: if flag { Purpose::Use } else { Purpose::Reseal },
            observed: Observed {
                host, uid: numbers[0], user, exe, exe_sha256: a, chain, unit: flag.then(|| reason.clone()),
                container: (!flag).then(|| reason.clone()), grade,
            },
            claimed: Claimed { argv, reason: flag.then_some(reason) },
        }
    }
}

prop_compose! {
    fn decision()(
        hash in any::<[u8; 32]>(), person in "[a-z0-9][a-z0-9._-]{0,63}", numbers in proptest::array::uniform5(0..=MAX_INT),
        count in 0..4_usize, note in proptest::option::of(text()), verdict in 0..3_usize,
    ) -> Decision {
        let item = Item {
            request: hash, secret: hash, path: "a/b".to_owned(), version: numbers[0], revision: numbers[1], index: numbers[2],
            window: numbers[3], uses: numbers[4],
        };
        Decision {
            org: hash, verdict: [Verdict::Approve, Verdict::Deny, Verdict::Freeze][verdict], device: person.clone(), person,
            issued: numbers[0], expires: numbers[1], roster: (numbers[2], numbers[3]), log_head: None, note,
            items: vec![item; count],
        }
    }
}

fn login(origin: &str) -> Login {
    Login { org: [1; 32], origin: origin.to_owned(), nonce: vec![7; 16], issued: NOW }
}

/// Everything in the crate that takes bytes from outside.
fn feed(bytes: &[u8]) {
    let _ = decode(bytes, MAX_WRAPPER);
    let _ = decode_any(bytes, MAX_WRAPPER);
    let _ = parse_foreign(bytes);
    let _ = Signed::parse_any(bytes);
    let _ = Release::decode(bytes);
    let _ = trust::verify_roots(&[0; 32], &[bytes]);
    for name in NAMES {
        let _ = Signed::parse(name, bytes);
        let _ = objects::check(name, bytes);
    }
    if let Ok(text) = core::str::from_utf8(bytes) {
        let _ = b64decode(text);
        let _ = path::check_path(text);
        let _ = path::check_pattern(text);
    }
    check_visible(&visible(bytes)).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        feed(&bytes);
    }

    #[test]
    fn nothing_like_json_panics(text in near_json()) {
        feed(text.as_bytes());
    }

    #[test]
    fn what_is_encoded_decodes_to_itself(value in any_value()) {
        let bytes = encode(&value).unwrap();
        prop_assert_eq!(decode_any(&bytes, MAX_WRAPPER).unwrap(), value);
    }

    #[test]
    fn what_is_accepted_has_one_encoding(text in near_json()) {
        if let Ok(value) = decode_any(text.as_bytes(), MAX_WRAPPER) {
            prop_assert_eq!(encode(&value).unwrap(), text.into_bytes());
        }
    }

    #[test]
    fn base64_has_one_spelling(text in "[A-Za-z0-9_-]{0,12}") {
        if let Ok(raw) = b64decode(&text) {
            prop_assert_eq!(b64encode(&raw), text);
        }
    }

    #[test]
    fn requests_survive(request in request()) {
        let bytes = request.encode().unwrap();
        prop_assert_eq!(Request::decode(&bytes).unwrap(), request);
    }

    #[test]
    fn decisions_and_releases_survive(decision in decision(), sealed in vec(any::<[u8; 32]>(), 0..3)) {
        let bytes = decision.encode().unwrap();
        prop_assert_eq!(&Decision::decode(&bytes).unwrap(), &decision);
        let signed = Signed::sign(Decision::NAME, &bytes, &ed(1)).unwrap();
        let entry = |request| SealedEntry { request, enc: vec![4; 65], ct: vec![5; 48] };
        let release = Release { decision: signed, sealed: sealed.into_iter().map(entry).collect() };
        prop_assert_eq!(Release::decode(&release.encode().unwrap()).unwrap(), release);
    }

    #[test]
    fn an_unknown_field_anywhere_is_refused(request in request(), place in 0..4_usize) {
        let Value::Object(mut fields) = request.to_value() else { unreachable!() };
        let inside = ["observed", "claimed", "observed"].get(place);
        let target = match inside.and_then(|name| fields.get_mut(*name)) {
            Some(Value::Object(inner)) => inner,
            _ => &mut fields,
        };
        target.insert("zz".to_owned(), Value::Int(1));
        let bytes = encode(&Value::Object(fields)).unwrap();
        prop_assert_eq!(Request::decode(&bytes).unwrap_err().code.as_str(), "field");
    }

    #[test]
    fn no_byte_of_a_signed_object_can_change(alg in 0..2_usize, at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let key: SigningKey = key([Alg::Ed25519, Alg::Es256][alg], 3);
        let payload = login("https://vault.example.com").encode().unwrap();
        let good = Signed::sign(Login::NAME, &payload, &key).unwrap().to_bytes().unwrap();
        let open = |bytes: &[u8]| Signed::parse(Login::NAME, bytes)?.open::<Login>([key.key()], &[]);
        prop_assert!(open(&good).is_ok());
        let mut bad = good.clone();
        bad[at.index(good.len())] ^= flip;
        prop_assert!(open(&bad).is_err());
    }

    #[test]
    fn no_part_of_a_signed_object_can_go(cut in any::<prop::sample::Index>(), length in 1..40_usize) {
        let payload = login("https://vault.example.com").encode().unwrap();
        let good = Signed::sign(Login::NAME, &payload, &ed(3)).unwrap().to_bytes().unwrap();
        let start = cut.index(good.len());
        let mut bad = good.clone();
        bad.drain(start..good.len().min(start + length));
        let opened = Signed::parse(Login::NAME, &bad).and_then(|s| s.open::<Login>([ed(3).key()], &[]));
        prop_assert!(opened.is_err());
    }
}
