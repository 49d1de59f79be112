//! Root chains, rosters, certificates and decisions: one test for each rule of sections 4 and 8 that refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;

use common::{Authenticator, Ceremony, NOW, Org, device, ed, kem, key, oid, person, policy, quorum, root, roster, sign};
use stillvault_core::encoding::{MAX_WRAPPER, Oid, Value, decode, encode, media_type};
use stillvault_core::keys::{Alg, SigningKey};
use stillvault_core::objects::{
    ClientCert, Decision, Floor, Grade, Item, NAMES, Payload, Recovery, RecoveryKey, Role, Root, Roster, Tier, Verdict,
};
use stillvault_core::signed::Signed;
use stillvault_core::trust::{Trust, verify_roots};

fn code<T>(result: stillvault_core::error::Result<T>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(refusal) => refusal.code.as_str(),
    }
}

fn judge(org: &Org, roster: &[u8]) -> &'static str {
    code(Trust::verify(&org.pin, &org.roots, roster, NOW, None))
}

#[test]
fn the_roster_of_the_tests_is_good() {
    let org = Org::new();
    assert_eq!(judge(&org, &org.roster(|_| ())), "accepted");
}

/// What a test does to a good roster.
type Change<'a> = (&'a str, Box<dyn Fn(&mut Roster) + 'a>);

#[test]
fn each_rule_of_a_roster_refuses() {
    let org = Org::new();
    let recovery = |from: u16, ids: &[&str], threshold: u64| {
        let keys = ids.iter().zip(from..).map(|(id, n)| RecoveryKey { id: (*id).to_owned(), kem: kem(n) }).collect();
        Some(Recovery { threshold, keys })
    };
    let changes: Vec<Change> = vec![
        ("person twice", Box::new(|r| r.people[1].id = "ana".to_owned())),
        ("device twice over two people", Box::new(|r| r.people[1].devices[0].id = "ana-cli".to_owned())),
        ("policy twice", Box::new(|r| r.policies[1].id = "default".to_owned())),
        ("pattern twice over two policies", Box::new(|r| r.policies[1].matches.push("**".to_owned()))),
        ("pattern twice in one", Box::new(|r| r.policies[1].matches.push("prod/**".to_owned()))),
        ("kem twice", Box::new(|r| r.people[1].devices[0].kem = kem(100))),
        ("auth of another", Box::new(|r| r.people[1].devices[0].auth = r.people[0].devices[0].auth.clone())),
        ("deny of another", Box::new(|r| r.people[1].devices[0].deny = r.people[0].devices[0].deny.clone())),
        ("deny is its kem", Box::new(|r| r.people[0].devices[0].deny = Some(key(Alg::Es256, 100).key().clone()))),
        ("auth is somebody's kem", Box::new(|r| r.people[1].devices[0].auth = vec![key(Alg::Es256, 100).key().clone()])),
        (
            "auth twice in a device",
            Box::new(|r| {
                let again = r.people[0].devices[1].auth[0].clone();
                r.people[0].devices[1].auth.push(again);
            }),
        ),
        ("a person called recovery", Box::new(|r| r.people[2].id = "recovery".to_owned())),
        ("no auth", Box::new(|r| r.people[0].devices[1].auth.clear())),
        ("two auth at soft", Box::new(|r| r.people[0].devices[0].auth.push(ed(900).key().clone()))),
        ("two auth at device-bound", Box::new(|r| r.people[1].devices[0].auth.push(ed(900).key().clone()))),
        ("deny is ed25519", Box::new(|r| r.people[0].devices[0].deny = Some(ed(900).key().clone()))),
        ("floors out of order", Box::new(|r| r.floors = vec![floor("b"), floor("a")])),
        ("floor twice", Box::new(|r| r.floors = vec![floor("a"), floor("a")])),
        ("window", Box::new(|r| r.policies[0].window = 28_801)),
        ("ttl", Box::new(|r| r.policies[0].ttl = 3_601)),
        ("threshold 0", Box::new(|r| r.policies[0].threshold = 0)),
        ("threshold above people", Box::new(|r| r.policies[1].threshold = 3)),
        ("no people", Box::new(|r| r.policies[0].people.clear())),
        ("a person twice in a policy", Box::new(|r| r.policies[1].people[1] = "ana".to_owned())),
        ("a stranger in a policy", Box::new(|r| r.policies[1].people[1] = "eve".to_owned())),
        ("no approver in a policy", Box::new(|r| r.policies[1].people[1] = "dan".to_owned())),
        ("128 people", Box::new(many_people)),
        ("recovery of one", Box::new(|r| r.policies[0].recovery = recovery(500, &["a", "b"], 1))),
        ("recovery above keys", Box::new(|r| r.policies[0].recovery = recovery(500, &["a", "b"], 3))),
        ("recovery id twice", Box::new(|r| r.policies[0].recovery = recovery(500, &["a", "a"], 2))),
        ("recovery key is a kem", Box::new(|r| r.policies[0].recovery = recovery(100, &["a", "b"], 2))),
        (
            "recovery key under two ids",
            Box::new(|r| {
                r.policies[0].recovery = recovery(500, &["a", "b"], 2);
                r.policies[1].recovery = recovery(500, &["a", "c"], 2);
            }),
        ),
        (
            "recovery id with two keys",
            Box::new(|r| {
                r.policies[0].recovery = recovery(500, &["a", "b"], 2);
                r.policies[1].recovery = recovery(510, &["a", "c"], 2);
            }),
        ),
    ];
    for (name, change) in changes {
        assert_eq!(judge(&org, &org.roster(change)), "roster-invalid", "{name}");
    }
    // The same recovery group may stand in every policy, and the limits themselves are good.
    let good = org.roster(|r| {
        r.policies[0].recovery = recovery(500, &["a", "b"], 2);
        r.policies[1].recovery = recovery(500, &["a", "b"], 2);
        (r.policies[0].window, r.policies[0].ttl) = (28_800, 3_600);
        r.people[0].devices[1].auth.push(ed(900).key().clone());
        r.floors = vec![floor("a"), floor("a-b"), floor("a/b")];
    });
    assert_eq!(judge(&org, &good), "accepted");
}

