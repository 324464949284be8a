//! What `fields::compare` says of desired and live, against what the API server's
//! own dry-run of a server-side apply says. `FIELDS_CASES` and `FIELDS_SEED` in the
//! environment ask for more cases, or for other ones.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::path::Path;

use agent::fields::{Verdict, compare};
use agent::model::{Desired, FIELD_MANAGER, GroupKind, Live, ObjectId, Origin, group_of};
use futures::StreamExt as _;
use futures::stream;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{ApiResource, Scope, pinned_kind};
use kube::{Client, Config};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;

/// Enough to meet every kind a dozen times, and quick.
const CASES: u64 = 400;

const SEED: u64 = 5;

/// As many at once as a small machine's API server answers without queueing.
const AT_ONCE: usize = 8;

#[test]
fn clean_means_no_change_and_drifted_means_a_change() {
    let cluster = ControlPlane::shared();
    let namespace = cluster.namespace("fields");
    let crds = include_str!("../../testdata/fields/crds.yaml");
    let crds: Value = serde_yaml::from_str(crds).unwrap();
    cluster.kubectl_apply(&crds.to_string());
    let established = [
        "wait",
        "--for=condition=Established",
        "--timeout=30s",
        "crd",
    ];
    let names = ["widgets.fields.example.com", "gadgets.fields.example.com"];
    cluster.kubectl(&[&established[..], &names].concat());

    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let kubeconfig = cluster.kubeconfig();
    let tally = runtime.block_on(all_cases(&kubeconfig, &namespace));
    cluster.kubectl(&["delete", "namespace", &namespace, "--wait=false"]);

    println!("{tally}");
    assert!(tally.wrong.is_empty(), "{tally}");
    // Or the test tests nothing.
    for (outcome, least) in [("Clean", 6), ("Drifted", 4), ("Maybe, changed", 20)] {
        let seen = tally.seen(outcome);
        assert!(seen * least >= tally.cases, "too few {outcome}: {tally}");
    }
    // Each of these is a dry-run for nothing.
    let wasted = tally.seen("Maybe, same");
    assert!(wasted * 8 <= tally.cases, "too many Maybe, same: {tally}");
}

/// A kind's base object and the edits of it.
#[derive(Debug, Deserialize)]
struct Zoo {
    object: Value,
    edits: Vec<Edit>,
}

#[derive(Debug, Deserialize)]
struct Edit {
    at: String,
    to: Vec<Value>,
}

#[derive(Default)]
struct Tally {
    cases: u64,
    outcomes: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<String, u64>,
    wrong: Vec<String>,
}

impl Tally {
    fn seen(&self, outcome: &str) -> u64 {
        self.outcomes.get(outcome).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} cases: {:?} {:?}",
            self.cases, self.outcomes, self.kinds
        )?;
        let mut shown = self.wrong.iter().take(8);
        shown.try_for_each(|wrong| writeln!(f, "\n{wrong}"))
    }
}

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

async fn all_cases(kubeconfig: &Path, namespace: &str) -> Tally {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
    let client = Client::try_from(config.unwrap()).unwrap();
    let mut zoo: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../testdata/fields/objects.yaml")).unwrap();
    zoo.apply_merge().unwrap();
    let zoo: Vec<Zoo> = serde_yaml::from_value(zoo).unwrap();
    let mut apis = Vec::new();
    for entry in &zoo {
        apis.push(api(&client, &entry.object, namespace).await);
    }
    let (cases, seed) = (setting("FIELDS_CASES", CASES), setting("FIELDS_SEED", SEED));
    let outcomes = stream::iter(0..cases).map(|number| {
        let mut dice = Dice::new(seed, number);
        let at = kind_of_case(&zoo, &mut dice);
        let (entry, api, resource) = (&zoo[at], &apis[at].0, &apis[at].1);
        let name = format!("{namespace}-{number}");
        let case = Case {
            entry,
            api,
            resource,
            name,
            dice,
        };
        async move { (number, entry.object["kind"].to_string(), case.run().await) }
    });
    let mut outcomes = outcomes.buffer_unordered(AT_ONCE);
    let mut tally = Tally::default();
    while let Some((number, kind, outcome)) = outcomes.next().await {
        tally.cases += 1;
        match outcome {
            Ok(outcome) => {
                if outcome != "refused" {
                    *tally.kinds.entry(kind).or_default() += 1;
                }
                *tally.outcomes.entry(outcome).or_default() += 1;
            }
            Err(wrong) => tally
                .wrong
                .push(format!("seed {seed}, case {number}: {wrong}")),
        }
    }
    tally
}

