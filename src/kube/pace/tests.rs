//! The pace, without a clock.

use std::time::Duration;

use super::{Heard, Pace, Pressure};

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// As many answers as may be under way, all sent now.
fn round(pace: &mut Pace, now: Duration) {
    for _ in 0..pace.limit() {
        let era = pace.era();
        pace.after(era, Heard::Answered(Pressure::Pressed), now);
    }
}

/// All that may be under way is refused.
fn refused(pace: &mut Pace, now: Duration) {
    let era = pace.era();
    for _ in 0..pace.limit() {
        pace.after(era, Heard::Busy(Some(at(1))), now);
    }
}

#[test]
fn grows_by_about_one_a_round_and_only_under_pressure() {
    let mut pace = Pace::default();
    assert_eq!(pace.limit(), 16);
    for _ in 0..100 {
        let era = pace.era();
        pace.after(era, Heard::Answered(Pressure::Free), at(0));
    }
    assert_eq!(pace.limit(), 16);
    for _ in 0..4 {
        round(&mut pace, at(0));
    }
    assert!((19..=20).contains(&pace.limit()), "{}", pace.limit());
    for _ in 0..200 {
        round(&mut pace, at(0));
    }
    assert_eq!(pace.limit(), 32);
}

#[test]
fn is_halved_once_for_all_that_were_under_way_together() {
    let mut pace = Pace::default();
    refused(&mut pace, at(0));
    assert_eq!(pace.limit(), 8);
    refused(&mut pace, at(1));
    assert_eq!(pace.limit(), 4);
    for second in 2..10 {
        refused(&mut pace, at(second));
    }
    assert_eq!(pace.limit(), 1, "never none at all");
}

#[test]
fn nobody_sends_before_the_time_that_the_server_named() {
    let mut pace = Pace::default();
    let era = pace.era();
    pace.after(era, Heard::Busy(Some(at(7))), at(10));
    assert_eq!(pace.rest(at(12)), at(5));
    // A later answer asks for less, and one that was sent before says nothing.
    pace.after(era, Heard::Busy(Some(at(1))), at(11));
    pace.after(era, Heard::Answered(Pressure::Pressed), at(11));
    assert_eq!(pace.rest(at(12)), at(5));
    assert_eq!(pace.rest(at(17)), at(0));
    // None named.
    let era = pace.era();
    pace.after(era, Heard::Busy(None), at(20));
    assert_eq!(pace.rest(at(20)), at(1));
}

#[test]
fn stays_below_where_it_was_refused_and_tries_again_ever_later() {
    let mut pace = Pace::default();
    refused(&mut pace, at(0));
    for _ in 0..50 {
        round(&mut pace, at(5));
    }
    assert_eq!(pace.limit(), 15);
    for _ in 0..2 {
        round(&mut pace, at(10));
    }
    assert_eq!(pace.limit(), 16);
    refused(&mut pace, at(11));
    assert_eq!(pace.limit(), 8);
    // The second time it is left alone for twice as long.
    for _ in 0..50 {
        round(&mut pace, at(30));
    }
    assert_eq!(pace.limit(), 15);
    for _ in 0..50 {
        round(&mut pace, at(31));
    }
    assert!(
        pace.limit() > 20,
        "what was got past is forgotten: {}",
        pace.limit()
    );
}

#[test]
fn where_one_is_all_that_is_taken_one_it_stays() {
    let mut pace = Pace::default();
    for second in 0..5 {
        refused(&mut pace, at(second));
    }
    for _ in 0..100 {
        round(&mut pace, at(6));
    }
    assert_eq!(pace.limit(), 1);
    round(&mut pace, at(15));
    assert_eq!(pace.limit(), 2, "it may have become better");
}

#[test]
fn what_gets_lost_makes_it_slower_each_time_in_a_row() {
    let mut pace = Pace::default();
    let mut pauses = Vec::new();
    for second in 0..8 {
        let now = at(10 * second);
        let era = pace.era();
        for _ in 0..pace.limit() {
            pace.after(era, Heard::Lost, now);
        }
        pauses.push(pace.rest(now).as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
    assert_eq!(pace.limit(), 1);
    let era = pace.era();
    pace.after(era, Heard::Answered(Pressure::Free), at(100));
    let era = pace.era();
    pace.after(era, Heard::Lost, at(100));
    assert_eq!(pace.rest(at(100)).as_millis(), 100);
}