fn floor(path: &str) -> Floor {
    Floor { path: path.to_owned(), version: 1, revision: 0 }
}

fn many_people(roster: &mut Roster) {
    let ids: Vec<String> = (0..128).map(|n| format!("p{n}")).collect();
    for (id, number) in ids.iter().zip((1000..).step_by(3)) {
        roster.people.push(person(id, &[Role::Approver], vec![device(&format!("{id}-cli"), Tier::Soft, number)]));
    }
    let people: Vec<&str> = ids.iter().map(String::as_str).collect();
    roster.policies.push(policy("many", "many/**", &people, 1));
}

// A2: people come from the one signed roster.
#[test]
fn a_roster_is_of_this_organisation_root_admin_and_time() {
    let org = Org::new();
    assert_eq!(judge(&org, &org.roster(|r| r.org = [1; 32])), "org");
    assert_eq!(judge(&org, &org.roster(|r| r.root = [1; 32])), "roster-root");
    assert_eq!(judge(&org, &org.roster(|r| r.expires = NOW)), "expired");
    assert_eq!(judge(&org, &org.roster(|r| r.issued = NOW + 301)), "future");
    assert_eq!(judge(&org, &org.roster(|r| r.issued = NOW + 300)), "accepted");
    assert_eq!(judge(&org, &sign(&roster(org.pin, org.pin, 5), &[&ed(1)])), "roster-threshold");
    assert_eq!(judge(&org, &org.roots[0]), "type");
}

