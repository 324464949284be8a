//! Files that lead outside, multiply or are huge: each a clear error of its own unit, in
//! bounded memory, and no other unit is touched.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// Nine levels of nine: 387 million values, from 500 bytes.
fn bomb() -> String {
    let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        let nine = [before.as_str(); 9].join(",");
        writeln!(text, "a{level}: &a{level} [{nine}]").unwrap();
    }
    text
}

#[test]
fn are_errors_of_their_units_alone() {
    let mut stage = Stage::new("hostile", AGENT);
    let units = ["good", "link", "climb", "bomb", "huge"];
    let configuration = stage.configuration(&units.map(|name| (name, "")));
    let good = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: good}\n";
    let work = stage.repository.work().clone();
    for unit in ["link", "huge"] {
        fs::create_dir_all(work.join(unit)).unwrap();
    }
    symlink("/etc/passwd", work.join("link/passwd.yaml")).unwrap();
    // Sparse: a hundred megabytes of nothing.
    let huge = fs::File::create(work.join("huge/huge.yaml")).unwrap();
    huge.set_len(100_000_000).unwrap();
    let climb = "resources: [../../../../../etc/passwd]\n";
    let revision = stage.commit(
        "Start",
        &[
            ("agent.yaml", &configuration),
            ("good/good.yaml", good),
            ("climb/kustomization.yaml", climb),
            ("bomb/bomb.yaml", &bomb()),
        ],
    );
    let programs = Programs::build(&[Program::Kustomize]).unwrap();
    let invocation = stage.invocation();
    stage.start_as(invocation.with_program(programs.path(Program::Kustomize)));
    stage.until_synced("good", &revision);
    for (unit, words) in [
        ("link", "link/passwd.yaml: leads outside the repository"),
        ("climb", "outside the repository"),
        ("bomb", "bomb/bomb.yaml:"),
        ("huge", "huge/huge.yaml: is 100000000 bytes"),
    ] {
        let message = stage.until_state(unit, "Failed");
        assert!(message.contains(words), "{unit}: {message}");
        assert!(!message.contains("root:"), "{unit}: {message}");
    }
    let peak = stage.daemon().peak_memory();
    assert!(peak < 400, "{peak} MiB");
}
