#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jiff::Timestamp;

use super::*;
use crate::model::Signature as Author;
use crate::record::BranchPattern;
use crate::record::{Entry, RecordBranch};
use crate::source::scratch::{Scratch, git};

fn staging() -> EnvironmentName {
    "staging".parse().unwrap()
}

fn entry(number: usize, source: &Revision) -> Entry {
    let time = Timestamp::from_second(1_790_000_000 + i64::try_from(number).unwrap()).unwrap();
    let trailers = [
        ("Environment", "staging"),
        ("Unit", "web"),
        ("Event", "sync"),
        ("Cause", "revision"),
        ("State", "Synced"),
        ("Revision", source.as_str()),
        ("Took", "1.5s"),
    ];
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    Entry {
        subject: format!("staging: sync web, the {number}th"),
        body: String::new(),
        trailers: trailers.into_iter().map(owned).collect(),
        author: Author {
            name: "Ada".to_owned(),
            email: String::new(),
            time,
        },
        time,
        changes: BTreeMap::new(),
    }
}

struct Story {
    scratch: Scratch,
    record: RecordBranch,
    sources: Vec<Revision>,
}

impl Story {
    fn new() -> Self {
        let scratch = Scratch::bare();
        let record = RecordBranch::open(
            &scratch.data(),
            scratch.remote(),
            &staging(),
            &BranchPattern::default(),
        )
        .unwrap();
        Self {
            scratch,
            record,
            sources: Vec::new(),
        }
    }

    fn goes_on(&mut self, entries: usize) {
        for _ in 0..entries {
            let number = self.sources.len();
            let source = self.scratch.commit("file", &number.to_string());
            self.record.append(&entry(number, &source)).unwrap();
            self.sources.push(source);
        }
        self.record.push().unwrap();
    }

    fn view(&self) -> RecordView {
        let view = RecordView::in_repository(
            &self.scratch.repository,
            &staging(),
            &BranchPattern::default(),
        );
        view.unwrap().unwrap()
    }

    fn notes_of(&self, source: &Revision) -> String {
        let shown = [
            "notes",
            "--ref=refs/notes/agent/staging",
            "show",
            source.as_str(),
        ];
        self.scratch.git(&shown)
    }

    fn notes_tip(&self) -> Oid {
        let tip = self.scratch.git(&["rev-parse", "refs/notes/agent/staging"]);
        Oid::from_str(tip.trim()).unwrap()
    }
}

#[test]
fn they_are_the_same_commits_however_they_are_made() {
    let mut story = Story::new();
    let data = story.scratch.data();
    let mut pushed = story.record.notes(&data, story.scratch.remote());
    story.goes_on(3);
    pushed.push().unwrap();
    let first = story.notes_tip();
    story.goes_on(2);
    pushed.push().unwrap();
    let tip = story.notes_tip();
    let ancestor = [first, tip].map(|id| id.to_string());
    story
        .scratch
        .git(&["merge-base", "--is-ancestor", &ancestor[0], &ancestor[1]]);
    let told = story.notes_of(&story.sources[1]);
    assert!(
        told.starts_with("web: deployed 2026-09-21T14:13:21Z, healthy after 1.5s"),
        "{told}"
    );

    // In one go, and from the record alone.
    let into = &story.scratch.repository;
    let rebuilt = story.view().rebuild_notes(into).unwrap().unwrap();
    assert_eq!(rebuilt, (tip, true, 5));
    // By a process that has nothing but what the remote has.
    let elsewhere = story.scratch.directory.path().join("elsewhere");
    let mut fresh = story.record.notes(&elsewhere, story.scratch.remote());
    fresh.push().unwrap();
    story.goes_on(1);
    fresh.push().unwrap();
    assert_eq!(
        story
            .view()
            .rebuild_notes(&story.scratch.repository)
            .unwrap()
            .unwrap(),
        (story.notes_tip(), true, 6)
    );
    // It has not made the old ones again.
    let objects = git(
        &elsewhere
            .join("notes")
            .read_dir()
            .unwrap()
            .next()
            .unwrap()
            .unwrap()
            .path(),
        &["rev-list", "--count", "refs/notes/agent/staging"],
    );
    assert_eq!(objects.trim(), "6");
}

