//! Fights, without a clock.

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::model::{GroupKind, Manager};
use crate::plan::{Action, Cause, FieldChange, Standing};

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + SignedDuration::from_secs(seconds)
}

fn id() -> ObjectId {
    let kind = GroupKind::known("apps", "Deployment");
    ObjectId::parse(kind, Some("shop"), "web").expect("a name")
}

fn step(path: &str, value: &str, manager: &str) -> Step {
    Step {
        object: id(),
        action: Action::Change,
        cause: Cause::Drift,
        standing: Standing::Ready,
        wave: 0,
        reason: String::new(),
        fields: vec![FieldChange {
            path: path.to_owned(),
            from: Some(value.to_owned()),
            to: Some("3".to_owned()),
            owner: Some(Manager {
                name: manager.to_owned(),
                operation: "Update".to_owned(),
                time: String::new(),
            }),
        }],
        removes: Vec::new(),
        origin: None,
        before: None,
        after: None,
        live: None,
        gone: None,
        along: None,
        locks_out: None,
        uid: None,
    }
}

fn digest() -> Digest {
    Digest::of_bytes(b"desired")
}

/// Reverts the same again and again, a second apart; gives the waits.
fn revert(fights: &mut Fights, step: &Step, from: i64, times: i64) -> Vec<Option<u64>> {
    let second = |number| at(from + number);
    let waits = (0..times).map(|number| {
        let wait = fights.reverted(step, digest(), second(number));
        wait.map(|(wait, _)| wait.as_secs())
    });
    waits.collect()
}

#[test]
fn the_sixth_time_in_a_row_is_a_fight_that_is_left_alone_for_longer_each_time() {
    let mut fights = Fights::default();
    let step = step("spec.replicas", "5", "fighter");
    assert_eq!(revert(&mut fights, &step, 0, 5), [None; 5]);
    assert!(!fights.covers(&step) && fights.take_news().is_empty());
    assert_eq!(
        revert(&mut fights, &step, 5, 12),
        [2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600].map(Some)
    );
    let [news] = &fights.take_news()[..] else {
        panic!("it is told once")
    };
    assert_eq!(news.phase, Phase::Begun);
    assert_eq!(news.manager.as_deref(), Some("fighter"));
    assert_eq!(news.fields, ["spec.replicas"]);
    assert_eq!(
        news.message,
        "contended: fighter keeps changing spec.replicas; stop one of the two writers"
    );
    assert!(fights.covers(&step));
}

#[test]
fn what_people_do_is_no_fight() {
    let mut fights = Fights::default();
    for (second, field) in (0..100).zip(["spec.replicas", "spec.paused"].iter().cycle()) {
        let step = step(field, "5", "kubectl");
        assert_eq!(fights.reverted(&step, digest(), at(second)), None);
    }
    // The same, but hours apart.
    let step = step("spec.replicas", "5", "kubectl");
    for hour in 1..20 {
        assert_eq!(fights.reverted(&step, digest(), at(3600 * hour)), None);
    }
    // Another manager each time.
    for number in 0..20 {
        let step = self::step("spec.replicas", "5", &format!("user-{number}"));
        assert_eq!(fights.reverted(&step, digest(), at(80_000)), None);
    }
}

#[test]
fn other_values_of_one_field_are_a_fight_later() {
    let mut fights = Fights::default();
    let waits = (0..16).map(|number| {
        let step = step("data.time", &number.to_string(), "clock");
        fights.reverted(&step, digest(), at(number)).is_some()
    });
    let waits: Vec<bool> = waits.collect();
    assert_eq!(waits.iter().filter(|wait| **wait).count(), 1);
    assert!(waits[15]);
}

#[test]
fn it_is_over_when_nothing_was_taken_back_for_a_while() {
    let mut fights = Fights::default();
    let step = step("spec.replicas", "5", "fighter");
    revert(&mut fights, &step, 0, 6);
    fights.take_news();
    // Taken back, and left alone: that is not calm.
    fights.see(std::slice::from_ref(&step), at(5));
    assert_eq!(fights.due(), None);
    fights.see(std::slice::from_ref(&step), at(500));
    assert_eq!(fights.told().count(), 1);
    // Put back, and left in peace.
    revert(&mut fights, &step, 500, 1);
    fights.see(&[], at(500));
    assert_eq!(fights.due(), Some(at(530)));
    fights.see(&[], at(529));
    assert!(fights.take_news().is_empty());
    fights.see(&[], at(530));
    let news = fights.take_news();
    assert_eq!(news.len(), 1);
    assert_eq!(news[0].phase, Phase::Over);
    assert_eq!(fights.told().count(), 0);
    assert_eq!(fights.due(), None);
}

#[test]
fn another_field_of_the_object_is_told() {
    let mut fights = Fights::default();
    let step = step("spec.replicas", "5", "fighter");
    revert(&mut fights, &step, 0, 6);
    let mut both = step.clone();
    both.fields.push(FieldChange {
        path: "spec.paused".to_owned(),
        ..step.fields[0].clone()
    });
    assert!(!fights.covers(&both));
    // Desired is something else now: that may be the end of it.
    fights.retain(|_| Some(digest()));
    assert!(fights.covers(&step));
    fights.retain(|_| Some(Digest::of_bytes(b"other")));
    assert!(!fights.covers(&step));
}

#[test]
fn who_keeps_deleting_is_told_too() {
    let mut fights = Fights::default();
    let mut step = step("", "", "");
    step.fields.clear();
    step.action = Action::Create;
    revert(&mut fights, &step, 0, 6);
    let message = "contended: somebody keeps deleting it; stop one of the two writers";
    assert_eq!(fights.take_news()[0].message, message);
}