// A12: a roster from before a revocation.
#[test]
fn never_back_and_never_aside() {
    let org = Org::new();
    let seen_oid: Oid = [3; 32];
    let judge = |roster: &[u8], seen| code(Trust::verify(&org.pin, &org.roots, roster, NOW, Some(seen)));
    let five = org.roster(|r| r.previous = Some(seen_oid));
    let oid = Signed::parse(Roster::NAME, &five).unwrap().oid();
    assert_eq!(judge(&five, ((1, 5), oid)), "accepted");
    assert_eq!(judge(&five, ((1, 5), seen_oid)), "fork");
    assert_eq!(judge(&five, ((1, 6), oid)), "rollback");
    assert_eq!(judge(&five, ((2, 1), oid)), "rollback");
    assert_eq!(judge(&five, ((1, 4), seen_oid)), "accepted");
    assert_eq!(judge(&five, ((1, 4), [4; 32])), "fork");
    assert_eq!(judge(&five, ((1, 3), [4; 32])), "accepted");
    assert_eq!(judge(&org.roster(|r| r.previous = None), ((1, 4), seen_oid)), "fork");
    assert_eq!(judge(&five, ((0, u64::MAX), seen_oid)), "accepted");
}

#[test]
fn a_chain_is_signed_by_both_neighbours() {
    let (a, b, c, admin) = (ed(1), ed(5), ed(6), ed(2));
    let first = root(1, None, quorum(&[&a], 1), quorum(&[&admin], 1));
    let pin = oid(&first);
    let second = |change: &dyn Fn(&mut Root)| {
        let mut next = root(2, Some(pin), quorum(&[&b, &c], 2), quorum(&[&admin], 1));
        change(&mut next);
        next
    };
    let judge = |roots: &[Vec<u8>]| code(verify_roots(&pin, roots));
    let one = sign(&first, &[&a]);
    let good = second(&|_| ());
    assert_eq!(judge(&[one.clone(), sign(&good, &[&a, &b, &c])]), "accepted");
    assert_eq!(judge(&[one.clone(), sign(&good, &[&a, &b])]), "root-threshold");
    assert_eq!(judge(&[one.clone(), sign(&good, &[&b, &c])]), "root-threshold");
    assert_eq!(judge(&[one.clone(), sign(&second(&|r| r.version = 3), &[&a, &b, &c])]), "root-chain");
    assert_eq!(judge(&[one.clone(), sign(&second(&|r| r.previous = None), &[&a, &b, &c])]), "root-chain");
    assert_eq!(judge(&[one.clone(), sign(&second(&|r| r.previous = Some([1; 32])), &[&a, &b, &c])]), "root-chain");
    assert_eq!(judge(&[one.clone(), one.clone()]), "root-chain");
    assert_eq!(judge(&[sign(&good, &[&a, &b, &c])]), "pin");
    assert_eq!(judge(&[]), "root-chain");
    for bad in [
        second(&|r| r.root.threshold = 0),
        second(&|r| r.admin.threshold = 0),
        second(&|r| r.admin.threshold = 2),
        // One key listed twice is one key.
        second(&|r| r.root = quorum(&[&a, &a], 2)),
    ] {
        assert_eq!(judge(&[one.clone(), sign(&bad, &[&a, &b, &c])]), "root-invalid");
    }
    // An old root need not be in date; the newest must.
    let old = root(1, None, quorum(&[&a], 1), quorum(&[&admin], 1));
    let old = Root { expires: NOW - 1, ..old };
    let pin = oid(&old);
    let next = root(2, Some(pin), quorum(&[&a], 1), quorum(&[&admin], 1));
    let roots = [sign(&old, &[&a]), sign(&next, &[&a])];
    let under = |root: Oid| sign(&roster(pin, root, 1), &[&admin]);
    assert_eq!(code(Trust::verify(&pin, &roots, &under(oid(&next)), NOW, None)), "accepted");
    assert_eq!(code(Trust::verify(&pin, &roots, &under(pin), NOW, None)), "roster-root");
    assert_eq!(code(Trust::verify(&pin, &roots[..1], &under(pin), NOW, None)), "expired");
}

fn cert(org: &Org, change: impl FnOnce(&mut ClientCert)) -> Vec<u8> {
    let mut cert = ClientCert {
        org: org.pin,
        subject: "host/db-1".to_owned(),
        host: "db-1".to_owned(),
        key: ed(50).key().clone(),
        scopes: vec!["prod/**".to_owned()],
        grade: Grade::System,
        issued: NOW,
        expires: NOW + 1,
    };
    change(&mut cert);
    sign(&cert, &[&org.admin])
}