/// Kinds with more edits get more cases.
fn kind_of_case(zoo: &[Zoo], dice: &mut Dice) -> usize {
    let weight = |entry: &Zoo| entry.edits.len() + 4;
    let mut left = dice.below(zoo.iter().map(weight).sum());
    let passes = |entry: &Zoo| match left.checked_sub(weight(entry)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    };
    zoo.iter().position(passes).unwrap()
}

async fn api(
    client: &Client,
    object: &Value,
    namespace: &str,
) -> (Api<DynamicObject>, ApiResource) {
    let version = object["apiVersion"].as_str().unwrap();
    let (_, version_alone) = version.rsplit_once('/').unwrap_or(("", version));
    let kind = object["kind"].as_str().unwrap();
    let kind = GroupVersionKind::gvk(group_of(version), version_alone, kind);
    let (resource, capabilities) = pinned_kind(client, &kind).await.unwrap();
    let api = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    (api, resource)
}

/// A xorshift generator: the same cases on every machine.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, case: u64) -> Self {
        let mut dice = Self(
            (seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
                ^ (case + 1).wrapping_mul(0xD1B5_4A32_D192_ED03),
        );
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

struct Case<'a> {
    entry: &'a Zoo,
    api: &'a Api<DynamicObject>,
    resource: &'a ApiResource,
    name: String,
    dice: Dice,
}

type Refused = kube::Error;

