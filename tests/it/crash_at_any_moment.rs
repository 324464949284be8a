//! `kill -9` at any moment of a sync: started again, the agent converges, forgets no
//! object, and goes on with the record as if nothing had been.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::support::audit::AuditPosition;
use crate::support::stage::{PATIENCE, Stage};
use crate::support::wait::wait_seeing;

/// `ConfigMaps` of a generation; as many again are Services and `ServiceAccounts`.
const CONFIG_MAPS: usize = 20;

/// Where the sync is when the agent is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The commit has just been pushed.
    Pushed,
    /// The inventory has been widened.
    Widened,
    /// So many objects have been written: applied, or deleted.
    Written(usize),
    /// The inventory's list has got the uids of what was applied.
    Listed,
}

#[test]
fn a_sync_that_was_killed_is_finished_by_the_next_start() {
    let mut stage = Stage::new("crash", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 0);
    stage.start();
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
    let forged = forge(&stage);

    let total = 2 * names(0).len() - 1;
    let moments = [0, 1, 9, 20, 40, 42, 60, total - 1, total].map(Moment::Written);
    let mut midway = 0;
    for (number, moment) in [Moment::Pushed, Moment::Widened, Moment::Listed]
        .into_iter()
        .chain(moments)
        .enumerate()
    {
        let generation = number + 1;
        let position = stage.cluster.audit_position();
        let revision = commit(&stage, generation);
        until(&stage, moment, position);
        stage.daemon().kill();
        let written = stage.count_writes(&stage.namespace, position);
        midway += usize::from(written > 0 && written < total);
        println!("{moment:?}: killed after {written} writes of {total}");

        stage.daemon().restart();
        until_settled(&mut stage, &revision);
        assert_eq!(stage.labelled(), names(generation), "killed at {moment:?}");
        stage.assert_consistent();
    }
    assert!(midway >= 3, "too few were killed in the middle: {midway}");
    for entry in stage.entries() {
        let objects = entry
            .paths
            .iter()
            .filter(|path| path.matches('/').count() == 3);
        let event = entry.trailer("Event").unwrap_or_default();
        let tells = ["sync", "prune"].contains(&&*event);
        assert!(tells || objects.count() == 0, "{}", entry.message);
        assert_eq!(tells, entry.author.starts_with("Ada"), "{}", entry.message);
    }
    assert_eq!(uid_of_forged(&stage), forged);
}

/// What is gone from Git by the next start was being created when the agent was killed:
/// it is found, with or without its uid on the list.
#[test]
fn what_was_created_and_left_git_before_the_next_start_is_pruned() {
    let mut stage = Stage::new("intended", env!("CARGO_BIN_EXE_agent"));
    let forged = forge(&stage);
    let total = names(1).len();
    let moments = [1, 20, total].map(Moment::Written);
    commit(&stage, 1);
    stage.start();
    for (number, moment) in moments.into_iter().chain([Moment::Listed]).enumerate() {
        let position = stage.cluster.audit_position();
        commit(&stage, 2 * number + 1);
        if number > 0 {
            stage.daemon().restart();
        }
        until(&stage, moment, position);
        stage.daemon().kill();
        let revision = commit(&stage, 2 * number + 2);
        stage.daemon().restart();
        until_settled(&mut stage, &revision);
        assert_eq!(
            stage.labelled(),
            names(2 * number + 2),
            "killed at {moment:?}"
        );
        stage.assert_consistent();
        stage.daemon().kill();
    }
    assert_eq!(uid_of_forged(&stage), forged);
}

/// An object with the unit's label that nobody has applied for it, where the unit has none.
fn forge(stage: &Stage<'_>) -> String {
    let parent = format!(
        "{}.shop.{}.ConfigMap.",
        stage.environment, stage.inventories
    );
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(parent));
    let label = format!("applyset.kubernetes.io/part-of=applyset-{hash}-v1");
    let name = format!("forged-{}", stage.namespace);
    let inside = ["-n", "default"];
    let create = ["create", "configmap", &name];
    stage.cluster.kubectl(&[&inside[..], &create].concat());
    let mark = ["label", "configmap", &name, &label];
    stage.cluster.kubectl(&[&inside[..], &mark].concat());
    uid_of_forged(stage)
}

fn uid_of_forged(stage: &Stage<'_>) -> String {
    let name = format!("forged-{}", stage.namespace);
    let object = stage.cluster.get(&["-n", "default", "configmap", &name]);
    object.expect("it stays")["metadata"]["uid"].to_string()
}

#[test]
fn an_entry_that_was_not_pushed_is_pushed_by_the_next_start() {
    let mut stage = Stage::new("unpushed", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 0);
    stage.start();
    stage.until_synced("shop", &revision);
    let before = stage.entries().len();

    let lock = lock_record(&stage);
    let revision = commit(&stage, 1);
    until_refused(&stage);
    stage.daemon().kill();
    assert_eq!(stage.entries().len(), before, "and nothing of it was told");
    fs::remove_file(lock).unwrap();

    stage.daemon().restart();
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
    let told: Vec<String> = stage
        .entries()
        .into_iter()
        .skip(before)
        .map(|entry| entry.subject)
        .collect();
    let sync = format!(
        "{}: sync shop to {}: 41 created, 1 changed, 41 pruned",
        stage.environment,
        &revision[..8]
    );
    assert_eq!(told, [sync]);
}

