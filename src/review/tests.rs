#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;

use super::*;
use crate::forge::StatusState;
use crate::model::{EnvironmentName, Revision};
use crate::reconcile::PlannedEnvironment;

fn revision() -> Revision {
    "a".repeat(40).parse().unwrap()
}

fn name(text: &str) -> EnvironmentName {
    text.parse().unwrap()
}

fn occasion(head: &Revision) -> Occasion<'_> {
    Occasion {
        number: 7,
        head,
        base: "main",
        url: "https://git.example.com/team/deploy/pulls/7",
    }
}

fn failed(unit: &str, why: &str) -> PlannedEnvironment {
    PlannedEnvironment {
        failed: BTreeMap::from([(unit.parse().unwrap(), why.to_owned())]),
        ..PlannedEnvironment::default()
    }
}

fn told(prospect: &Prospect) -> (String, Vec<(StatusState, String)>) {
    let head = revision();
    let served = [name("staging")];
    let statuses = statuses(occasion(&head), &served, prospect);
    let statuses = statuses.into_iter().map(|status| {
        assert_eq!(status.context, "agent/staging");
        (status.state, status.description)
    });
    let sections = sections(occasion(&head), &served, prospect, 60_000);
    assert_eq!(sections.len(), 1);
    assert_eq!(sections[0].name, "staging");
    (sections[0].text.clone(), statuses.collect())
}

#[test]
fn a_conflict_names_its_files_and_fails() {
    let prospect = Prospect::Conflict(vec!["apps/web.yaml".to_owned(), "a`b".to_owned()]);
    let (text, statuses) = told(&prospect);
    assert!(text.contains("It conflicts with `main`"), "{text}");
    assert!(text.contains("- `apps/web.yaml`\n- ``a`b``\n"), "{text}");
    assert_eq!(
        statuses,
        [(StatusState::Failure, "it conflicts with main".to_owned())]
    );
}

#[test]
fn what_is_wrong_fails_and_what_passes_waits() {
    let wrong = Hindrance::Wrong("agent.yaml:1:1: it is wrong\nand more".to_owned());
    let (text, statuses) = told(&Prospect::Planned(vec![(name("staging"), Err(wrong))]));
    assert!(
        text.contains("**It cannot be planned**: `agent.yaml:1:1: it is wrong`\n"),
        "{text}"
    );
    assert!(
        text.contains("```\nagent.yaml:1:1: it is wrong\nand more\n```"),
        "{text}"
    );
    assert_eq!(
        statuses,
        [(
            StatusState::Failure,
            "agent.yaml:1:1: it is wrong".to_owned()
        )]
    );

    let passing = Hindrance::Passing("the API server is away".to_owned());
    let (text, statuses) = told(&Prospect::Planned(vec![(name("staging"), Err(passing))]));
    assert!(
        text.contains("It is not planned yet: `the API server is away`"),
        "{text}"
    );
    assert_eq!(statuses[0].0, StatusState::Pending);

    let planned = failed("web", "web/a.yaml:3: it is wrong");
    let (text, statuses) = told(&Prospect::Planned(vec![(name("staging"), Ok(planned))]));
    assert!(
        text.contains("| web | **cannot be rendered**: `web/a.yaml:3: it is wrong` | |"),
        "{text}"
    );
    assert_eq!(
        statuses[0],
        (
            StatusState::Failure,
            "web cannot be rendered: web/a.yaml:3: it is wrong".to_owned()
        )
    );

    let same = PlannedEnvironment::default();
    let (text, statuses) = told(&Prospect::Planned(vec![(name("staging"), Ok(same))]));
    assert!(
        text.contains("\n\nNo difference, 0 objects as declared.\n"),
        "{text}"
    );
    assert_eq!(statuses[0].0, StatusState::Success);
}

#[test]
fn hostile_words_stay_words() {
    let hostile = "x` @everyone <img src=x onerror=alert(1)> |\n```\n# big @team\n<script>";
    let wrong = Hindrance::Wrong(hostile.to_owned());
    let (text, _) = told(&Prospect::Planned(vec![(name("staging"), Err(wrong))]));
    assert!(
        text.contains("``x` @everyone <img src=x onerror=alert(1)> |``"),
        "{text}"
    );
    assert!(text.contains("````\nx` @everyone"), "{text}");
    assert!(text.contains("\n<script>\n````\n"), "{text}");
}

#[test]
fn a_long_text_is_cut_between_units_and_says_so() {
    let planned = PlannedEnvironment {
        failed: (0..50)
            .map(|number| {
                (
                    format!("unit-{number:02}").parse().unwrap(),
                    "x\n".repeat(500),
                )
            })
            .collect(),
        ..PlannedEnvironment::default()
    };
    let head = revision();
    let prospect = Prospect::Planned(vec![(name("staging"), Ok(planned))]);
    let served = [name("staging")];
    let of = || {
        sections(occasion(&head), &served, &prospect, 40_000)
            .remove(0)
            .text
    };
    let text = of();
    assert!(text.len() <= 20_000, "{}", text.len());
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count()
    );
    assert!(text.contains("`agent diff --pull-request 7`"), "{text}");
    // Every unit is in the table.
    assert!(text.contains("| unit-49 |"), "{text}");
    // The same, the same bytes.
    assert_eq!(of(), text);
}

#[test]
fn whatever_is_long_the_comment_is_within_its_limit() {
    let long = "x".repeat(200_000);
    let planned = PlannedEnvironment {
        failed: (0..200)
            .map(|number| (format!("u{number}").parse().unwrap(), long.clone()))
            .collect(),
        ..PlannedEnvironment::default()
    };
    let all = [
        Prospect::Conflict(vec![long.clone(); 20]),
        Prospect::Planned(vec![(name("staging"), Err(Hindrance::Wrong(long.clone())))]),
        Prospect::Planned(vec![(name("staging"), Err(Hindrance::Passing(long)))]),
        Prospect::Planned(vec![(name("staging"), Ok(planned))]),
    ];
    for prospect in all {
        let (text, _) = told(&prospect);
        assert!(text.len() <= 30_000, "{}", text.len());
        assert!(text.contains("<sub>Planned for"), "{text}");
    }
}

#[test]
fn a_forge_that_fails_is_asked_less_and_less_often() {
    let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
    let away = ForgeError::Unreachable {
        host: "h".to_owned(),
        reason: "r".to_owned(),
    };
    let waits: Vec<u64> = [0, 1, 2, 20]
        .map(|n| patience(&away, n, now).as_secs())
        .into();
    assert_eq!(waits, [2, 4, 8, 300]);
    let limited = ForgeError::Limited {
        host: "h".to_owned(),
        until: now + Duration::from_secs(90),
    };
    assert_eq!(patience(&limited, 0, now).as_secs(), 90);
}
