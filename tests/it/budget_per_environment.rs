//! What may be deleted unasked is counted over all units of an environment and over an
//! hour; one approval lets all of it go.

use crate::support::git::git;
use crate::support::stage::{PATIENCE, Stage, asked_for};
use crate::support::wait::wait_seeing;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

fn object(name: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n")
}

fn names(units: usize) -> Vec<String> {
    (0..units).map(|number| format!("u{number:02}")).collect()
}

fn configuration(stage: &Stage, units: &[String]) -> String {
    if units.is_empty() {
        let environment = &stage.environment;
        return format!("version: 1\nenvironments:\n  {environment}:\n    units: []\n");
    }
    let units: Vec<(&str, &str)> = units.iter().map(|unit| (unit.as_str(), "")).collect();
    stage.configuration(&units)
}

/// So many units of so many objects, all synced.
fn start(name: &str, units: usize, objects: usize) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    for unit in names(units) {
        for number in 0..objects {
            let name = format!("{unit}-{number}");
            stage
                .repository
                .write(&format!("{unit}/{name}.yaml"), &object(&name));
        }
    }
    let text = configuration(&stage, &names(units));
    let revision = stage.commit("Start", &[("agent.yaml", &text)]);
    stage.start();
    for unit in names(units) {
        stage.until_synced(&unit, &revision);
    }
    assert_eq!(live(&stage), units * objects);
    stage
}

/// How many of the objects are there.
fn live(stage: &Stage) -> usize {
    let listed = stage.kubectl(&["get", "configmap", "-o", "name"]);
    listed.lines().filter(|name| name.contains("/u")).count()
}

fn until_live(stage: &mut Stage, count: usize) {
    stage.until(&format!("{count} objects to be there"), |stage| {
        let seen = live(stage);
        if seen == count {
            Ok(())
        } else {
            Err(format!("{seen}: {}", stage.status()))
        }
    });
}

/// Waits until each of these units says that it asks, and gives the one digest.
fn until_asked(stage: &mut Stage, units: &[String], words: &str) -> String {
    let mut digests: Vec<String> = Vec::new();
    for unit in units {
        let digest = stage.until(&format!("{unit} to ask"), |stage| {
            let seen = stage.unit(unit);
            let message = seen["message"].as_str().unwrap_or_default();
            if seen["state"] == "Blocked" && message.contains(words) {
                asked_for(message).ok_or(seen.to_string())
            } else {
                Err(seen.to_string())
            }
        });
        digests.push(digest);
    }
    digests.dedup();
    let [digest] = &digests[..] else {
        panic!("one digest is for all: {digests:?}");
    };
    digest.clone()
}

fn approve(stage: &Stage, digest: &str) -> String {
    stage.commit(&format!("Let it go\n\nApprove-Plan: {digest}"), &[])
}

