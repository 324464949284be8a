#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::model::Signature;

const START: i64 = 1_790_000_000;

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(START + minute * 60).unwrap()
}

/// An entry at a minute: event, unit, state, source commit, its minute, actor.
struct Told {
    minute: i64,
    event: Event,
    unit: &'static str,
    state: Option<State>,
    source: Option<(char, i64)>,
    actor: Option<&'static str>,
}

fn sync(minute: i64, unit: &'static str, state: State, source: (char, i64)) -> Told {
    Told {
        minute,
        event: Event::Sync,
        unit,
        state: Some(state),
        source: Some(source),
        actor: None,
    }
}

fn stands(minute: i64, unit: &'static str, state: State) -> Told {
    let event = match state {
        State::Synced => Event::Healthy,
        _ => Event::Failed,
    };
    Told {
        minute,
        event,
        unit,
        state: Some(state),
        source: None,
        actor: None,
    }
}

fn drift(minute: i64, actor: Option<&'static str>) -> Told {
    Told {
        minute,
        event: Event::Drift,
        unit: "web",
        state: None,
        source: None,
        actor,
    }
}

fn report(told: &[Told], since: i64, until: i64) -> Report {
    let mut reporter = Reporter::default();
    for told in told {
        let revision = |digit: char| digit.to_string().repeat(40).parse::<Revision>().unwrap();
        reporter.take(&Recorded {
            entry: revision('e'),
            time: at(told.minute),
            author: Signature {
                name: String::new(),
                email: String::new(),
                time: at(told.minute),
            },
            subject: String::new(),
            body: String::new(),
            facts: Some(Facts {
                event: Some(told.event),
                cause: told.event.cause().to_owned(),
                unit: Some(told.unit.parse().unwrap()),
                state: told.state,
                actor: told.actor.map(str::to_owned),
                revision: told.source.map(|(digit, _)| revision(digit)),
                committed: told.source.map(|(_, minute)| at(minute)),
                took: None,
                plan: None,
                approvals: Vec::new(),
                approved_by: Vec::new(),
            }),
        });
    }
    let environment = "staging".parse().unwrap();
    reporter.report(&environment, at(since), at(until))
}

#[test]
fn the_keys_are_as_defined() {
    use State::{Failed, Progressing, Synced};
    let told = [
        // Before the time that is asked about.
        sync(0, "web", Synced, ('a', 0)),
        // Two units, the second healthy later: 8 minutes.
        sync(12, "web", Synced, ('b', 10)),
        sync(13, "db", Progressing, ('b', 10)),
        stands(18, "db", Synced),
        // It fails at once and is overtaken by a fix: no lead time.
        sync(20, "web", Failed, ('c', 19)),
        sync(50, "web", Synced, ('d', 48)),
        // Healthy, and failed within the hour.
        sync(100, "web", Synced, ('e', 99)),
        stands(130, "web", Failed),
        stands(140, "web", Synced),
        // Failed for its own reasons long after, and still.
        stands(1000, "db", Failed),
        drift(1100, Some("kubectl-edit")),
        drift(1101, None),
        drift(1102, Some("kubectl-edit")),
    ];
    let report = report(&told, 5, 5 + 2880);
    assert_eq!((report.deployments, report.failed_deployments), (4, 2));
    assert!((report.deployments_per_day - 2.0).abs() < 1e-9);
    assert_eq!(report.change_failure_rate, Some(0.5));
    // 8, 2 and 1 minutes.
    let lead_time = Spread {
        count: 3,
        median: Some(120.0),
        p90: Some(480.0),
    };
    assert_eq!(report.lead_time, lead_time);
    // 30 and 10 minutes.
    let restore = Spread {
        count: 2,
        median: Some(600.0),
        p90: Some(1800.0),
    };
    assert_eq!((report.time_to_restore, report.not_restored), (restore, 1));
    let drift: Vec<(Option<&str>, usize, Timestamp)> = report
        .drift
        .iter()
        .map(|drift| (drift.actor.as_deref(), drift.count, drift.last))
        .collect();
    assert_eq!(
        drift,
        [(Some("kubectl-edit"), 2, at(1102)), (None, 1, at(1101))]
    );
}

#[test]
fn of_nothing_nothing_is_said() {
    let report = report(&[], 0, 60);
    assert_eq!((report.deployments, report.change_failure_rate), (0, None));
    assert_eq!(report.lead_time, Spread::default());
    assert!(report.drift.is_empty());
}

#[test]
fn a_unit_that_left_is_restored() {
    let told = [
        sync(1, "web", State::Failed, ('a', 0)),
        Told {
            event: Event::Left,
            ..stands(11, "web", State::Failed)
        },
    ];
    let report = report(&told, 0, 60);
    assert_eq!(
        (report.time_to_restore.median, report.not_restored),
        (Some(600.0), 0)
    );
}
