#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "the shell and Git are those of whoever copies the line"
)]

use std::process::Command;

use super::*;

#[test]
fn the_command_to_copy_adds_the_files_and_runs_nothing() {
    let plain = ["shop/web.yaml".to_owned(), "b.yaml".to_owned()];
    assert_eq!(
        command(&plain),
        "git add shop/web.yaml b.yaml && git commit"
    );

    let names = [
        "a b.yaml",
        "x.yaml; touch owned #",
        "it's $(touch owned) `touch owned`.yaml",
        "line\ntouch owned\n\u{202e}'\\7.yaml",
        "*.yaml",
        ":!a.yaml",
        "-f",
    ];
    let directory = tempfile::tempdir().unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let mut run = Command::new(program);
        let output = run.args(arguments).current_dir(directory.path()).output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    run("git", &["init", "-q"]);
    std::fs::write(directory.path().join("other.yaml"), "").unwrap();
    for name in names {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let text = command(&names.map(str::to_owned));
    assert!(!text.contains(['\n', '\u{202e}']), "{text}");
    run(
        "bash",
        &["-c", text.strip_suffix(" && git commit").unwrap()],
    );
    let added = run("git", &["ls-files", "-z"]);
    let mut added: Vec<&str> = added.split_terminator('\0').collect();
    let mut wanted = names.to_vec();
    added.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(added, wanted);
    assert!(!directory.path().join("owned").exists(), "{text}");
}