#[test]
fn a_commit_that_drops_nearly_all_units_or_all_waits_for_one_approval() {
    let mut stage = start("emptied", 12, 7);
    let all = names(12);
    let text = configuration(&stage, &all[..1]);
    stage.commit("Drop eleven", &[("agent.yaml", &text)]);
    let what = "77 of the environment's 84 objects would be deleted";
    let eleven = until_asked(&mut stage, &all[1..], what);
    assert_eq!(live(&stage), 84);
    let seen = stage.unit("u05");
    let message = seen["message"].as_str().unwrap_or_default();
    let named = "approving it deletes 77 objects of the environment: ConfigMap ";
    assert!(
        message.contains(named) && message.contains("and 67 more"),
        "{message}"
    );
    // Once for all seven of them, and what to approve is what the entry names.
    assert_eq!(message.matches(what).count(), 1, "{message}");
    let entry = stage.until_entry("u05 is blocked");
    assert_eq!(entry.trailer("Plan"), Some(eleven.clone()));
    let ran = stage.diff(&[]);
    assert!(
        ran.stdout.contains(&eleven) && ran.stdout.contains(named),
        "{ran:?}"
    );
    assert_eq!(ran.stdout.matches(what).count(), 11, "{ran:?}");

    let none = configuration(&stage, &[]);
    stage.commit("Drop all", &[("agent.yaml", &none)]);
    let what = "84 of the environment's 84 objects would be deleted, so that nothing of it is left";
    let digest = until_asked(&mut stage, &all, what);
    assert_ne!(digest, eleven);
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains(&digest), "{ran:?}");
    assert_eq!(live(&stage), 84);
    assert_eq!(stage.deletes(), [] as [&str; 0]);

    // One that was approved for less is not enough.
    let revision = approve(&stage, &eleven);
    stage.until_looked_at(&revision);
    assert_eq!(live(&stage), 84);
    approve(&stage, &digest);
    until_live(&mut stage, 0);
    stage.until("the units to leave the record", |stage| {
        let seen = stage.unit("u11");
        if seen.is_null() {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

#[test]
fn many_small_commits_within_an_hour_are_one_large_one() {
    let mut stage = start("slowly", 5, 6);
    let remove = |stage: &Stage, unit: &str, count: usize| {
        let paths: Vec<String> = (0..count)
            .map(|number| format!("{unit}/{unit}-{number}.yaml"))
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        stage.remove(&paths)
    };
    let revision = remove(&stage, "u00", 5);
    until_live(&mut stage, 25);
    stage.until_synced("u00", &revision);
    let revision = remove(&stage, "u01", 5);
    until_live(&mut stage, 20);
    stage.until_synced("u01", &revision);
    stage.daemon().terminate(PATIENCE);
    remove(&stage, "u02", 2);
    stage.daemon().restart();
    let what = "2 of the environment's 30 objects would be deleted, after 10 within the last hour";
    let digest = until_asked(&mut stage, &["u02".to_owned()], what);
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let ran = stage.diff(&[]);
    assert!(
        ran.stdout.contains(what) && ran.stdout.contains(&digest),
        "{ran:?}"
    );
    assert_eq!(live(&stage), 20);
    approve(&stage, &digest);
    until_live(&mut stage, 18);
    stage.until_state("u02", "Synced");
}

#[test]
fn a_stateful_set_that_takes_its_claims_along_asks() {
    let mut stage = Stage::new("claims", AGENT);
    let text = stage.configuration(&[("shop", "")]);
    let set = |name: &str, policy: &str| {
        format!(
            "apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: {name}}}
spec:
  replicas: 0
  serviceName: {name}
  persistentVolumeClaimRetentionPolicy: {{whenDeleted: {policy}}}
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: c, image: registry.example/c:1}}]}}
"
        )
    };
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &text),
            ("shop/keeps.yaml", &set("keeps", "Retain")),
            ("shop/takes.yaml", &set("takes", "Delete")),
            ("shop/u.yaml", &object("u")),
        ],
    );
    stage.start();
    stage.until_synced("shop", &revision);
    stage.remove(&["shop/keeps.yaml", "shop/takes.yaml"]);
    let what = "deleting a StatefulSet deletes its PersistentVolumeClaims and the data on them";
    stage.until_gone("statefulset", "keeps");
    let digest = until_asked(&mut stage, &["shop".to_owned()], what);
    assert!(!stage.get("statefulset", "takes").is_null());
    approve(&stage, &digest);
    stage.until_gone("statefulset", "takes");
    stage.until_state("shop", "Synced");
}

/// Objects that somebody applies under our field manager's name, with the label of a unit.
fn forge(stage: &Stage, unit: &str, numbers: std::ops::Range<usize>) {
    let of_unit = stage.get("configmap", &format!("{unit}-0"));
    let label = "applyset.kubernetes.io/part-of";
    let set = of_unit["metadata"]["labels"][label].as_str();
    let set = set.expect("it is labelled");
    let forged = numbers.map(|number| {
        format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: forged-{number}, labels: {{{label}: {set}}}}}\n")
    });
    let forged: Vec<String> = forged.collect();
    stage.kubectl_apply(&forged.join("---\n"), "gitops-agent");
}

