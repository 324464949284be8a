#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::model::{EnvironmentName, Signature};
use crate::record::BranchPattern;
use crate::record::{Entry, Event, RecordBranch};
use crate::source::scratch::{Scratch, commit_on, git};

fn staging() -> EnvironmentName {
    "staging".parse().unwrap()
}

fn entry(unit: &str, subject: &str, changes: &[(&str, Option<&str>)]) -> Entry {
    let trailers = [
        ("Environment", "staging"),
        ("Unit", unit),
        ("Event", "sync"),
        ("Cause", "revision"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let changes = changes.iter().map(|(path, content)| {
        let content = content.map(|text| text.as_bytes().to_vec());
        ((*path).to_owned(), content)
    });
    let time = Timestamp::from_second(1_790_000_005).unwrap();
    Entry {
        subject: format!("staging: {subject}"),
        body: String::new(),
        trailers: trailers.into_iter().map(owned).collect(),
        author: Signature {
            name: "Ada".to_owned(),
            email: String::new(),
            time,
        },
        time,
        changes: changes.collect::<BTreeMap<_, _>>(),
    }
}

fn record(scratch: &Scratch, entries: &[Entry]) {
    let mut record = RecordBranch::open(
        &scratch.data(),
        scratch.remote(),
        &staging(),
        &BranchPattern::default(),
    )
    .unwrap();
    for entry in entries {
        record.append(entry).unwrap();
    }
    record.push().unwrap();
}

fn view(scratch: &Scratch) -> RecordView {
    let view =
        RecordView::in_repository(&scratch.repository, &staging(), &BranchPattern::default());
    view.unwrap().unwrap()
}

const WEB: &str = "shop/shop/Deployment.apps/web.yaml";

#[test]
fn entries_come_newest_first_and_an_object_has_its_own() {
    let scratch = Scratch::bare();
    let other = "shop/shop/ConfigMap/web.yaml";
    record(
        &scratch,
        &[
            entry(
                "shop",
                "one",
                &[(WEB, Some("replicas: 3\n")), (other, Some("a\n"))],
            ),
            entry("shop", "two", &[(other, Some("b\n"))]),
            entry("shop", "three", &[(WEB, Some("replicas: 5\n"))]),
            entry("base", "four, of another unit", &[]),
            entry("base", "Deployment shop/web is contended", &[]),
        ],
    );
    commit_on(&scratch.repository, "live/staging", WEB, "replicas: 7\n");
    let view = view(&scratch);
    let all: Vec<Recorded> = view.history().map(Result::unwrap).collect();
    let subjects: Vec<&str> = all.iter().map(|entry| entry.subject.as_str()).collect();
    let contended = "Deployment shop/web is contended";
    let by_hand = "Set shop/shop/Deployment.apps/web.yaml";
    let four = "four, of another unit";
    assert_eq!(subjects, [by_hand, contended, four, "three", "two", "one"]);
    assert_eq!(all[0].facts, None);
    assert_eq!(all[5].event(), Some(Event::Sync));

    let web: ObjectPattern = "Deployment/shop/web".parse().unwrap();
    let mut files = ObjectFiles::new(&view, &web);
    let lines = |change: Option<FileChange>| change.map(|change| change.lines(&view).unwrap());
    let changed: Vec<Option<Vec<String>>> = all
        .iter()
        .map(|entry| lines(files.change(entry).unwrap()))
        .collect();
    let diff = |lines: &[&str]| Some(lines.iter().map(|&line| line.to_owned()).collect());
    assert_eq!(
        changed,
        [
            diff(&["-replicas: 5", "+replicas: 7"]),
            None,
            None,
            diff(&["-replicas: 3", "+replicas: 5"]),
            None,
            diff(&["+replicas: 3"]),
        ]
    );
    assert!(all[1].names(&web) && !all[2].names(&web));
    let found: Vec<String> = view
        .find(&web)
        .unwrap()
        .into_iter()
        .map(|(path, _)| path)
        .collect();
    assert_eq!(found, [WEB]);
}

#[test]
fn a_shallow_clone_says_that_it_is_cut() {
    let scratch = Scratch::bare();
    let entries: Vec<Entry> = (0..4).map(|n| entry("shop", &n.to_string(), &[])).collect();
    record(&scratch, &entries);
    let clone = scratch.directory.path().join("clone");
    let url = format!("file://{}", scratch.repository.display());
    let branch = [
        "clone",
        "--quiet",
        "--depth=2",
        "--branch=live/staging",
        &url,
    ];
    git(
        scratch.directory.path(),
        &[&branch[..], &[clone.to_str().unwrap()]].concat(),
    );
    let view = RecordView::in_repository(&clone, &staging(), &BranchPattern::default())
        .unwrap()
        .unwrap();
    let mut history = view.history();
    let read: Vec<Recorded> = history.by_ref().map(Result::unwrap).collect();
    assert_eq!((read.len(), history.is_cut()), (2, true));
}