#[test]
fn a_storm_makes_the_same_commits_as_one_pack() {
    let mut story = Story::new();
    let places = ["each", "later"].map(|name| story.scratch.directory.path().join(name));
    let [mut each, mut later] =
        [&places[0], &places[1]].map(|place| story.record.notes(place, story.scratch.remote()));
    story.goes_on(2);
    each.push().unwrap();
    later.push().unwrap();
    for _ in 0..PACKED + 2 {
        story.goes_on(1);
        each.push().unwrap();
    }
    let tip = story.notes_tip();
    story
        .scratch
        .git(&["update-ref", "-d", "refs/notes/agent/staging"]);
    later.push().unwrap();
    assert_eq!(story.notes_tip(), tip);

    let [each, later] = places.map(|place| {
        let mut found = place.join("notes").read_dir().unwrap();
        found.next().unwrap().unwrap().path()
    });
    assert!(git(&each, &["count-objects", "-v"]).contains("packs: 0\n"));
    let counted = git(&later, &["count-objects", "-v"]);
    assert!(counted.contains("count: 0\n"), "{counted}");
    git(&later, &["fsck", "--strict", "--connectivity-only"]);
    let listed = git(&later, &["rev-list", "--count", "refs/notes/agent/staging"]);
    assert_eq!(listed.trim(), (PACKED + 4).to_string());
}

#[test]
fn a_copy_of_many_packs_is_fetched_anew() {
    let mut story = Story::new();
    let data = story.scratch.data();
    let mut pushed = story.record.notes(&data, story.scratch.remote());
    story.goes_on(PACKED);
    pushed.push().unwrap();
    let mut found = data.join("notes").read_dir().unwrap();
    let copy = found.next().unwrap().unwrap().path();
    let packs = copy.join("objects/pack");
    let files: Vec<_> = packs.read_dir().unwrap().map(Result::unwrap).collect();
    for number in 0..=200 {
        for file in &files {
            let path = file.path();
            let end = path.extension().unwrap().to_str().unwrap();
            let other = packs.join(format!("pack-{number:040x}.{end}"));
            std::fs::copy(&path, other).unwrap();
        }
    }
    story.goes_on(1);
    pushed.push().unwrap();
    assert!(!copy.exists());
    // What somebody has put there meanwhile is no obstacle.
    let reference = "refs/notes/agent/staging";
    let older = format!("{reference}~2");
    story.scratch.git(&["update-ref", reference, &older]);
    story.goes_on(1);
    pushed.push().unwrap();
    assert!(packs.read_dir().unwrap().count() < 10);
    let into = &story.scratch.repository;
    let rebuilt = story.view().rebuild_notes(into).unwrap().unwrap();
    assert_eq!(rebuilt, (story.notes_tip(), true, PACKED + 2));
}

#[test]
fn what_somebody_else_puts_there_goes_and_what_is_gone_comes_back() {
    let mut story = Story::new();
    let data = story.scratch.data();
    let mut pushed = story.record.notes(&data, story.scratch.remote());
    story.goes_on(2);
    pushed.push().unwrap();
    let tip = story.notes_tip();
    let by_hand = [
        "notes",
        "--ref=refs/notes/agent/staging",
        "add",
        "-f",
        "-m",
        "mine",
    ];
    story
        .scratch
        .git(&[&by_hand[..], &[story.sources[0].as_str()]].concat());
    story.goes_on(1);
    pushed.push().unwrap();
    assert!(
        story
            .notes_of(&story.sources[0])
            .starts_with("web: deployed")
    );
    story
        .scratch
        .git(&["update-ref", "-d", "refs/notes/agent/staging"]);
    let mut again = story.record.notes(&data, story.scratch.remote());
    again.push().unwrap();
    let told = ["rev-list", "--count", "refs/notes/agent/staging"];
    assert_eq!(story.scratch.git(&told).trim(), "3");
    assert_ne!(story.notes_tip(), tip);
}

#[test]
fn a_record_without_source_commits_makes_none() {
    let story = Story::new();
    let data = story.scratch.data();
    story
        .record
        .notes(&data, story.scratch.remote())
        .push()
        .unwrap();
    assert!(
        story
            .scratch
            .git(&["for-each-ref", "refs/notes"])
            .is_empty()
    );
}
