//! Each check of sections 5 to 8 by itself: one thing is wrong, and the code of the check that says so is the one of the protocol.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

mod common;
mod world;

use common::{NOW, device, ed, key, person, policy, sign};
use stillvault_core::approver::{Own, Prompt, check_prompt, verify_request};
use stillvault_core::client::verify_denial;
use stillvault_core::error::{Code, Result};
use stillvault_core::keys::Alg;
use stillvault_core::objects::{
    ClientCert, Decision, Floor, Grade, Hold, HoldOn, Purpose, Request, Role, Roster, Secret, Tier, Verdict,
};
use stillvault_core::release::{join, release, split};
use stillvault_core::seal::Sealed;
use stillvault_core::secret::verify_new_secret;
use stillvault_core::signed::Signed;
use stillvault_core::trust::Trust;
use world::{PATH, World, kem_key, number, policy_of, recovery, system};

/// How an object is bent, and who says so.
type Row<T> = (fn(&mut T), Code);

fn code<T>(result: Result<T>) -> Option<Code> {
    result.err().map(|refusal| refusal.code)
}

/// The trust of the same organisation under another roster.
fn under(world: &World, change: impl FnOnce(&mut Roster)) -> Trust {
    let mut roster: Roster = world.trust.roster().object().clone();
    roster.version += 1;
    roster.previous = Some(*world.trust.oid());
    change(&mut roster);
    let seen = Some((world.trust.pair(), *world.trust.oid()));
    Trust::verify(&world.org.pin, &world.org.roots, &sign(&roster, &[&world.org.admin]), NOW, seen).unwrap()
}

/// A secret bent and signed again by its sealer.
fn bent(sealed: &Sealed, change: impl FnOnce(&mut Secret)) -> Vec<u8> {
    let mut secret: Secret = Signed::parse("secret", &sealed.secret).unwrap().peek().unwrap();
    change(&mut secret);
    sign(&secret, &[&ed(60_001)])
}

#[test]
fn what_is_wrong_with_a_request() {
    let world = World::new(policy_of(2, 1), 1);
    let sealed = world.seal(b"x").unwrap();
    let refused = |change: fn(&mut Request)| code(world.prompt((0, 0), &world.request(change), &sealed));
    assert_eq!(refused(|_| ()), None);
    let table: [Row<Request>; 14] = [
        (|r| r.org = [1; 32], Code::Org),
        (|r| r.roster = (1, 6), Code::StaleRoster),
        (|r| r.client = [1; 32], Code::Cert),
        (|r| r.path = "test/db".into(), Code::Scope), // C2
        (|r| r.path = "prod".into(), Code::Scope),
        (|r| r.purpose = Purpose::Reseal, Code::Purpose),
        (|r| r.issued = NOW + 301, Code::Clock),
        (|r| r.expires = NOW, Code::Expired),
        (|r| (r.issued, r.expires) = (NOW - 201, NOW + 100), Code::Ttl), // C14
        (|r| (r.issued, r.expires) = (NOW + 10, NOW + 10), Code::Ttl),
        (|r| r.suite = "mlkem768p256".into(), Code::Suite), // A17
        (|r| r.ephemeral[64] ^= 1, Code::Ephemeral),
        (|r| r.ephemeral.truncate(33), Code::Ephemeral),
        (|r| r.minimum = (3, 1), Code::Version),
    ];
    for (at, (change, wanted)) in table.into_iter().enumerate() {
        assert_eq!(refused(change), Some(wanted), "row {at}");
    }
    // Signed by nobody who is listed. A3
    let other = sign(&Signed::parse("request", &world.request(|_| ())).unwrap().peek::<Request>().unwrap(), &[&ed(5)]);
    assert_eq!(code(world.prompt((0, 0), &other, &sealed)), Some(Code::Signature));
}

