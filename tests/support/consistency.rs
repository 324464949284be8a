//! What must hold of a stage whenever it rests, whatever happened before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::audit::AuditPosition;
use super::git::git;
use super::stage::{PATIENCE, Stage};

/// Where an object that is forgotten would be found.
const KINDS: &str = "configmaps,secrets,services,serviceaccounts,deployments.apps,\
                     roles.rbac.authorization.k8s.io,networkpolicies.networking.k8s.io";

const PART_OF: &str = "applyset.kubernetes.io/part-of";

impl Stage<'_> {
    /// `Kind.group/name` of each object in the units' namespace that carries the label
    /// of an ApplySet.
    pub fn labelled(&self) -> BTreeSet<String> {
        self.live()
            .iter()
            .map(|object| format!("{}/{}", kind(object), name(object)))
            .collect()
    }

    fn live(&self) -> Vec<Value> {
        let found = self
            .cluster
            .get(&["-n", &self.namespace, KINDS, "-l", PART_OF]);
        found.map_or_else(Vec::new, |list| {
            list["items"].as_array().expect("it is a list").clone()
        })
    }

    /// Asserts that each labelled object is reachable by its unit's inventory, that the
    /// inventory says no more than that, and that the record tells of exactly these
    /// objects, as they are, by a continuous history.
    ///
    /// # Panics
    /// When something of that does not hold.
    pub fn assert_consistent(&self) {
        let parents = self.parents();
        let mut kinds: BTreeMap<&str, BTreeSet<String>> = parents
            .values()
            .map(|parent| (unit(parent), BTreeSet::new()))
            .collect();
        let mut paths = BTreeSet::new();
        for object in self.live() {
            let id = object["metadata"]["labels"][PART_OF]
                .as_str()
                .expect("it was selected by it");
            let parent = parents
                .get(id)
                .unwrap_or_else(|| panic!("an orphan of no inventory: {object}"));
            kinds
                .get_mut(unit(parent))
                .expect("taken from there")
                .insert(kind(&object));
            let path = format!(
                "{}/{}/{}/{}.yaml",
                unit(parent),
                self.namespace,
                kind(&object),
                name(&object)
            );
            let recorded = self
                .recorded(&path)
                .unwrap_or_else(|| panic!("{path} is not in the record"));
            let recorded: Value = serde_yaml::from_str(&recorded).expect("the record is YAML");
            assert!(
                within(&recorded, &object),
                "{path} is recorded as\n{recorded:#}\nbut live is\n{object:#}"
            );
            paths.insert(path);
        }
        assert_eq!(
            self.recorded_files().into_iter().collect::<BTreeSet<_>>(),
            paths,
            "recorded, and live"
        );
        for parent in parents.values() {
            let said =
                &parent["metadata"]["annotations"]["applyset.kubernetes.io/contains-group-kinds"];
            let said: BTreeSet<String> = said
                .as_str()
                .unwrap_or_default()
                .split(',')
                .map(str::to_owned)
                .collect();
            assert_eq!(
                said,
                kinds[unit(parent)],
                "the inventory's kinds, and those of its objects"
            );
        }
        self.assert_continuous();
    }

    /// Asserts that the record is one line of entries, none of which says nothing new.
    ///
    /// # Panics
    /// When it isn't.
    pub fn assert_continuous(&self) {
        let commits = self.repository.log_as(&self.branch(), "%T %s%x01%P");
        let mut newer: Option<&str> = None;
        for commit in &commits {
            let (told, parents) = commit.split_once('\u{1}').expect("as the format says");
            assert!(
                parents.split_whitespace().count() <= 1,
                "a merge: {commits:#?}"
            );
            let tree = told.split(' ').next();
            assert_ne!(newer, tree, "an entry that changes nothing: {commits:#?}");
            newer = tree;
        }
        let first = commits.last().and_then(|commit| commit.split_once('\u{1}'));
        assert!(
            first.is_some_and(|(_, parents)| parents.is_empty()),
            "it has a beginning: {commits:#?}"
        );
    }

    /// The inventories by the id of their ApplySet.
    fn parents(&self) -> BTreeMap<String, Value> {
        let selector = format!("gitops-agent.dev/environment={}", self.environment);
        let list = self
            .cluster
            .get(&["-n", &self.inventories, "configmaps", "-l", &selector]);
        let items = list.map_or_else(Vec::new, |list| {
            list["items"].as_array().expect("it is a list").clone()
        });
        let id = |parent: &Value| {
            parent["metadata"]["labels"]["applyset.kubernetes.io/id"]
                .as_str()
                .map(str::to_owned)
        };
        items
            .into_iter()
            // What was deleted lately is kept beside them, and has none.
            .filter_map(|parent| Some((id(&parent)?, parent)))
            .collect()
    }

    /// The commit that the record's branch is at.
    pub fn record_tip(&self) -> String {
        git(&self.repository.remote(), &["rev-parse", &self.branch()])
    }

    /// Waits, as closely as can be, until the agent has made so many writes in a
    /// namespace; gives how many there were in the end.
    ///
    /// # Panics
    /// When they don't come.
    pub fn until_writes(&self, namespace: &str, since: AuditPosition, count: usize) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let seen = self.count_writes(namespace, since);
            if seen >= count {
                return seen;
            }
            assert!(
                Instant::now() < deadline,
                "{seen} writes of {count} were seen:\n{}",
                self.log()
            );
            sleep(Duration::from_millis(1));
        }
    }

    /// How many writes the agent has made in a namespace. Reads lines, not events: it
    /// has to be fast.
    pub fn count_writes(&self, namespace: &str, since: AuditPosition) -> usize {
        let mut log = File::open(self.cluster.file("audit.log")).expect("there is an audit log");
        log.seek(SeekFrom::Start(since.bytes()))
            .expect("files can be sought in");
        let place = format!("\"namespace\":\"{namespace}\"");
        let verbs = ["patch", "create", "delete"].map(|verb| format!("\"verb\":\"{verb}\""));
        let lines = BufReader::new(log).lines().map_while(Result::ok);
        lines
            .filter(|line| line.contains(&place) && line.contains("\"userAgent\":\"gitops-agent/"))
            .filter(|line| {
                verbs.iter().any(|verb| line.contains(verb)) && !line.contains("dryRun=")
            })
            .count()
    }
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"]
        .as_str()
        .expect("each object has a name")
}

/// As the record and the inventory write it: `Deployment.apps`, `ConfigMap`.
fn kind(object: &Value) -> String {
    let kind = object["kind"].as_str().expect("each object has a kind");
    match object["apiVersion"]
        .as_str()
        .and_then(|version| version.split_once('/'))
    {
        Some((group, _)) => format!("{kind}.{group}"),
        None => kind.to_owned(),
    }
}

fn unit(parent: &Value) -> &str {
    parent["metadata"]["labels"]["gitops-agent.dev/unit"]
        .as_str()
        .expect("an inventory names its unit")
}

/// Whether everything that the record says is so live. Lists may have more items there.
fn within(recorded: &Value, live: &Value) -> bool {
    match (recorded, live) {
        (Value::Object(recorded), Value::Object(live)) => recorded
            .iter()
            .all(|(key, value)| live.get(key).is_some_and(|live| within(value, live))),
        (Value::Array(recorded), Value::Array(live)) => recorded
            .iter()
            .all(|item| live.iter().any(|live| within(item, live))),
        _ => recorded == live,
    }
}