#[test]
fn what_was_done_and_never_told_is_told_as_it_is_found() {
    let mut stage = Stage::new("untold", env!("CARGO_BIN_EXE_agent"));
    let revision = commit(&stage, 0);
    stage.start();
    stage.until_synced("shop", &revision);

    let lock = lock_record(&stage);
    let revision = commit(&stage, 1);
    until_refused(&stage);
    stage.daemon().kill();
    fs::remove_file(lock).unwrap();
    // Its disk is lost as well, and the entries that waited there.
    fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();

    stage.daemon().restart();
    stage.until_synced("shop", &revision);
    stage.assert_consistent();
    let last = stage.entries().pop().unwrap();
    let found = format!(
        "{}: found shop synced to {}: 41 created, 1 changed, 41 pruned",
        stage.environment,
        &revision[..8]
    );
    assert_eq!(last.subject, found);
}

/// What keeps every writer, the agent too, from moving the branch of the record.
fn lock_record(stage: &Stage) -> std::path::PathBuf {
    let lock = stage
        .repository
        .remote()
        .join(format!("refs/heads/{}.lock", stage.branch()));
    fs::write(&lock, "").unwrap();
    lock
}

fn until_refused(stage: &Stage) {
    wait_seeing("the push of the record to fail", PATIENCE, || {
        let log = stage.log();
        let told = log.contains("the record waits to be pushed");
        told.then_some(()).ok_or(log)
    });
    assert_eq!(
        stage.labelled(),
        names(1),
        "what is to be told has been done"
    );
}

fn until(stage: &Stage, moment: Moment, position: AuditPosition) {
    match moment {
        Moment::Pushed => {}
        Moment::Widened => drop(stage.until_writes(&stage.inventories, position, 1)),
        Moment::Listed => drop(stage.until_writes(&stage.inventories, position, 2)),
        Moment::Written(count) => drop(stage.until_writes(&stage.namespace, position, count)),
    }
}

/// A generation has nothing in common with the one before but its Deployment, and a
/// kind that the other does not have.
fn commit(stage: &Stage, generation: usize) -> String {
    let configuration = stage.configuration(&[("shop", "maxPrune: {count: 1000, percent: 100}")]);
    let objects = objects(generation);
    stage.repository.write("agent.yaml", &configuration);
    stage.repository.write("shop/objects.yaml", &objects);
    // What goes is approved by the same commit, so that nothing is waited for in between.
    let diff = stage.diff(&[]).stdout;
    let approvals: BTreeSet<String> = diff.split('`').filter_map(approval).collect();
    let approvals: Vec<String> = approvals.into_iter().collect();
    let message = format!("Generation {generation}\n\n{}", approvals.join("\n"));
    let files = [
        ("agent.yaml", configuration.as_str()),
        ("shop/objects.yaml", &objects),
    ];
    stage.commit(&message, &files)
}

fn approval(text: &str) -> Option<String> {
    text.starts_with("Approve-Plan: ").then(|| text.to_owned())
}

/// Waits until the unit is as a revision declares. What is left to be deleted after a kill
/// is another plan, and is approved as such.
fn until_settled(stage: &mut Stage, revision: &str) {
    let mut approved = BTreeSet::new();
    loop {
        let asked = stage.until("shop to be synced, or to ask", |stage| {
            let unit = stage.unit("shop");
            let of_this = unit["revision"] == *revision;
            if of_this && unit["state"] == "Synced" {
                return Ok(None);
            }
            let message = unit["message"].as_str().unwrap_or_default();
            let asked = message.split('`').find_map(approval);
            let asked = asked.filter(|it| of_this && !approved.contains(it));
            asked.map(Some).ok_or_else(|| unit.to_string())
        });
        let Some(approval) = asked else { return };
        stage.commit(&format!("Let them go\n\n{approval}"), &[]);
        approved.insert(approval);
    }
}

fn ids(generation: usize) -> Vec<(&'static str, String)> {
    let mut ids: Vec<(&str, String)> = Vec::new();
    for number in 0..CONFIG_MAPS {
        ids.push(("v1 ConfigMap", format!("g{generation}-{number}")));
        let other = if number % 2 == 0 {
            "v1 Service"
        } else {
            "v1 ServiceAccount"
        };
        ids.push((other, format!("g{generation}-{number}")));
    }
    let odd = generation % 2 == 1;
    let own = if odd {
        "rbac.authorization.k8s.io/v1 Role"
    } else {
        "networking.k8s.io/v1 NetworkPolicy"
    };
    ids.push((own, format!("g{generation}")));
    ids.push(("apps/v1 Deployment", "web".to_owned()));
    ids
}

fn names(generation: usize) -> BTreeSet<String> {
    let name = |(kind, name): &(&str, String)| {
        let (version, kind) = kind.split_once(' ').unwrap();
        match version.split_once('/') {
            Some((group, _)) => format!("{kind}.{group}/{name}"),
            None => format!("{kind}/{name}"),
        }
    };
    ids(generation).iter().map(name).collect()
}

fn objects(generation: usize) -> String {
    let mut text = String::new();
    for (kind, name) in ids(generation) {
        let (version, kind) = kind.split_once(' ').unwrap();
        let spec = match kind {
            "ConfigMap" => format!("data: {{generation: '{generation}'}}"),
            "Service" => "spec: {ports: [{port: 80}]}".to_owned(),
            "Role" => "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]".to_owned(),
            "NetworkPolicy" => "spec: {podSelector: {}}".to_owned(),
            "Deployment" => format!(
                "spec: {{selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}}, \
                 spec: {{containers: [{{name: web, image: 'web:{generation}'}}]}}}}}}"
            ),
            _ => String::new(),
        };
        writeln!(
            text,
            "---\napiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}}}\n{spec}"
        )
        .unwrap();
    }
    text
}