#[test]
fn what_is_wrong_with_the_client() {
    let world = World::new(policy_of(1, 1), 1);
    let request = world.request(|_| ());
    let refused = |trust: &Trust, now| {
        // The relay verified the certificate once and keeps it: what has changed since counts all the same. N9
        let cert = world.trust.verify_cert(&world.cert, NOW).unwrap();
        code(verify_request(trust, &request, &cert, now))
    };
    assert_eq!(refused(&world.trust, NOW), None);
    let oid = Signed::parse("client-cert", &world.cert).unwrap().oid();
    assert_eq!(refused(&under(&world, |r| r.revoked = vec![oid]), NOW), Some(Code::Revoked));
    for on in [HoldOn::Subject("host/db-1".into()), HoldOn::Match("prod/**".into()), HoldOn::Match(PATH.into())] {
        let held = under(&world, |r| r.holds = vec![Hold { on: on.clone(), until: NOW + 1 }]);
        assert_eq!(refused(&held, NOW), Some(Code::Hold));
        assert_eq!(refused(&held, NOW + 1), None);
    }
    let other = under(&world, |r| r.holds = vec![Hold { on: HoldOn::Subject("host/db-2".into()), until: NOW + 1 }]);
    assert_eq!(refused(&other, NOW), None);
    // A roster that has run out since it was verified.
    assert_eq!(refused(&world.trust, world.trust.expires()), Some(Code::Expired));
    // A user's daemon says that it is the system's.
    let mut cert: ClientCert = Signed::parse("client-cert", &world.cert).unwrap().peek().unwrap();
    cert.grade = Grade::User;
    let cert = world.trust.verify_cert(&sign(&cert, &[&world.org.admin]), NOW).unwrap();
    let request = world.request(|r| r.client = *cert.oid());
    assert_eq!(code(verify_request(&world.trust, &request, &cert, NOW)), Some(Code::Grade));
}

#[test]
fn what_is_wrong_with_a_secret() {
    let mut group = policy_of(2, 2);
    group.recovery = Some(recovery(2, 3));
    let world = World::new(group, 2);
    let sealed = world.seal(b"x").unwrap();
    let request = world.request(|_| ());
    let refused = |change: fn(&mut Secret)| {
        let own = Own { person: "p0", device: "p0-d0", decided: false, remembered: Some((3, 0)) };
        code(check_prompt(&world.trust, own, &world.cert, &request, &bent(&sealed, change), NOW))
    };
    assert_eq!(refused(|_| ()), None);
    let table: [Row<Secret>; 23] = [
        (|s| s.core.by.person = "p0".into(), Code::Sealer), // A16: an approver is no sealer
        (|s| s.core.by.device = "sue-old".into(), Code::Sealer),
        (|s| s.core.sealed = NOW - 1001, Code::Sealer),
        (|s| s.core.sealed = NOW + 301, Code::Future),
        (|s| s.core.org = [1; 32], Code::Org),
        (|s| s.core.path = "prod/db/other".into(), Code::PathMismatch), // A4
        (|s| s.core.version = 2, Code::Version),                        // A11
        (|s| s.core.policy.threshold = 1, Code::Threshold),             // A13
        (|s| s.core.policy.threshold = 3, Code::Recipients),
        (|s| s.core.policy.people[1] = "p0".into(), Code::Recipients),
        (|s| s.core.policy.people.swap(0, 1), Code::Recipients),
        (|s| s.core.recipients.swap(0, 1), Code::Recipients),
        (|s| s.core.recipients[1] = s.core.recipients[0].clone(), Code::Recipients),
        (|s| s.core.recipients[0].index = 0, Code::Recipients),
        (|s| s.core.recipients[0].person = "recovery".into(), Code::Recipients),
        (|s| s.core.recipients[4].person = "p1".into(), Code::Recipients), // A21
        (|s| s.core.recipients[4].device = "safe-9".into(), Code::Recipients),
        (|s| drop(s.core.recipients.pop()), Code::Recipients),
        (|s| drop(s.stanzas.pop()), Code::Recipients),
        (|s| s.stanzas.push(s.stanzas[0].clone()), Code::Recipients),
        (|s| s.core.share_commitments.truncate(4), Code::Recipients), // A24
        (|s| s.core.share_commitments.swap(0, 1), Code::Recipients),
        (|s| s.core.policy.recovery.as_mut().unwrap().threshold = 1, Code::Recipients),
    ];
    for (at, (change, wanted)) in table.into_iter().enumerate() {
        assert_eq!(refused(change), Some(wanted), "row {at}");
    }
    // Signed by the deny key of the sealer's device, which signs deny and freeze and nothing else.
    let secret: Secret = Signed::parse("secret", &sealed.secret).unwrap().peek().unwrap();
    let own = Own { person: "p0", device: "p0-d0", decided: false, remembered: None };
    let by_deny = sign(&secret, &[&key(Alg::Es256, 60_002)]);
    assert_eq!(code(check_prompt(&world.trust, own, &world.cert, &request, &by_deny, NOW)), Some(Code::Signature));
    // The floor of that exact path, and of no other.
    let floor = |path: &str| under(&world, |r| r.floors = vec![Floor { path: path.into(), version: 3, revision: 1 }]);
    let at = |trust: &Trust| code(check_prompt(trust, own, &world.cert, &request, &sealed.secret, NOW));
    assert_eq!(at(&floor(PATH)), Some(Code::Version));
    assert_eq!(at(&floor("prod/db")), None);
    // Remembered as newer; decided here before. A7
    let newer = Own { remembered: Some((3, 1)), ..own };
    assert_eq!(code(check_prompt(&world.trust, newer, &world.cert, &request, &sealed.secret, NOW)), Some(Code::Version));
    let again = Own { decided: true, ..own };
    assert_eq!(code(check_prompt(&world.trust, again, &world.cert, &request, &sealed.secret, NOW)), Some(Code::Replay));
}