#[test]
fn a_certificate_is_signed_unrevoked_and_in_date() {
    let org = Org::new();
    let trust = Trust::verify(&org.pin, &org.roots, &org.roster(|_| ()), NOW, None).unwrap();
    let good = cert(&org, |_| ());
    let judge = |cert: &[u8]| code(trust.verify_cert(cert, NOW));
    assert_eq!(judge(&good), "accepted");
    assert_eq!(judge(&cert(&org, |c| c.expires = NOW)), "expired");
    assert_eq!(judge(&cert(&org, |c| c.issued = NOW + 301)), "future");
    assert_eq!(judge(&cert(&org, |c| c.org = [0; 32])), "org");
    let verified = trust.verify_cert(&good, NOW).unwrap();
    let own = sign(verified.object(), &[&ed(50)]);
    assert_eq!(judge(&own), "cert-threshold");
    let revoking = org.roster(|r| r.revoked.push(*verified.oid()));
    let trust = Trust::verify(&org.pin, &org.roots, &revoking, NOW, None).unwrap();
    assert_eq!(code(trust.verify_cert(&good, NOW)), "revoked");
    // A certificate that was verified before the revocation is no way around it.
    assert_eq!(code(trust.verify_by_client("login", &good, &verified, NOW)), "revoked");
}

fn decision(org: &Org, change: impl FnOnce(&mut Decision)) -> Decision {
    let item = |n: u8| Item {
        request: [n; 32],
        secret: [n; 32],
        path: "prod/db".to_owned(),
        version: 1,
        revision: 0,
        index: 1,
        window: 0,
        uses: 0,
    };
    let mut decision = Decision {
        org: org.pin,
        verdict: Verdict::Approve,
        person: "ana".to_owned(),
        device: "ana-cli".to_owned(),
        issued: NOW,
        expires: NOW + 10,
        roster: (1, 5),
        log_head: None,
        note: None,
        items: vec![item(1), item(2)],
    };
    change(&mut decision);
    decision
}

// The deny key stops things and releases nothing.
#[test]
fn a_decision_is_signed_by_an_approvers_device() {
    let org = Org::new();
    let trust = Trust::verify(&org.pin, &org.roots, &org.roster(|_| ()), NOW, None).unwrap();
    let (auth, deny) = (ed(101), key(Alg::Es256, 102));
    let judge = |d: &Decision, key: &SigningKey| code(trust.verify_decision(&sign(d, &[key]), NOW));
    assert_eq!(judge(&decision(&org, |_| ()), &auth), "accepted");
    assert_eq!(judge(&decision(&org, |_| ()), &deny), "signature");
    for verdict in [Verdict::Deny, Verdict::Freeze] {
        let word = decision(&org, |d| d.verdict = verdict);
        assert_eq!(judge(&word, &auth), "accepted");
        assert_eq!(judge(&word, &deny), "accepted");
        assert_eq!(judge(&word, &key(Alg::Es256, 112)), "signature");
    }
    assert_eq!(judge(&decision(&org, |d| d.device = "ana-phone".to_owned()), &auth), "signature");
    assert_eq!(judge(&decision(&org, |d| d.device = "ben-token".to_owned()), &auth), "device");
    assert_eq!(judge(&decision(&org, |d| d.person = "eve".to_owned()), &auth), "device");
    assert_eq!(judge(&decision(&org, |d| d.org = [0; 32]), &auth), "org");
    assert_eq!(judge(&decision(&org, |d| d.expires = NOW), &auth), "expired");
    assert_eq!(judge(&decision(&org, |d| d.issued = NOW + 301), &auth), "future");
    assert_eq!(judge(&decision(&org, |d| d.roster = (1, 6)), &auth), "stale-roster");
    assert_eq!(judge(&decision(&org, |d| d.roster = (2, 0)), &auth), "stale-roster");
    assert_eq!(judge(&decision(&org, |d| d.items[1].request = [1; 32]), &auth), "item");
    let sealer = decision(&org, |d| (d.person, d.device) = ("dan".to_owned(), "dan-cli".to_owned()));
    assert_eq!(judge(&sealer, &ed(131)), "not-approver");
    let late = org.roster(|r| r.people[0].devices[0].expires = NOW);
    let trust = Trust::verify(&org.pin, &org.roots, &late, NOW, None).unwrap();
    assert_eq!(code(trust.verify_decision(&sign(&decision(&org, |_| ()), &[&auth]), NOW)), "device");
    let two = sign(&decision(&org, |_| ()), &[&auth, &deny]);
    assert_eq!(code(trust.verify_decision(&two, NOW)), "device");
}