impl Case<'_> {
    /// Puts an object into some state, and asks both sides about another.
    async fn run(mut self) -> Result<&'static str, String> {
        let outcome = self.compared().await;
        let _ = self.clean_up().await;
        outcome.unwrap_or(Ok("refused"))
    }

    async fn compared(&mut self) -> Result<Result<&'static str, String>, Refused> {
        let base = self.base();
        let before = self.edited(&base, 4);
        let mut story = String::new();
        self.begin(&before, &mut story).await?;
        for _ in 0..self.dice.below(3) {
            self.interfere(&mut story).await?;
        }
        let start = if self.dice.below(2) == 0 {
            &before
        } else {
            &base
        };
        let most = [0, 0, 1, 4][self.dice.below(4)];
        let after = self.edited(start, most);
        // Controllers write as well: both sides must have seen the same object.
        loop {
            let live = self.live().await?;
            let dry = self.apply(&after, FIELD_MANAGER, Dry::Run).await?;
            if self.live().await? == live {
                return Ok(judge(&after, live, &dry).map_err(|why| {
                    let _ = write!(story, "desired {after}");
                    format!("{why}\n{story}")
                }));
            }
        }
    }

    fn base(&self) -> Value {
        let mut base = self.entry.object.clone();
        base["metadata"]["name"] = json!(self.name);
        if base["kind"] == "CustomResourceDefinition" {
            let plural = self.name.as_str();
            base["metadata"]["name"] = json!(format!("{plural}.made.example.com"));
            let names = json!({"plural": plural, "singular": plural, "kind": plural, "listKind": format!("{plural}list")});
            base["spec"]["names"] = names;
        }
        base
    }

    /// With up to so many random edits.
    fn edited(&mut self, object: &Value, most: usize) -> Value {
        let mut edited = object.clone();
        for _ in 0..self.dice.below(most + 1) {
            let edit = self.dice.pick(&self.entry.edits);
            put(&mut edited, &edit.at, self.dice.pick(&edit.to).clone());
        }
        edited
    }

    /// The object comes to be: by us, by another's apply and then ours, or without us.
    async fn begin(&mut self, before: &Value, story: &mut String) -> Result<(), Refused> {
        match self.dice.below(8) {
            0 => {
                let _ = writeln!(story, "created by another: {before}");
                let object = serde_json::from_value(before.clone()).unwrap();
                let other = PostParams {
                    field_manager: Some("kubectl-create".to_owned()),
                    ..PostParams::default()
                };
                self.api.create(&other, &object).await?;
            }
            1 => {
                let first = self.edited(before, 2);
                let _ = writeln!(story, "applied by helm: {first}\napplied by us: {before}");
                self.apply(&first, "helm", Dry::No).await?;
                self.apply(before, FIELD_MANAGER, Dry::No).await?;
            }
            2 => {
                let first = self.edited(before, 2);
                let _ = writeln!(story, "applied by us: {first}\nand then: {before}");
                self.apply(&first, FIELD_MANAGER, Dry::No).await?;
                self.apply(before, FIELD_MANAGER, Dry::No).await?;
            }
            _ => {
                let _ = writeln!(story, "applied by us: {before}");
                self.apply(before, FIELD_MANAGER, Dry::No).await?;
            }
        }
        Ok(())
    }

    /// Somebody else changes something, by update or by an apply of a few fields.
    async fn interfere(&mut self, story: &mut String) -> Result<(), Refused> {
        let edit = self.dice.pick(&self.entry.edits);
        let to = self.dice.pick(&edit.to).clone();
        let whole = !edit.at.split('/').any(|part| part.parse::<usize>().is_ok());
        if self.dice.below(3) == 0 && whole && to != "<removed>" {
            let mut part = json!({
                "apiVersion": self.entry.object["apiVersion"], "kind": self.entry.object["kind"],
                "metadata": {"name": self.base()["metadata"]["name"]},
            });
            put(&mut part, &edit.at, to);
            let _ = writeln!(story, "applied by another: {part}");
            // Whether it is accepted or not, there is a state to compare with.
            let _ = self.apply(&part, "other", Dry::No).await;
        } else {
            let mut live = self.live().await?;
            let _ = writeln!(story, "updated by another: {} {to}", edit.at);
            put(&mut live, &edit.at, to);
            let object = serde_json::from_value(live).unwrap();
            let other = PostParams {
                field_manager: Some("kubectl-edit".to_owned()),
                ..PostParams::default()
            };
            let name = self.object_name();
            let _ = self.api.replace(&name, &other, &object).await;
        }
        Ok(())
    }

    async fn apply(&self, object: &Value, manager: &str, dry: Dry) -> Result<Value, Refused> {
        let params = PatchParams {
            dry_run: dry == Dry::Run,
            ..PatchParams::apply(manager).force()
        };
        let name = self.object_name();
        let applied = self
            .api
            .patch(&name, &params, &Patch::Apply(object))
            .await?;
        Ok(serde_json::to_value(applied).unwrap())
    }

    async fn live(&self) -> Result<Value, Refused> {
        let live = self.api.get(&self.object_name()).await?;
        let mut live = serde_json::to_value(live).unwrap();
        live["apiVersion"] = json!(self.resource.api_version);
        live["kind"] = json!(self.resource.kind);
        Ok(live)
    }

    async fn clean_up(&self) -> Result<(), Refused> {
        let name = self.object_name();
        let released = json!({"metadata": {"finalizers": null}});
        let _ = self
            .api
            .patch(&name, &PatchParams::default(), &Patch::Merge(released))
            .await;
        self.api
            .delete(&name, &DeleteParams::background())
            .await
            .map(drop)
    }

    fn object_name(&self) -> String {
        self.base()["metadata"]["name"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Dry {
    Run,
    No,
}

/// Puts a value at a JSON pointer, making the maps on the way.
fn put(object: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let last = last.replace("~1", "/").replace("~0", "~");
    let mut at = object;
    for part in parent.split('/').skip(1) {
        let next = match at {
            Value::Array(items) => part
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index)),
            Value::Object(map) => Some(map.entry(part).or_insert_with(|| json!({}))),
            _ => None,
        };
        let Some(next) = next else { return };
        if next.is_null() {
            *next = json!({});
        }
        at = next;
    }
    match at {
        Value::Object(map) if value == "<removed>" => drop(map.remove(&last)),
        Value::Object(map) => drop(map.insert(last, value)),
        _ => {}
    }
}