#[test]
fn who_may_be_asked() {
    let world = World::new(policy_of(2, 1), 1);
    let sealed = world.seal(b"x").unwrap();
    let request = world.request(|_| ());
    let own = Own { person: "p0", device: "p0-d0", decided: false, remembered: None };
    let at = |trust: &Trust, own| code(check_prompt(trust, own, &world.cert, &request, &sealed.secret, NOW));
    assert_eq!(at(&world.trust, Own { person: "sue", device: "sue-cli", ..own }), Some(Code::NotApprover));
    assert_eq!(at(&world.trust, Own { person: "eve", ..own }), Some(Code::NotApprover));
    assert_eq!(at(&world.trust, Own { device: "p1-d0", ..own }), Some(Code::Device));
    assert_eq!(at(&under(&world, |r| r.policies[0].people = vec!["p1".into()]), own), Some(Code::NotApprover));
    assert_eq!(at(&under(&world, |r| r.people[0].devices[0].expires = NOW), own), Some(Code::Device));
    assert_eq!(at(&under(&world, |r| r.policies[0].tier = Tier::Synced), own), Some(Code::Tier));
    // A device that came later has no stanza.
    let later = under(&world, |r| r.people[0].devices.push(device("p0-new", Tier::Soft, 7000)));
    assert_eq!(at(&later, Own { device: "p0-new", ..own }), Some(Code::NotRecipient));
    // Who was sealed to and has left the policy is shown. A2
    let left = under(&world, |r| r.policies[0].people = vec!["p0".into()]);
    let prompt = check_prompt(&left, own, &world.cert, &request, &sealed.secret, NOW).unwrap();
    assert_eq!(prompt.outside.iter().map(|to| to.person.as_str()).collect::<Vec<_>>(), ["p1"]);
    assert_eq!((prompt.index, prompt.position, prompt.window, prompt.cert.host.as_str()), (1, 0, 700, "db-1.example.com"));
}

