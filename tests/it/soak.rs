//! Whatever goes on, the agent's memory stays what it is: a short form of the soak that
//! can be run by hand.

use std::time::Duration;

use crate::support::soak::{Soak, soak};
use crate::support::stage::Stage;

/// For allocators and buffers that have not been in use before. A leak of a page per
/// change would be half of it.
const ALLOWANCE: u64 = 16 * 1024 * 1024;

#[test]
fn memory_does_not_grow_with_what_happens() {
    let mut stage = Stage::new("soak", env!("CARGO_BIN_EXE_agent"));
    let how = Soak {
        length: Duration::from_secs(25),
        pause: Duration::from_millis(200),
        look: Duration::from_secs(1),
    };
    let soaked = soak(&mut stage, how, |_, _| {}).unwrap();
    println!("{} changes: {:?}", soaked.changes, soaked.looks);
    soaked.check(ALLOWANCE).unwrap();
    // It was at work.
    assert!(
        stage.entries().len() > soaked.changes / 2,
        "{:#?}",
        stage.entries()
    );
    let ran = stage.diff(&[]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}