fn judge(after: &Value, live: Value, dry: &Value) -> Result<&'static str, String> {
    let mut after = after.clone();
    after["metadata"]["namespace"] = live["metadata"]["namespace"].clone();
    let values = same_but_for(&live, dry, &["managedFields"]);
    let owners = owners(&live) == owners(dry);
    let kind = GroupKind::new(
        group_of(after["apiVersion"].as_str().unwrap()),
        after["kind"].as_str().unwrap(),
    );
    let id = ObjectId::parse(
        kind.unwrap(),
        live["metadata"]["namespace"].as_str(),
        live["metadata"]["name"].as_str().unwrap(),
    )
    .unwrap();
    let desired = Desired::new(
        id,
        &after,
        Origin {
            path: "x.yaml".to_owned(),
            line: 1,
        },
    );
    let live = Live::new(live);
    let verdict = compare(&desired, &live);
    let wrong = |what: &str| {
        Err(format!(
            "{what}\nverdict {verdict:#?}\nlive {}\ndry-run {dry}",
            live.body
        ))
    };
    match (&verdict, values, owners) {
        (Verdict::Clean, true, true) => Ok("Clean"),
        (Verdict::Clean, false, _) => wrong("Clean, but an apply changes values"),
        // A built-in type drops an empty list, and only the server knows whether it
        // owns it for us; nothing hangs on it.
        (Verdict::Clean, true, false) if has_empty_list(&desired.body()) => Ok("Clean"),
        (Verdict::Clean, true, false) => wrong("Clean, but an apply changes ownership"),
        (Verdict::Drifted(_), true, true) => wrong("Drifted, but an apply changes nothing"),
        (Verdict::Drifted(_), ..) => Ok("Drifted"),
        (Verdict::Maybe(_), true, true) => Ok("Maybe, same"),
        (Verdict::Maybe(_), ..) => Ok("Maybe, changed"),
        (Verdict::Overruled(..), ..) => wrong("Overruled, though nobody was asked"),
    }
}

/// Everything but what the server counts and stamps by itself.
fn same_but_for(live: &Value, dry: &Value, without: &[&str]) -> bool {
    let stripped = |object: &Value| {
        let mut object = object.clone();
        for field in without.iter().chain(&["resourceVersion", "generation"]) {
            object["metadata"].as_object_mut().unwrap().remove(*field);
        }
        object.as_object_mut().unwrap().remove("status");
        object
    };
    stripped(live) == stripped(dry)
}

fn has_empty_list(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty() || items.iter().any(has_empty_list),
        Value::Object(map) => map.values().any(has_empty_list),
        _ => false,
    }
}

/// Who owns what, without the times.
fn owners(object: &Value) -> BTreeMap<String, Value> {
    let entries = object["metadata"]["managedFields"].as_array();
    entries
        .into_iter()
        .flatten()
        .map(|entry| {
            let who = ["manager", "operation", "subresource", "apiVersion"];
            (
                who.map(|field| entry[field].to_string()).join(" "),
                entry["fieldsV1"].clone(),
            )
        })
        .collect()
}
