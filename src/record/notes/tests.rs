#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::model::Signature;

fn revision(digit: char) -> Revision {
    digit.to_string().repeat(40).parse().unwrap()
}

/// An entry at a second: event, unit, state, source commit, how long it took.
fn entry(
    second: i64,
    event: Event,
    unit: Option<&str>,
    state: Option<State>,
    source: char,
    took: Option<f64>,
) -> Recorded {
    let time = Timestamp::from_second(1_790_000_000 + second).unwrap();
    Recorded {
        entry: revision('e'),
        time,
        author: Signature {
            name: String::new(),
            email: String::new(),
            time,
        },
        subject: String::new(),
        body: String::new(),
        facts: Some(Facts {
            event: Some(event),
            cause: event.cause().to_owned(),
            unit: unit.map(|unit| unit.parse().unwrap()),
            state,
            actor: None,
            revision: Some(revision(source)),
            committed: None,
            took,
            plan: None,
            approvals: Vec::new(),
            approved_by: Vec::new(),
        }),
    }
}

/// What each entry makes of the notes, as `<source>: <note>`.
fn told(entries: &[Recorded]) -> Vec<String> {
    let mut notes = Notes::new("live/staging");
    let changes = entries.iter().map(|entry| {
        let changed = notes.take(entry).into_iter();
        let changed =
            changed.map(|(revision, text)| format!("{}: {text}", &revision.as_str()[..1]));
        changed.collect::<String>()
    });
    changes.collect()
}