#[test]
fn exactly_one_signature_where_no_threshold_counts() {
    let org = Org::new();
    let payload = decision(&org, |_| ()).encode().unwrap();
    let mut signed = Signed::sign(Decision::NAME, &payload, &ed(101)).unwrap();
    assert_eq!(code(signed.add(&ed(101))), "signature");
    signed.add(&ed(102)).unwrap();
    assert_eq!(code(signed.verify([ed(101).key(), ed(102).key()], &[])), "signature");
    let quorum = [ed(101).key().clone(), ed(101).key().clone(), ed(103).key().clone()];
    assert_eq!(signed.count(&quorum, &[]), 1);
}

/// An assertion over a decision, bent by `change`.
fn assertion(
    change: impl FnOnce(&mut Ceremony, &Oid),
    bend: impl FnOnce(&mut stillvault_core::signed::Signature),
) -> &'static str {
    let passkey = Authenticator::new(7);
    let payload = decision(&Org::new(), |_| ()).encode().unwrap();
    let oid = Decision::oid_of(&payload);
    let mut ceremony = Ceremony::of(&oid);
    change(&mut ceremony, &oid);
    let mut signature = passkey.assert(&ceremony);
    bend(&mut signature);
    let mut wrapper = Signed::unsigned(Decision::NAME, &payload).unwrap();
    wrapper.attach(signature);
    code(wrapper.verify([&passkey.key], &[common::ORIGIN.to_owned()]))
}

