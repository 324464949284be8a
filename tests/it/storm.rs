//! However many objects a commit changes, each unit tells of it in one entry that a person
//! can read, since a unit is what comes to its state as one; the tree has every object.
//!
//! Ten thousand objects in one unit take minutes here, and make the same entry: its text
//! names fifty of them whatever their number, which is more than that already.

use crate::support::stage::{Entry, Stage};

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// How many objects the large unit has.
const MANY: usize = 1_000;

/// How many other units the same commit changes, and the objects of each.
const UNITS: usize = 20;
const FEW: usize = 5;

fn config_maps(unit: &str, count: usize, value: &str) -> (String, String) {
    let one = |at: usize| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {unit}-{at:05}}}\ndata: {{a: {value}, b: same}}\n"
        )
    };
    let text = (0..count).map(one).collect::<Vec<_>>().join("---\n");
    (format!("{unit}/all.yaml"), text)
}

/// Commits all objects with a value, and waits until all units are there.
fn change(stage: &mut Stage<'_>, value: &str) -> String {
    let units: Vec<String> = (0..UNITS).map(|at| format!("unit-{at}")).collect();
    let mut all: Vec<(&str, &str)> = vec![("storm", "")];
    all.extend(units.iter().map(|name| (name.as_str(), "")));
    let mut files = vec![("agent.yaml".to_owned(), stage.configuration(&all))];
    files.push(config_maps("storm", MANY, value));
    files.extend(units.iter().map(|name| config_maps(name, FEW, value)));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let revision = stage.commit(&format!("Say {value}"), &files);
    if value == "one" {
        stage.start();
    }
    for name in all.iter().map(|(name, _)| name) {
        stage.until_synced(name, &revision);
    }
    revision
}

#[test]
fn a_commit_that_changes_everything_is_one_entry_for_each_unit() {
    let mut stage = Stage::new("storm", AGENT);
    change(&mut stage, "one");
    let before = stage.entries().len();
    assert_eq!(before, UNITS + 1);
    let revision = change(&mut stage, "two");
    let entries = stage.entries().split_off(before);
    let mut subjects: Vec<&str> = entries.iter().map(|it| it.subject.as_str()).collect();
    subjects.sort_unstable();
    let (environment, short) = (&stage.environment, &revision[..8]);
    let subject =
        |unit: &str, count| format!("{environment}: sync {unit} to {short}: {count} changed");
    let mut expected: Vec<String> = (0..UNITS)
        .map(|at| subject(&format!("unit-{at}"), FEW))
        .collect();
    expected.push(subject("storm", MANY));
    expected.sort_unstable();
    assert_eq!(subjects, expected);

    let of_storm = |entry: &&Entry| entry.trailer("Unit").as_deref() == Some("storm");
    let entry = entries.iter().find(of_storm).unwrap();
    assert!(entry.message.len() < 8_000, "{}", entry.message);
    let more = format!("\n… and {} more\n", MANY - 50);
    assert!(entry.message.contains(&more), "{}", entry.message);
    let named = format!("\nchange ConfigMap {}/storm-00049\n", stage.namespace);
    assert!(entry.message.contains(&named), "{}", entry.message);
    let objects = entry
        .paths
        .iter()
        .filter(|path| path.contains("/ConfigMap/"));
    assert_eq!(objects.count(), MANY);
}