#[test]
fn a_note_tells_which_units_a_commit_suspends() {
    use State::{Drifted, Progressing, Suspended, Synced};
    let (web, db) = (Some("web"), Some("db"));
    let told = told(&[
        entry(0, Event::Sync, web, Some(Progressing), 'a', None),
        entry(1, Event::Suspended, web, Some(Suspended), 'b', None),
        entry(2, Event::Suspended, db, Some(Suspended), 'b', None),
        entry(3, Event::Resumed, web, Some(Progressing), 'c', None),
        entry(4, Event::Healthy, web, Some(Synced), 'a', Some(1.0)),
        // What a proposal keeps is no matter of the commit.
        entry(5, Event::Kept, web, None, 'a', None),
        entry(6, Event::Released, web, None, 'a', None),
        entry(7, Event::Drifted, web, Some(Drifted), 'a', None),
    ]);
    insta::assert_snapshot!(told.join("--\n"), @r"
    a: web: deployed 2026-09-21T14:13:20Z, on its way (live/staging eeeeeeee)
    --
    a: web: deployed 2026-09-21T14:13:20Z, suspended on its way (live/staging eeeeeeee)
    b: web: suspended 2026-09-21T14:13:21Z (live/staging eeeeeeee)
    --
    b: db: suspended 2026-09-21T14:13:22Z (live/staging eeeeeeee)
    web: suspended 2026-09-21T14:13:21Z (live/staging eeeeeeee)
    --
    a: web: deployed 2026-09-21T14:13:20Z, on its way (live/staging eeeeeeee)
    c: web: resumed 2026-09-21T14:13:23Z (live/staging eeeeeeee)
    --
    a: web: deployed 2026-09-21T14:13:20Z, healthy after 1.0s (live/staging eeeeeeee)
    --
    --
    --
    ");
}

#[test]
fn a_note_tells_when_each_unit_got_there_and_how() {
    use State::{Blocked, Failed, Progressing, Synced};
    let (web, db) = (Some("web"), Some("db"));
    let told = told(&[
        entry(0, Event::Sync, web, Some(Synced), 'a', Some(1.24)),
        entry(1, Event::Sync, db, Some(Progressing), 'a', None),
        entry(2, Event::Waits, db, Some(Progressing), 'a', None),
        entry(300, Event::Failed, db, Some(Failed), 'a', Some(300.0)),
        entry(400, Event::Healthy, db, Some(Synced), 'a', Some(8000.0)),
        // What comes after that is no news of the deployment.
        entry(500, Event::Failed, db, Some(Failed), 'a', None),
        entry(600, Event::Drift, web, None, 'a', None),
        entry(601, Event::Revert, web, Some(Synced), 'a', None),
        entry(700, Event::Sync, web, Some(Progressing), 'b', None),
        entry(710, Event::Sync, web, Some(Blocked), 'c', None),
        entry(720, Event::Nothing, None, None, 'd', None),
        entry(730, Event::Stuck, None, None, 'd', None),
        entry(740, Event::Left, db, Some(Synced), 'd', None),
    ]);
    insta::assert_snapshot!(told.join("--\n"), @r"
    a: web: deployed 2026-09-21T14:13:20Z, healthy after 1.2s (live/staging eeeeeeee)
    --
    a: db: deployed 2026-09-21T14:13:21Z, on its way (live/staging eeeeeeee)
    web: deployed 2026-09-21T14:13:20Z, healthy after 1.2s (live/staging eeeeeeee)
    --
    --
    a: db: deployed 2026-09-21T14:13:21Z, failed after 5m 0s (live/staging eeeeeeee)
    web: deployed 2026-09-21T14:13:20Z, healthy after 1.2s (live/staging eeeeeeee)
    --
    a: db: deployed 2026-09-21T14:13:21Z, healthy after 2h 13m (live/staging eeeeeeee)
    web: deployed 2026-09-21T14:13:20Z, healthy after 1.2s (live/staging eeeeeeee)
    --
    --
    --
    --
    b: web: deployed 2026-09-21T14:25:00Z, on its way (live/staging eeeeeeee)
    --
    b: web: deployed 2026-09-21T14:25:00Z, superseded by cccccccc (live/staging eeeeeeee)
    c: web: deployed 2026-09-21T14:25:10Z, blocked (live/staging eeeeeeee)
    --
    d: seen 2026-09-21T14:25:20Z: nothing to change (live/staging eeeeeeee)
    --
    --
    d: db: deployed 2026-09-21T14:25:40Z, left the environment (live/staging eeeeeeee)
    ");
}

#[test]
fn a_note_of_many_units_is_bounded() {
    let mut notes = Notes::new("live/staging");
    let mut text = String::new();
    for unit in 0..60 {
        let name = format!("u{unit}");
        let entry = entry(0, Event::Sync, Some(&name), Some(State::Synced), 'a', None);
        text = notes.take(&entry).into_values().next().unwrap();
    }
    assert_eq!(text.lines().count(), 51);
    assert!(text.ends_with("and 10 more units\n"), "{text}");
    assert_eq!(notes.count(), 1);
}

fn of_revision(at: usize, unit: &str, state: State) -> Recorded {
    let mut entry = entry(0, Event::Sync, Some(unit), Some(state), 'a', None);
    if let Some(facts) = &mut entry.facts {
        facts.revision = Some(format!("{at:040x}").parse().unwrap());
    }
    entry
}

#[test]
fn what_is_kept_in_mind_is_bounded_but_not_what_is_awaited() {
    let mut notes = Notes::new("live/staging");
    notes.take(&of_revision(0, "slow", State::Progressing));
    for at in 1..=MOST + 10 {
        notes.take(&of_revision(at, "web", State::Synced));
    }
    let ended = notes.take(&of_revision(0, "slow", State::Synced));
    let text: Vec<&String> = ended.values().collect();
    assert!(
        text[0].starts_with("slow: deployed 2026-09-21T14:13:20Z, healthy"),
        "{text:?}"
    );
    assert_eq!((notes.count(), notes.revisions.len()), (MOST + 11, MOST));
}

#[test]
fn commits_of_many_units_weigh_more() {
    let mut notes = Notes::new("live/staging");
    for at in 0..10 {
        for unit in 0..MOST / 2 {
            notes.take(&of_revision(at, &format!("u{unit}"), State::Synced));
        }
    }
    assert_eq!((notes.count(), notes.revisions.len()), (10, 2));
}