#[test]
fn a_release_is_of_what_was_shown() {
    let world = World::new(policy_of(2, 2), 1);
    let sealed = world.seal(b"x").unwrap();
    let request = world.request(|_| ());
    let prompt = world.prompt((0, 0), &request, &sealed).unwrap();
    let key = kem_key(number(0, 0));
    let give =
        |trust: &Trust, prompts: &[&Prompt], decision: &[u8]| code(release(trust, prompts, decision, &key, NOW, &mut system()));
    let bend = |change: fn(&mut Decision)| give(&world.trust, &[&prompt], &world.decide((0, 0), &[&prompt], change));
    assert_eq!(bend(|_| ()), None);
    let table: [Row<Decision>; 13] = [
        (|d| d.verdict = Verdict::Deny, Code::Verdict),
        (|d| d.items.clear(), Code::Item),
        (|d| d.items.push(d.items[0].clone()), Code::Item),
        (|d| d.items[0].request = [1; 32], Code::Item),
        (|d| d.items[0].secret = [1; 32], Code::Item),
        (|d| d.items[0].path = "prod/x".into(), Code::Item),
        (|d| d.items[0].version = 4, Code::Item),
        (|d| d.items[0].revision = 1, Code::Item),
        (|d| d.items[0].index = 2, Code::Item),
        (|d| d.items[0].window = 701, Code::LeaseWindow),
        (|d| d.expires = NOW + 101, Code::Expired),
        (|d| d.org = [1; 32], Code::Org),
        (|d| d.roster = (2, 0), Code::StaleRoster),
    ];
    for (at, (change, wanted)) in table.into_iter().enumerate() {
        assert_eq!(bend(change), Some(wanted), "row {at}");
    }
    let good = world.decide((0, 0), &[&prompt], |_| ());
    assert_eq!(give(&world.trust, &[], &good), Some(Code::Item));
    assert_eq!(give(&world.trust, &[&prompt, &prompt], &good), Some(Code::Item));
    // Another person's decision, another device's key.
    assert_eq!(give(&world.trust, &[&prompt], &world.decide((1, 0), &[&prompt], |_| ())), Some(Code::Device));
    let other = kem_key(number(1, 0));
    assert_eq!(code(release(&world.trust, &[&prompt], &good, &other, NOW, &mut system())), Some(Code::Device));
    // What a newer roster says between showing and approving. C20
    let oid = Signed::parse("client-cert", &world.cert).unwrap().oid();
    assert_eq!(give(&under(&world, |r| r.revoked = vec![oid]), &[&prompt], &good), Some(Code::Revoked));
    let hold = Hold { on: HoldOn::Match("**".into()), until: NOW + 1 };
    assert_eq!(give(&under(&world, |r| r.holds = vec![hold]), &[&prompt], &good), Some(Code::Hold));
    let floor = Floor { path: PATH.into(), version: 4, revision: 0 };
    assert_eq!(give(&under(&world, |r| r.floors = vec![floor]), &[&prompt], &good), Some(Code::Version));
}

#[test]
fn a_release_apart_and_together_is_the_same() {
    let world = World::new(policy_of(1, 1), 1);
    let sealed = world.seal(b"x").unwrap();
    let request = world.request(|_| ());
    let whole = world.approve((0, 0), &request, &sealed).unwrap();
    let (decision, entries) = split(&whole).unwrap();
    assert_eq!(join(&decision, entries.clone()).unwrap(), whole);
    let mut short = entries;
    let _ = short[0].ct.pop();
    assert_eq!(code(join(&decision, short)), Some(Code::Release));
    // An entry that is not there, or there twice, is no release to the client.
    let none = join(&decision, vec![]).unwrap();
    assert_eq!(code(world.open(&request, &sealed, &[none])), Some(Code::Release));
    let (decision, mut entries) = split(&whole).unwrap();
    entries.push(entries[0].clone());
    assert_eq!(code(world.open(&request, &sealed, &[join(&decision, entries).unwrap()])), Some(Code::Release));
}

#[test]
fn a_denial_is_signed_or_it_is_none() {
    let world = World::new(policy_of(2, 1), 1);
    let request = world.request(|_| ());
    let sealed = world.seal(b"x").unwrap();
    let prompt = world.prompt((0, 0), &request, &sealed).unwrap();
    let denied = |decision: &[u8]| code(verify_denial(&world.trust, &request, None, decision, NOW));
    for verdict in [Verdict::Deny, Verdict::Freeze] {
        let by_auth = world.decide((0, 0), &[&prompt], |d| d.verdict = verdict);
        assert_eq!(denied(&by_auth), None);
        let decision: Decision = Signed::parse("decision", &by_auth).unwrap().peek().unwrap();
        assert_eq!(denied(&sign(&decision, &[&key(Alg::Es256, number(0, 0) + 2)])), None);
        assert_eq!(denied(&sign(&decision, &[&key(Alg::Es256, number(1, 0) + 2)])), Some(Code::Signature));
    }
    assert_eq!(denied(&world.decide((0, 0), &[&prompt], |_| ())), Some(Code::Verdict));
    // An approve by the deny key is nobody's.
    let approve: Decision = Signed::parse("decision", &world.decide((0, 0), &[&prompt], |_| ())).unwrap().peek().unwrap();
    let by_deny = sign(&approve, &[&key(Alg::Es256, number(0, 0) + 2)]);
    assert_eq!(denied(&by_deny), Some(Code::Signature));
    let bend = |change: fn(&mut Decision)| {
        denied(&world.decide((0, 0), &[&prompt], |d| {
            d.verdict = Verdict::Deny;
            change(d);
        }))
    };
    // The secret is not asked, the request is.
    assert_eq!(bend(|d| d.items[0].secret = [1; 32]), None);
    assert_eq!(bend(|d| d.items[0].request = [1; 32]), Some(Code::Item));
    assert_eq!(bend(|d| d.expires = NOW), Some(Code::Expired));
    assert_eq!(bend(|d| d.person = "sue".into()), Some(Code::Device));
    let left = under(&world, |r| r.policies[0].people = vec!["p1".into()]);
    let deny = world.decide((0, 0), &[&prompt], |d| d.verdict = Verdict::Deny);
    assert_eq!(code(verify_denial(&left, &request, None, &deny, NOW)), Some(Code::NotApprover));
}