#[test]
fn forged_objects_count_for_nothing() {
    let mut stage = start("counted", 3, 10);
    forge(&stage, "u00", 0..50);
    let revision = stage.remove(&["u00/u00-9.yaml"]);
    until_live(&mut stage, 29);
    stage.until_synced("u00", &revision);

    let paths: Vec<String> = (0..9)
        .map(|number| format!("u01/u01-{number}.yaml"))
        .collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    stage.remove(&paths);
    // Of ten of thirty nobody is asked; of one more somebody is.
    until_live(&mut stage, 20);
    stage.until_state("u01", "Synced");
    stage.remove(&["u02/u02-0.yaml", "u02/u02-1.yaml"]);
    let what = "2 of the environment's 30 objects would be deleted, after 10 within the last hour";
    let asking = ["u02".to_owned()];
    let digest = until_asked(&mut stage, &asking, what);
    forge(&stage, "u02", 50..60);
    let told = "/forged-59 is kept";
    wait_seeing(told, PATIENCE, || {
        let log = stage.log();
        log.contains(told).then_some(()).ok_or(log)
    });
    let revision = stage.commit("Nothing", &[]);
    stage.until_looked_at(&revision);
    assert_eq!(until_asked(&mut stage, &asking, what), digest);
    approve(&stage, &digest);
    until_live(&mut stage, 18);
    let forged = stage.kubectl(&["get", "configmap", "-o", "name"]);
    assert_eq!(forged.matches("/forged-").count(), 60);
    // Fifty of them are not told one by one, in the log, the record or the status.
    assert_eq!(stage.entries_on("u00 keeps objects").len(), 1);
    let log = stage.log();
    let of_first = |line: &&str| line.contains("/forged-") && line.contains("\"unit\":\"u00\"");
    assert_eq!(log.lines().filter(of_first).count(), 10, "{log}");
}

