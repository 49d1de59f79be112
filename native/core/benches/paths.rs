//! One benchmark for each hot path, beside the floor that it is judged by: the least that the primitives alone would cost.
//!
//! `cargo bench -p stillvault-core --bench paths -- <part of a name>`

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a benchmark may stop at the line that surprises it")]

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/world/mod.rs"]
mod world;

use common::{NOW, key};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::Duration;
use stillvault_core::encoding::{MAX_PAYLOAD, MAX_WRAPPER, decode};
use stillvault_core::hpke::{self, KemKey};
use stillvault_core::keys::Alg;
use stillvault_core::lease::{Lease, LeaseCache};
use stillvault_core::objects::{Payload, Request, Scope};
use stillvault_core::release::release;
use stillvault_core::signed::Signed;
use stillvault_core::value::Value;
use world::{World, kem_key, number, policy_of, system};

/// The floor of sealing and opening: HPKE alone.
fn primitives(c: &mut Criterion) {
    let key = KemKey::generate(&mut system());
    let public = hpke::DiffieHellman::public(&key).clone();
    let sealed = hpke::seal(&public, b"[]", &[1; 32], &mut system()).unwrap();
    c.bench_function("floor/hpke seal", |b| b.iter(|| hpke::seal(&public, b"[]", &[1; 32], &mut system()).unwrap()));
    c.bench_function("floor/hpke open", |b| b.iter(|| hpke::open(&key, b"[]", &sealed.enc, &sealed.ct).unwrap()));
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for people in [1, 5, 20, 63] {
        let world = World::new(policy_of(people, 1), 1);
        group.bench_function(BenchmarkId::new("any-of", people), |b| b.iter(|| world.seal(b"postgres://u:p@db").unwrap()));
    }
    let world = World::new(policy_of(3, 2), 1);
    group.bench_function("2-of-3", |b| b.iter(|| world.seal(b"postgres://u:p@db").unwrap()));
    let largest = vec![7; 60 * 1024];
    group.bench_function("2-of-3, 60 KiB", |b| b.iter(|| world.seal(&largest).unwrap()));
    group.finish();
}

fn approve_and_open(c: &mut Criterion) {
    for (name, people, wanted) in [("any-of-1", 1, 1), ("any-of-50", 50, 1), ("2-of-3", 3, 2)] {
        let world = World::new(policy_of(people, wanted), 1);
        let sealed = world.seal(b"postgres://u:p@db").unwrap();
        let request = world.request(|_| ());
        c.bench_function(&format!("prompt/{name}"), |b| b.iter(|| world.prompt((0, 0), &request, &sealed).unwrap()));

        let prompt = world.prompt((0, 0), &request, &sealed).unwrap();
        let decision = world.decide((0, 0), &[&prompt], |_| ());
        let key = kem_key(number(0, 0));
        c.bench_function(&format!("release/{name}"), |b| {
            b.iter(|| release(&world.trust, &[&prompt], &decision, &key, NOW, &mut system()).unwrap());
        });

        let wanted = usize::try_from(wanted).unwrap();
        let releases: Vec<Vec<u8>> = (0..wanted).map(|p| world.approve((p, 0), &request, &sealed).unwrap()).collect();
        c.bench_function(&format!("open/{name}"), |b| b.iter(|| world.open(&request, &sealed, &releases).unwrap()));
    }
}

fn lease(n: usize) -> Lease {
    Lease {
        client: "host/db-1".to_owned(),
        path: format!("prod/db/{n}"),
        scope: Scope::Process,
        scope_id: [7; 40].to_vec(),
        version: (1, 0),
        window: 900,
        uses: 0,
        uid: 1000,
        people: vec![("ana".to_owned(), "ana-phone".to_owned())],
        request: [0; 32],
    }
}

/// Look-ups walk over all leases, so that the larger caches do not answer from the processor's own cache.
fn leases(c: &mut Criterion) {
    let mut group = c.benchmark_group("lease");
    for count in [1_000, 10_000, 100_000] {
        let mut cache = LeaseCache::new(count);
        // Values of 64 bytes; where so many cannot be locked, fewer are looked up.
        let held =
            (0..count).take_while(|n| Value::new(b"v").is_ok_and(|value| cache.insert(lease(*n), value, 0).is_ok())).count();
        let paths: Vec<String> = (0..held).map(|n| format!("prod/db/{}", (n * 7919) % held)).collect();
        let mut at = 0;
        group.bench_function(BenchmarkId::new("find", held), |b| {
            b.iter(|| {
                at = (at + 1) % held;
                black_box(cache.find("host/db-1", &paths[at], &[(Scope::Process, &[7; 40])], 1000)).unwrap()
            });
        });
        let number = cache.find("host/db-1", "prod/db/0", &[(Scope::Process, &[7; 40])], 1000).unwrap();
        group.bench_function(BenchmarkId::new("deliver", held), |b| {
            b.iter(|| cache.deliver(number, &[7; 40], 1000).unwrap().0.expose().unwrap().len());
        });
    }
    group.bench_function("insert", |b| {
        let mut cache = LeaseCache::new(1000);
        b.iter_batched(
            || (lease(1), Value::new(b"v").unwrap()),
            |(lease, value)| cache.insert(lease, value, 0).unwrap(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn encoding(c: &mut Criterion) {
    let world = World::new(policy_of(20, 2), 1);
    let request = world.request(|_| ());
    let payload = Signed::parse("request", &request).unwrap().unverified_payload().to_vec();
    let roster = world.org.roster(|_| ());
    let secret = world.seal(b"x").unwrap().secret;
    c.bench_function("decode/request payload", |b| b.iter(|| decode(&payload, MAX_PAYLOAD).unwrap()));
    c.bench_function("decode/request object", |b| b.iter(|| Request::decode(&payload).unwrap()));
    c.bench_function("decode/roster wrapper", |b| b.iter(|| decode(&roster, MAX_WRAPPER).unwrap()));
    c.bench_function("decode/secret wrapper, 20 recipients", |b| b.iter(|| decode(&secret, MAX_WRAPPER).unwrap()));
}

fn signatures(c: &mut Criterion) {
    let world = World::new(policy_of(1, 1), 1);
    let payload = Signed::parse("request", &world.request(|_| ())).unwrap().unverified_payload().to_vec();
    for alg in [Alg::Ed25519, Alg::Es256] {
        let key = key(alg, 5);
        let wrapper = Signed::sign("request", &payload, &key).unwrap().to_bytes().unwrap();
        c.bench_function(&format!("verify/request, {}", alg.as_str()), |b| {
            b.iter(|| Signed::parse("request", &wrapper).unwrap().open::<Request>([key.key()], &[]).unwrap());
        });
        c.bench_function(&format!("sign/request, {}", alg.as_str()), |b| {
            b.iter(|| Signed::sign("request", &payload, &key).unwrap());
        });
    }
}

/// Short, so that all of them take a minute and a half: what counts is the ratio to the floor beside them.
fn short() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1)).sample_size(50)
}

criterion_group! {
    name = paths;
    config = short();
    targets = primitives, seal, approve_and_open, leases, encoding, signatures
}
criterion_main!(paths);