#[test]
fn the_relay_takes_what_the_roster_of_now_calls_for() {
    let world = World::new(policy_of(2, 1), 1);
    let sealed = world.seal(b"x").unwrap();
    let at = |trust: &Trust, ciphertext: &[u8], now| code(verify_new_secret(trust, &sealed.secret, ciphertext, now));
    assert_eq!(at(&world.trust, &sealed.ciphertext, NOW + 300), None);
    assert_eq!(at(&world.trust, &sealed.ciphertext, NOW + 301), Some(Code::Expired));
    assert_eq!(at(&world.trust, &sealed.ciphertext[1..], NOW), Some(Code::Ciphertext));
    assert_eq!(at(&under(&world, |r| r.policies[0].window = 1), &sealed.ciphertext, NOW), Some(Code::Recipients));
    let newcomer = under(&world, |r| r.people[0].devices.push(device("p0-new", Tier::Soft, 7000)));
    assert_eq!(at(&newcomer, &sealed.ciphertext, NOW), Some(Code::Recipients)); // A1, A2
}

/// Section 6: a reseal by a person who is a sealer, under the people, threshold and tier of the sealed policy.
#[test]
fn a_reseal() {
    let mut world = World::with(policy_of(2, 1), 1, |roster| roster.people[0].roles.push(Role::Sealer));
    let sealed = world.seal(b"x").unwrap();
    let mut cert: ClientCert = Signed::parse("client-cert", &world.cert).unwrap().peek().unwrap();
    cert.subject = "person/p0".into();
    world.cert = sign(&cert, &[&world.org.admin]);
    let usual = world.request(|_| ());
    assert_eq!(code(world.prompt((0, 0), &usual, &sealed)), Some(Code::Purpose));
    let reseal = world.request(|r| r.purpose = Purpose::Reseal);
    // Since then the policy wants two, of a better tier, and without p1.
    world.trust = under(&world, |r| {
        r.people.push(person("p9", &[Role::Approver], vec![device("p9-d0", Tier::Synced, 7000)]));
        r.policies = vec![policy("prod", "prod/**", &["p0", "p9"], 2)];
        r.policies[0].tier = Tier::Synced;
    });
    let releases = [world.approve((1, 0), &reseal, &sealed).unwrap()];
    let opened = world.open(&reseal, &sealed, &releases).unwrap();
    assert_eq!((opened.terms.window, opened.terms.uses, opened.terms.is_lease()), (0, 1, false));
    // One's own approval counts too; a role that is gone does not.
    assert!(world.open(&reseal, &sealed, &[world.approve((0, 0), &reseal, &sealed).unwrap()]).is_ok());
    let gone = under(&world, |r| r.people[1].roles = vec![Role::Auditor]);
    let own = Own { person: "p1", device: "p1-d0", decided: false, remembered: None };
    assert_eq!(code(check_prompt(&gone, own, &world.cert, &reseal, &sealed.secret, NOW)), Some(Code::NotApprover));
    // A denial by one of the sealed policy counts, with its secret; without it nobody knows whose word it is.
    let prompt = world.prompt((1, 0), &reseal, &sealed).unwrap();
    let deny = world.decide((1, 0), &[&prompt], |d| d.verdict = Verdict::Deny);
    assert_eq!(code(verify_denial(&world.trust, &reseal, Some(&sealed.secret), &deny, NOW)), None);
    assert_eq!(code(verify_denial(&world.trust, &reseal, None, &deny, NOW)), Some(Code::Sealer));
    // No policy covers the path any more: not even a reseal has a ttl.
    let bare = under(&world, |r| r.policies[0].matches = vec!["test/**".into()]);
    let own = Own { person: "p0", device: "p0-d0", decided: false, remembered: None };
    assert_eq!(code(check_prompt(&bare, own, &world.cert, &reseal, &sealed.secret, NOW)), Some(Code::NoPolicy));
}
