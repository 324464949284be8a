//! Whether one changed unit costs the same among many as among few.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::cluster;
use crate::moves::{Moves, changes};
use crate::objects::{Form, Size};
use crate::ours::Ours;
use crate::table::{median, milliseconds};

const FEW: usize = 10;
const MANY: usize = 1000;
const OBJECTS: usize = 4;
/// Enough for CPU time that is counted in hundredths of a second.
const CHANGES: usize = 20;

/// Measures both, and gives the table.
pub fn measure(binary: &'static str, kustomize: &Path, form: Form) -> Result<String> {
    let [few, many] = [FEW, MANY].map(|units| {
        one(
            binary,
            kustomize,
            Size {
                units,
                objects: OBJECTS,
                form,
            },
        )
    });
    let (few, many) = (few?, many?);
    let cpu = |moves: &Moves| moves.cpu / u32::try_from(CHANGES).unwrap_or(1);
    let mut text = format!(
        "one changed unit, of {OBJECTS} objects, among {FEW} and among {MANY} ({CHANGES} times)\n"
    );
    for (what, few, many) in [
        ("push to live, median", median(&few), median(&many)),
        ("CPU", cpu(&few), cpu(&many)),
    ] {
        let ratio = ratio(many, few);
        let [few, many] = [few, many].map(milliseconds);
        writeln!(text, "{what:20}  {few:>8}  {many:>8}  x{ratio:.2}  (x2)")
            .expect("text can be written to a String");
    }
    writeln!(text, "requests: {}; {}", few.requests, many.requests)
        .expect("text can be written to a String");
    Ok(text)
}

fn one(binary: &'static str, kustomize: &Path, size: Size) -> Result<Moves> {
    let plane = cluster::start()?;
    let mut agent = Ours::new(&plane, binary, kustomize, size)?;
    agent.first_sync()?;
    changes(&mut agent, CHANGES)
}

fn ratio(many: Duration, few: Duration) -> f64 {
    many.as_secs_f64() / few.as_secs_f64()
}