#[test]
fn every_check_of_an_assertion_refuses() {
    let same = |_: &mut _| ();
    let judge = |change: &dyn Fn(&mut Ceremony)| assertion(|c, _| change(c), same);
    assert_eq!(judge(&|_| ()), "accepted");
    let replaced = |from: &'static str, to: &'static str| judge(&|c| c.client_data = c.client_data.replacen(from, to, 1));
    assert_eq!(replaced("webauthn.get", "webauthn.create"), "client-data");
    assert_eq!(replaced(r#""challenge":""#, r#""challenge":"A"#), "challenge");
    assert_eq!(replaced(r#"","origin"#, r#"=","origin"#), "challenge");
    assert_eq!(replaced("https://", "http://"), "origin");
    assert_eq!(replaced("example.com\"", "example.com/\""), "origin");
    assert_eq!(replaced("vault.", "Vault."), "origin");
    assert_eq!(replaced("false", "true"), "cross-origin");
    assert_eq!(replaced("false", "null"), "cross-origin");
    assert_eq!(replaced("false", "\"false\""), "cross-origin");
    assert_eq!(replaced(r#","crossOrigin":false"#, ""), "accepted");
    assert_eq!(replaced("{", r#"{"other_keys_can_be_added_here":{"A b":[1.5,null,-1]},"#), "accepted");
    assert_eq!(replaced("{", r#"{"type":"webauthn.get","#), "client-data");
    assert_eq!(replaced("}", "} {}"), "client-data");
    assert_eq!(replaced("{", "\u{feff}{"), "client-data");
    assert_eq!(judge(&|c| c.rp_id = "example.com".to_owned()), "rp-id");
    for (flags, expected) in [
        (0x00, "flags"),
        (0x01, "flags"),
        (0x04, "flags"),
        (0x05, "accepted"),
        (0x0d, "backup"),
        (0x15, "backup"),
        (0x1d, "backup"),
        (0x27, "accepted"),
        (0x85, "accepted"),
    ] {
        assert_eq!(judge(&|c| c.flags = flags), expected, "{flags:#x}");
    }
    assert_eq!(judge(&|c| c.tail = vec![0]), "client-data");
    assert_eq!(judge(&|c| (c.flags, c.tail) = (0x85, vec![0xa0])), "accepted");
}

#[test]
fn the_signature_of_an_assertion_is_strict_der() {
    let bent = |bend: &dyn Fn(&mut Vec<u8>)| assertion(|_, _| (), |s| bend(&mut s.sig));
    assert_eq!(bent(&|sig| sig.push(0)), "signature");
    assert_eq!(bent(&|sig| sig[0] = 0x31), "signature");
    // A padded integer: the same number, other bytes.
    assert_eq!(
        bent(&|sig| {
            sig[1] += 1;
            sig[3] += 1;
            sig.insert(4, 0);
        }),
        "signature"
    );
    // The length in two bytes.
    assert_eq!(
        bent(&|sig| {
            let length = sig[1];
            sig[1] = 0x81;
            sig.insert(2, length);
        }),
        "signature"
    );
    assert_eq!(bent(&|sig| sig.clear()), "signature");
    let parts = |bend: &dyn Fn(&mut stillvault_core::signed::Signature)| assertion(|_, _| (), |s| bend(s));
    assert_eq!(parts(&|s| s.auth_data = None), "field");
    assert_eq!(parts(&|s| s.client_data = None), "field");
    assert_eq!(parts(&|s| s.key[0] ^= 1), "signature");
    assert_eq!(parts(&|s| s.alg = "es256".to_owned()), "alg");
    assert_eq!(parts(&|s| s.auth_data = Some(vec![0; 36])), "signature");
}

/// The fields of a wrapper, to be bent.
fn wrapper_fields(wrapper: &[u8]) -> std::collections::BTreeMap<String, Value> {
    let Value::Object(fields) = decode(wrapper, MAX_WRAPPER).unwrap() else { unreachable!() };
    fields
}

// A23: a message of one type replayed as another.
#[test]
fn no_type_passes_for_another() {
    let payload = decision(&Org::new(), |_| ()).encode().unwrap();
    let wrapper = Signed::sign(Decision::NAME, &payload, &ed(101)).unwrap().to_bytes().unwrap();
    for name in NAMES.into_iter().filter(|name| *name != Decision::NAME) {
        assert_eq!(code(Signed::parse(name, &wrapper)), "type", "{name}");
        let mut fields = wrapper_fields(&wrapper);
        fields.insert("type".to_owned(), Value::Text(media_type(name)));
        let relabelled = encode(&Value::Object(fields)).unwrap();
        let parsed = Signed::parse(name, &relabelled).unwrap();
        assert_eq!(code(parsed.verify([ed(101).key()], &[])), "signature", "{name}");
    }
    for other in ["application/vnd.stillvault.decision.v2+json", "decision", ""] {
        let mut fields = wrapper_fields(&wrapper);
        fields.insert("type".to_owned(), Value::text(other));
        assert_eq!(code(Signed::parse("decision", &encode(&Value::Object(fields)).unwrap())), "type", "{other}");
    }
}

// A10: a signature over one thing, the screen shows another.
#[test]
fn one_parse_of_the_verified_bytes() {
    let payload = decision(&Org::new(), |_| ()).encode().unwrap();
    let wrapper = String::from_utf8(Signed::sign(Decision::NAME, &payload, &ed(101)).unwrap().to_bytes().unwrap()).unwrap();
    let judge = |text: String| code(Signed::parse(Decision::NAME, text.as_bytes()));
    assert_eq!(judge(wrapper.clone()), "accepted");
    assert_eq!(judge(wrapper.replacen('{', r#"{"payload":"e30","#, 1)), "canonical");
    assert_eq!(judge(wrapper.replacen(r#","signatures""#, r#","shown":{},"signatures""#, 1)), "field");
    assert_eq!(judge(wrapper.replacen(r#","type""#, r#","signed_payload":"e30","type""#, 1)), "field");
    assert_eq!(judge(wrapper.replacen(r#"{"alg""#, r#"{"a":1,"alg""#, 1)), "field");
    assert_eq!(judge(wrapper.replacen(r#","type""#, r#", "type""#, 1)), "canonical");
}
