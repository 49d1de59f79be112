//! The terms, the cache, and what ends a lease.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the line that surprises it")]

use super::*;
use crate::value::Value;
use proptest::prelude::*;

const SECOND: u64 = 1000;

fn lease(path: &str, window: u64, uses: u64) -> Lease {
    Lease {
        client: "host/db-1".into(),
        path: path.into(),
        scope: Scope::Process,
        scope_id: b"pid 7".to_vec(),
        version: (3, 1),
        window,
        uses,
        uid: 1000,
        people: vec![("ana".into(), "ana-phone".into())],
        request: [1; 32],
    }
}

fn value() -> Value {
    Value::new(b"plaintext").unwrap()
}

fn find(cache: &LeaseCache, path: &str, now: u64) -> Option<u64> {
    cache.find("host/db-1", path, &[(Scope::Process, b"pid 7")], now)
}

#[test]
fn the_least_of_four_and_never_above_eight_hours() {
    let terms = |policies: &[(u64, u64)], items: &[(u64, u64)], request| {
        let terms = least(Scope::Exe, policies, items, request, Purpose::Use);
        (terms.window, terms.uses, terms.is_lease())
    };
    assert_eq!(terms(&[(900, 0), (600, 5)], &[(700, 9), (800, 0)], (3600, 7)), (600, 5, true));
    assert_eq!(terms(&[(28_800, 0), (28_800, 0)], &[(40_000, 0)], (99_999, 0)), (28_800, 0, true));
    assert_eq!(terms(&[(900, 0), (900, 0)], &[(0, 4)], (900, 4)), (0, 1, false));
    assert_eq!(terms(&[(900, 0), (900, 0)], &[(900, 1)], (900, 4)), (900, 1, false));
    let reseal = least(Scope::Exe, &[(900, 0)], &[(900, 0)], (900, 0), Purpose::Reseal);
    assert!(!reseal.is_lease());
}

#[test]
fn a_window_is_counted_from_delivery_and_ends_on_the_second() {
    let mut cache = LeaseCache::new(8);
    let number = cache.insert(lease("prod/db", 600, 0), value(), 5 * SECOND).unwrap();
    assert_eq!(find(&cache, "prod/db", 605 * SECOND - 1), Some(number));
    assert_eq!(cache.deliver(number, b"pid 7", 605 * SECOND - 1).unwrap().1, 1);
    // At the end, and before the beginning (a clock that went back): over.
    for now in [605 * SECOND, 5 * SECOND - 1] {
        assert_eq!(find(&cache, "prod/db", now), None);
        assert_eq!(cache.deliver(number, b"pid 7", now).unwrap_err().code, Code::LeaseWindow);
    }
    assert!(cache.expire(605 * SECOND - 1).is_empty());
    assert_eq!(cache.expire(605 * SECOND), [(number, Ended::Window)]);
    assert!(cache.is_empty() && cache.expire(u64::MAX).is_empty());
    assert_eq!(cache.value_length(number), None);
}

#[test]
fn uses_count_the_delivery_and_the_last_one_ends_the_lease() {
    let mut cache = LeaseCache::new(8);
    let number = cache.insert(lease("prod/db", 600, 3), value(), 0).unwrap();
    for _ in 0..2 {
        assert_eq!(cache.deliver(number, b"pid 7", 1).unwrap().0.expose().unwrap(), b"plaintext");
    }
    assert_eq!(cache.deliver(number, b"pid 7", 1).unwrap_err().code, Code::LeaseWindow);
    assert_eq!(cache.expire(1), [(number, Ended::Uses)]);
    assert_eq!(cache.insert(lease("prod/db", 600, 1), value(), 0).unwrap_err().code, Code::LeaseUses);
    assert_eq!(cache.insert(lease("prod/db", 0, 0), value(), 0).unwrap_err().code, Code::LeaseWindow);
    assert_eq!(cache.insert(lease("prod/db", CEILING + 1, 0), value(), 0).unwrap_err().code, Code::LeaseWindow);
}

#[test]
fn another_scope_client_or_path_is_a_miss() {
    let mut cache = LeaseCache::new(8);
    let number = cache.insert(lease("prod/db", 600, 0), value(), 0).unwrap();
    assert_eq!(cache.deliver(number, b"pid 8", 1).unwrap_err().code, Code::LeaseScope);
    assert_eq!(cache.find("host/db-2", "prod/db", &[(Scope::Process, b"pid 7")], 1), None);
    assert_eq!(cache.find("host/db-1", "prod/db2", &[(Scope::Process, b"pid 7")], 1), None);
    assert_eq!(cache.find("host/db-1", "prod/db", &[(Scope::Exe, b"pid 7")], 1), None);
    // A refused delivery is not a use.
    assert_eq!(cache.list(1)[0].used, 1);
    assert_eq!(cache.find("host/db-1", "prod/db", &[(Scope::Exe, b"x"), (Scope::Process, b"pid 7")], 1), Some(number));
}