#[test]
fn what_others_take_away_is_asked_about_no_more() {
    let mut stage = start("eased", 5, 6);
    let paths = ["u00", "u01"].map(|unit| {
        let paths = (0..6).map(|number| format!("{unit}/{unit}-{number}.yaml"));
        paths.collect::<Vec<String>>()
    });
    for unit in ["u00", "u01"] {
        stage.repository.write(
            &format!("{unit}/stays.yaml"),
            &object(&format!("{unit}-stays")),
        );
    }
    let paths: Vec<&str> = paths.iter().flatten().map(String::as_str).collect();
    stage.remove(&paths);
    let what = "12 of the environment's 30 objects would be deleted";
    until_asked(&mut stage, &["u00".to_owned(), "u01".to_owned()], what);
    // What is left of it is little enough, and perhaps so before all of these are gone.
    let names: Vec<String> = (0..6).map(|number| format!("u00-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    stage.kubectl(&[&["delete", "configmap", "--ignore-not-found"][..], &names].concat());
    stage.until_gone("configmap", "u01-0");
    until_live(&mut stage, 20);
}

/// Ends the agent and has it begin with neither its data directory nor its record.
fn begin_anew(stage: &mut Stage, meanwhile: impl FnOnce(&Stage)) {
    stage.daemon().terminate(PATIENCE);
    std::fs::remove_dir_all(stage.daemon().home().join("data")).unwrap();
    let branch = format!("refs/heads/{}", stage.branch());
    git(&stage.repository.remote(), &["update-ref", "-d", &branch]);
    meanwhile(stage);
    stage.daemon().restart();
}

#[test]
fn what_was_deleted_is_remembered_without_record_and_data_directory() {
    let mut stage = start("remembered", 5, 6);
    for (unit, left) in [("u00", 25), ("u01", 20)] {
        let paths: Vec<String> = (0..5)
            .map(|number| format!("{unit}/{unit}-{number}.yaml"))
            .collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let revision = stage.remove(&paths);
        until_live(&mut stage, left);
        stage.until_synced(unit, &revision);
    }
    begin_anew(&mut stage, |stage| {
        stage.remove(&["u02/u02-0.yaml", "u02/u02-1.yaml"]);
    });
    let asking = ["u02".to_owned()];
    let what = "2 of the environment's 30 objects would be deleted, after 10 within the last hour";
    until_asked(&mut stage, &asking, what);

    // Nobody is left who could tell.
    let tally = format!("{}.tally.gitops-agent", stage.environment);
    let get = ["-n", &stage.inventories, "get", "configmap", &tally, "-o"];
    let data = [&get[..], &["jsonpath={.data}"]].concat();
    let before = stage.cluster.kubectl(&data);
    begin_anew(&mut stage, |stage| {
        let words = ["-n", &stage.inventories, "delete", "configmap", &tally];
        stage.cluster.kubectl(&words);
    });
    let what = "2 of the environment's 20 objects would be deleted, and it is not known how many";
    until_asked(&mut stage, &asking, what);
    // That it is not known is not forgotten either.
    begin_anew(&mut stage, |_| ());
    until_asked(&mut stage, &asking, what);
    // Neither when somebody puts back what was said before.
    stage.daemon().terminate(PATIENCE);
    let patch = format!("{{\"data\": {before}}}");
    let words = ["-n", &stage.inventories, "patch", "configmap", &tally];
    stage
        .cluster
        .kubectl(&[&words[..], &["-p", &patch]].concat());
    stage.remove(&["u02/u02-2.yaml"]);
    stage.daemon().restart();
    let what = "3 of the environment's 20 objects would be deleted, and it is not known how many";
    let digest = until_asked(&mut stage, &asking, what);
    assert_eq!(live(&stage), 20);
    approve(&stage, &digest);
    until_live(&mut stage, 17);
}

/// Everything that knew of an agent before is lost with what it had deleted.
fn forgotten(name: &str, lose: impl FnOnce(&Stage)) {
    let mut stage = start(name, 2, 8);
    begin_anew(&mut stage, |stage| {
        let tally = format!("{}.tally.gitops-agent", stage.environment);
        let delete = ["-n", &stage.inventories, "delete", "--ignore-not-found"];
        let words = [&delete[..], &["configmap", &tally]].concat();
        stage.cluster.kubectl(&words);
        lose(stage);
    });
    for unit in ["u00", "u01"] {
        stage.until_state(unit, "Synced");
    }
    stage.remove(&["u00/u00-1.yaml"]);
    let what = "1 of the environment's 16 objects would be deleted, and it is not known how many";
    until_asked(&mut stage, &["u00".to_owned()], what);
    assert_eq!(live(&stage), 16);
}

#[test]
fn nobody_knows_the_last_hour_once_the_key_is_gone_too() {
    forgotten("forgotten-key", |stage| {
        let secret = "gitops-agent-digest-key";
        let words = ["-n", &stage.inventories, "delete", "secret", secret];
        stage.cluster.kubectl(&words);
    });
}

#[test]
fn nobody_knows_the_last_hour_once_the_inventories_are_gone_too() {
    forgotten("forgotten-lists", |stage| {
        let lists = ["u00", "u01"].map(|unit| format!("{}.{unit}", stage.environment));
        let delete = ["-n", &stage.inventories, "delete", "configmap"];
        let words = [&delete[..], &[&lists[0], &lists[1]]].concat();
        stage.cluster.kubectl(&words);
    });
}

/// A unit of twenty objects with this limit, beside one with ten.
fn limited(stage: &Stage, limit: &str, left: usize) -> String {
    for number in 0..20 {
        let path = format!("u00/u00-{number}.yaml");
        if number < left {
            let name = format!("u00-{number}");
            stage.repository.write(&path, &object(&name));
        } else {
            stage.repository.remove(&path);
        }
    }
    let text = stage.configuration(&[("u00", limit), ("u01", "")]);
    stage.commit("Limit it", &[("agent.yaml", &text)])
}

#[test]
fn a_limit_that_is_raised_holds_once_it_was_enforced() {
    let mut stage = start("raised", 2, 20);
    let looser = "maxPrune: {count: 100, percent: 100}";
    limited(&stage, looser, 8);
    let asking = ["u00".to_owned()];
    let what = "12 of the environment's 40 objects would be deleted";
    let digest = until_asked(&mut stage, &asking, what);
    stage.repository.git(&["fetch", "--quiet", "origin"]);
    let ran = stage.diff(&[]);
    assert!(ran.stdout.contains(&digest), "{ran:?}");
    // Neither does a new process know better.
    stage.daemon().terminate(PATIENCE);
    stage.daemon().restart();
    until_asked(&mut stage, &asking, what);
    assert_eq!(live(&stage), 40);

    // By itself the same limit is one like any other, and lets go what leaves after it.
    let revision = limited(&stage, looser, 20);
    stage.until_state("u00", "Synced");
    stage.until_looked_at(&revision);
    stage.daemon().terminate(PATIENCE);
    limited(&stage, looser, 8);
    stage.daemon().restart();
    until_live(&mut stage, 28);
}
