//! What deciding costs, with no cluster in sight: `cargo bench --bench pure`.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a bench may panic, and criterion writes its main"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use serde_json::Value;

use agent::config::{Unit, UnitType};
use agent::fields::{Others, Verdict, compare};
use agent::health::{Health, Status};
use agent::model::{
    AppliedList, Desired, DigestKey, EnvironmentName, GroupKind, Live, ObjectId, Origin,
};
use agent::plan::{
    AsDesired, Baseline, Deletions, Members, Neighbours, Observation, Proposals, Subject,
    dependencies, plan,
};
use agent::render::yaml::documents;

/// A Deployment as written, and as an API server had it.
const WRITTEN: &str = include_str!("../../testdata/bench/deployment.yaml");
const LIVE: &str = include_str!("../../testdata/bench/deployment.live.json");
const APPLY_SET: &str = "applyset-mVeLS9gJhrb1nrA_mU6DlkfnXIYE3KqyCk3-QeutAC8-v1";

fn decode(criterion: &mut Criterion) {
    let thousand = format!("---\n{WRITTEN}").repeat(1000);
    criterion.bench_function("decode 1,000 YAML documents", |bencher| {
        bencher.iter(|| documents(black_box(&thousand)).unwrap());
    });
}

fn fields(criterion: &mut Criterion) {
    let (desired, clean) = (desired(0), live(0));
    let mut drifted = clean.body.clone();
    drifted["spec"]["replicas"] = 5.into();
    let drifted = Live::new(drifted);
    assert!(matches!(compare(&desired, &clean), Verdict::Clean));
    assert!(!matches!(compare(&desired, &drifted), Verdict::Clean));
    criterion.bench_function("compare a clean Deployment", |bencher| {
        bencher.iter(|| compare(black_box(&desired), black_box(&clean)));
    });
    criterion.bench_function("compare a Deployment that has drifted", |bencher| {
        bencher.iter(|| compare(black_box(&desired), black_box(&drifted)));
    });
    criterion.bench_function("parse and compare a Deployment", |bencher| {
        bencher.iter_batched(
            || LIVE.as_bytes(),
            |bytes| compare(&desired, &Live::new(serde_json::from_slice(bytes).unwrap())),
            BatchSize::SmallInput,
        );
    });
}

fn plans(criterion: &mut Criterion) {
    let (none, all) = (World::of(10_000, |_| false), World::of(10_000, |_| true));
    let one = World::of(10_000, |number| number != 5_000);
    assert_eq!(none.plan().steps.len(), 10_000);
    assert_eq!(one.plan().steps.len(), 1);
    assert_eq!(all.plan().steps.len(), 0);
    let mut group = criterion.benchmark_group("plan of 10,000 objects");
    group.sample_size(10);
    group.bench_function("all clean", |bencher| bencher.iter(|| all.plan()));
    group.bench_function("one missing", |bencher| bencher.iter(|| one.plan()));
    group.bench_function("all missing", |bencher| bencher.iter(|| none.plan()));
}

/// Everything that a plan depends on.
struct World {
    environment: EnvironmentName,
    unit: Unit,
    key: DigestKey,
    desired: BTreeMap<ObjectId, Desired>,
    observed: BTreeMap<ObjectId, Observation>,
    members: Members,
    neighbours: Neighbours,
    applied: BTreeMap<ObjectId, Baseline>,
}

impl World {
    /// So many Deployments, and which of them are there.
    fn of(count: usize, there: fn(usize) -> bool) -> Self {
        let mut world = Self {
            environment: "staging".parse().unwrap(),
            unit: Unit::new(
                "shop".parse().unwrap(),
                "shop".to_owned(),
                UnitType::Manifests,
                origin(),
            ),
            key: DigestKey::new([0; 32]),
            desired: BTreeMap::new(),
            observed: BTreeMap::new(),
            members: Members::Known(BTreeSet::new()),
            neighbours: Neighbours::default(),
            applied: BTreeMap::new(),
        };
        let mut members = BTreeSet::new();
        for number in 0..count {
            let desired = desired(number);
            let id = desired.id.clone();
            world
                .neighbours
                .claims
                .insert(id.clone(), world.unit.name.clone());
            let seen = if there(number) {
                members.insert(id.clone());
                let digest = desired.digest;
                world.applied.insert(id.clone(), Baseline { digest });
                present()
            } else {
                Observation::Absent
            };
            world.observed.insert(id.clone(), seen);
            world.desired.insert(id, desired);
        }
        world.members = Members::Known(members);
        world
    }

    fn plan(&self) -> agent::plan::Plan<agent::plan::Proposed> {
        plan(&Subject {
            environment: &self.environment,
            unit: &self.unit,
            revision: None,
            apply_set: APPLY_SET,
            desired: &self.desired,
            observed: &self.observed,
            members: &self.members,
            list: &AppliedList::default(),
            neighbours: &self.neighbours,
            dependencies: &dependencies(&self.desired, &self.neighbours.claims),
            applied: &self.applied,
            refusals: &BTreeMap::new(),
            proposals: &Proposals::default(),
            deletions: &Deletions::default(),
            along: &BTreeSet::new(),
            dependents: &BTreeMap::new(),
            upkeep: &agent::plan::Upkeep::default(),
            others: &BTreeMap::new(),
            adopted: &BTreeSet::new(),
            waits: None,
            key: &self.key,
            now: "2026-11-21T10:00:00Z".parse().unwrap(),
        })
    }
}

fn present() -> Observation {
    let health = Health {
        status: Status::Current,
        message: String::new(),
    };
    Observation::AsDesired(AsDesired {
        overruled: Vec::new(),
        health,
        others: Others::default(),
    })
}

fn desired(number: usize) -> Desired {
    let body = serde_yaml::from_str(WRITTEN).unwrap();
    let body = named(body, number);
    let kind = GroupKind::known("apps", "Deployment");
    let id = ObjectId::parse(kind, Some("shop"), &name(number)).unwrap();
    Desired::new(id, &body, origin())
}

fn live(number: usize) -> Live {
    Live::new(named(serde_json::from_str(LIVE).unwrap(), number))
}

fn named(mut body: Value, number: usize) -> Value {
    body["metadata"]["name"] = name(number).into();
    body
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

fn origin() -> Origin {
    Origin {
        path: "shop/web.yaml".to_owned(),
        line: 1,
    }
}

criterion_group!(pure, decode, fields, plans);
criterion_main!(pure);