#[test]
fn the_cache_is_bounded_and_says_what_it_dropped() {
    let mut cache = LeaseCache::new(2);
    let short = cache.insert(lease("a", 10, 0), value(), 0).unwrap();
    let long = cache.insert(lease("b", 100, 0), value(), 0).unwrap();
    let newer = cache.insert(lease("b", 50, 0), value(), 0).unwrap();
    let third = cache.insert(lease("c", 20, 0), value(), 0).unwrap();
    assert_eq!(cache.expire(0), [(long, Ended::Replaced), (short, Ended::Capacity)]);
    assert_eq!((find(&cache, "b", 1), find(&cache, "c", 1), cache.len()), (Some(newer), Some(third), 2));
    for _ in 0..1000 {
        cache.insert(lease("b", 50, 0), value(), 0).unwrap();
    }
    assert_eq!((cache.expire(0).len(), cache.len()), (1000, 2));
}

#[test]
fn eviction_by_every_term() {
    let of = |path: &str, pid: &[u8], uid| Lease { scope_id: pid.to_vec(), uid, ..lease(path, 600, 0) };
    let fill = || {
        let mut cache = LeaseCache::new(8);
        cache.insert(of("a", b"1", 1), value(), 0).unwrap();
        cache.insert(of("b", b"1", 2), value(), 0).unwrap();
        cache.insert(of("b", b"2", 2), value(), 0).unwrap();
        cache
    };
    let all = EvictionTerms::default();
    for (terms, expected) in [
        (EvictionTerms { number: Some(2), ..all }, vec![2]),
        (EvictionTerms { client: Some("host/db-1"), ..all }, vec![1, 2, 3]),
        (EvictionTerms { client: Some("host/db-2"), ..all }, vec![]),
        (EvictionTerms { path: Some("b"), ..all }, vec![2, 3]),
        (EvictionTerms { below: Some((3, 1)), ..all }, vec![]),
        (EvictionTerms { path: Some("a"), below: Some((3, 2)), ..all }, vec![1]),
        (EvictionTerms { device: Some(("ana", "ana-phone")), ..all }, vec![1, 2, 3]),
        (EvictionTerms { device: Some(("ana", "ana-laptop")), ..all }, vec![]),
        (EvictionTerms { uid: Some(2), scope_id: Some(b"1"), ..all }, vec![2]),
        (all, vec![1, 2, 3]),
    ] {
        let mut cache = fill();
        assert_eq!(cache.evict(&terms), expected, "{terms:?}");
        assert_eq!(cache.len(), 3 - expected.len());
        for number in expected {
            assert_eq!(cache.deliver(number, b"1", 1).unwrap_err().code, Code::LeaseWindow);
        }
    }
}

proptest! {
    /// Whatever is done in whatever order, the cache agrees with a list that is looked through from the front.
    #[test]
    fn the_cache_is_a_plain_list_that_is_fast(steps in prop::collection::vec((0u8..5, 0u8..4, 1u64..6, 0u64..4), 1..60)) {
        struct Plain { path: String, number: u64, ends: u64, left: Option<u64> }
        let mut cache = LeaseCache::new(3);
        let mut list: Vec<Plain> = Vec::new();
        let mut now = 0;
        for (step, path, window, uses) in steps {
            let path = format!("p{path}");
            match step {
                0 => {
                    let inserted = cache.insert(lease(&path, window, uses), value(), now);
                    prop_assert_eq!(inserted.is_err(), uses == 1);
                    if let Ok(number) = inserted {
                        list.retain(|plain| plain.path != path);
                        if list.len() == 3 {
                            let first = list.iter().map(|plain| (plain.ends, plain.number)).min().unwrap().1;
                            list.retain(|plain| plain.number != first);
                        }
                        let left = (uses > 0).then(|| uses - 1);
                        list.push(Plain { path, number, ends: now + window * SECOND, left });
                    }
                }
                1 | 2 => {
                    let plain = list.iter().position(|plain| plain.path == path && now < plain.ends);
                    let found = find(&cache, &path, now);
                    prop_assert_eq!(found, plain.map(|at| list[at].number));
                    if let Some(at) = plain {
                        prop_assert!(cache.deliver(list[at].number, b"pid 7", now).is_ok());
                        list[at].left = list[at].left.map(|left| left - 1);
                        if list[at].left == Some(0) {
                            list.remove(at);
                        }
                    }
                }
                3 => {
                    let gone = list.iter().filter(|plain| plain.path == path).map(|plain| plain.number).collect::<Vec<_>>();
                    prop_assert_eq!(cache.evict(&EvictionTerms { path: Some(&path), ..EvictionTerms::default() }), gone);
                    list.retain(|plain| plain.path != path);
                }
                _ => {
                    now += window * SECOND / 2;
                    cache.expire(now);
                    list.retain(|plain| now < plain.ends);
                    prop_assert_eq!(cache.len(), list.len());
                }
            }
            prop_assert!(cache.len() <= 3);
        }
    }
}

#[test]
fn interpreters_by_file_name_and_version() {
    for exe in [
        "/usr/bin/python3.11",
        "/opt/python3.13t",
        "/bin/sh",
        "/usr/bin/perl-5.36",
        "node",
        "/usr/sbin/php-fpm8.2",
        "/usr/bin/Rscript",
        "/lib64/ld-linux-x86-64.so.2",
        "/usr/lib64/ld-2.28.so",
        "/usr/lib/libc.so",
        "/usr/bin/qemu-x86_64",
        "/usr/bin/bash (deleted)",
        "/x/BASH",
    ] {
        assert!(is_interpreter(exe), "{exe}");
    }
    for exe in ["/usr/bin/psql", "/usr/bin/claude", "/usr/bin/shred", "/opt/node_exporter", "", "/"] {
        assert!(!is_interpreter(exe), "{exe}");
    }
}
