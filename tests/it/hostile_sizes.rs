//! Whatever one commit brings fits into the pod: it is refused by its unit, or by the
//! environment where the configuration itself is too much, with a message that names the
//! bound; meanwhile the other unit is enforced, and a commit that mends it is followed at
//! once. All of it one after the other in one repository, by one process.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::git::git;
use crate::support::git_http::GitHttp;
use crate::support::programs::{Program, Programs};
use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

const MENDED: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\n";

/// What the process may have held at most, in MiB. The pod has 256, of the program as it is
/// shipped; this is built for debugging, and takes some forty more for itself.
const MOST: u64 = 300;

/// The same where nothing of it is read.
const MOST_CLONED: u64 = 130;

fn good(value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: good}}\ndata: {{k: {value}}}\n")
}

fn started(name: &str) -> Stage<'static> {
    let mut stage = Stage::new(name, AGENT);
    let configuration = stage.configuration(&[("good", ""), ("bad", "")]);
    let files = [
        ("agent.yaml", &*configuration),
        ("good/good.yaml", &good("v")),
        ("bad/bad.yaml", MENDED),
    ];
    let revision = stage.commit("Start", &files);
    let programs = Programs::build(&[Program::Kustomize]).unwrap();
    let invocation = stage.invocation().env("AGENT_MEMORY", "256Mi");
    stage.start_as(invocation.with_program(programs.path(Program::Kustomize)));
    stage.until_synced("good", &revision);
    stage.until_synced("bad", &revision);
    stage
}

/// Somebody changes the other unit, which is put back.
fn is_enforced(stage: &mut Stage<'static>) {
    stage.kubectl(&[
        "patch",
        "configmap",
        "good",
        "-p",
        r#"{"data":{"k":"drift"}}"#,
    ]);
    stage.until("the drift to be reverted", |stage| {
        let seen = stage.get("configmap", "good")["data"]["k"].clone();
        if seen == "v" {
            Ok(())
        } else {
            Err(seen.to_string())
        }
    });
}

/// The unit is refused with these words (or others, behind a bar), the other one enforced, and the mend followed.
fn is_refused_and_mended(stage: &mut Stage<'static>, words: &str) {
    let message = stage.until("the unit to be refused", |stage| {
        let seen = stage.unit("bad");
        let message = seen["message"].as_str().unwrap_or_default();
        let mut ways = words.split('|');
        let told = seen["state"] == "Failed" && ways.any(|words| message.contains(words));
        if told {
            Ok(message.to_owned())
        } else {
            Err(seen.to_string())
        }
    });
    assert!(message.len() < 30_000, "{message}");
    is_enforced(stage);
    stage.repository.remove("bad");
    let revision = stage.commit("Mend", &[("bad/bad.yaml", MENDED)]);
    stage.until_looked_at(&revision);
    let standing = stage.unit("bad")["state"].clone();
    assert_eq!(standing, "Synced", "{}", stage.log());
    let peak = stage.daemon().peak_memory();
    assert!(peak < MOST, "{words}: {peak} MiB");
}

/// A commit in which a directory has ten times ten times ... a file: twelve objects. No
/// working tree could hold it, so it is made by plumbing.
fn endless(stage: &Stage<'static>, path: &str) -> String {
    let work = stage.repository.work();
    let mktree = |lines: &str| with_input(&work, &["mktree"], lines);
    let blob = with_input(&work, &["hash-object", "-w", "--stdin"], MENDED);
    let mut tree = mktree(&format!("100644 blob {blob}\tend.yaml\n"));
    for _ in 0..10 {
        let lines = (0..10).fold(String::new(), |mut lines, name| {
            let _ = writeln!(lines, "040000 tree {tree}\t{name}");
            lines
        });
        tree = mktree(&lines);
    }
    let root = stage.repository.git(&["ls-tree", "HEAD"]);
    let others: Vec<&str> = root
        .lines()
        .filter(|line| !line.ends_with(&format!("\t{path}")))
        .collect();
    let root = mktree(&format!(
        "{}\n040000 tree {tree}\t{path}\n",
        others.join("\n")
    ));
    let commit = ["commit-tree", &root, "-p", "HEAD", "-m", "Endless"];
    let revision = stage.repository.git(&commit).trim().to_owned();
    // The working tree stays behind, so the next commit takes it away again.
    stage
        .repository
        .git(&["update-ref", "refs/heads/main", &revision]);
    stage.repository.push();
    revision
}

fn with_input(directory: &Path, arguments: &[&str], input: &str) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), input).unwrap();
    let output = Command::new("git")
        .current_dir(directory)
        .args(arguments)
        .stdin(Stdio::from(fs::File::open(file.path()).unwrap()))
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn paths_without_end_are_refused_in_a_unit_and_nothing_beside_all_units() {
    let mut stage = started("endless");
    let beside = endless(&stage, "beside");
    stage.until_looked_at(&beside);
    is_enforced(&mut stage);
    endless(&stage, "bad");
    is_refused_and_mended(&mut stage, "more than 100000 files and directories");
    git(&stage.repository.remote(), &["fsck", "--connectivity-only"]);
}

#[test]
fn values_problems_and_aliases_are_counted_over_the_unit() {
    let mut stage = started("values");
    let many = format!("{MENDED}x: [{}]\n", "1,".repeat(250_000));
    let names: Vec<String> = (0..8).map(|at| format!("bad/{at}.yaml")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*many)).collect();
    stage.commit("Many values", &files);
    is_refused_and_mended(
        &mut stage,
        "the unit has more than 1000000 values in its YAML",
    );
    let one = format!("x: [{}]\n", "1,".repeat(1_000_000));
    stage.commit("One document", &[("bad/one.yaml", &one)]);
    is_refused_and_mended(&mut stage, "more than 300000 values in one document");
    let mut numbers = format!("{MENDED}data:\n");
    for key in 0..80_000 {
        let _ = writeln!(numbers, "  k{key}: {key}");
    }
    stage.commit("Many problems", &[("bad/bad.yaml", &numbers)]);
    is_refused_and_mended(&mut stage, "and 79900 more");
    let text = "x".repeat(2_000_000);
    let copies = format!("{MENDED}data: {{a: &a {text}, b: *a, c: *a, d: *a}}\n");
    stage.commit("Many copies", &[("bad/bad.yaml", &copies)]);
    is_refused_and_mended(&mut stage, "aliases expand to more than");
}

#[test]
fn a_renderer_has_a_share_of_the_memory_and_is_told_as_ended() {
    let mut stage = started("renderer");
    let text = "0123456789abcde\n".repeat(900_000);
    let kustomization = "configMapGenerator: [{name: bad, files: [a.txt, b.txt, c.txt]}]\n";
    let files = [
        ("bad/kustomization.yaml", kustomization),
        ("bad/a.txt", &text),
        ("bad/b.txt", &text),
        ("bad/c.txt", &text),
    ];
    stage.commit("Large files", &files);
    // Of its memory or of its output, whichever it comes to first.
    is_refused_and_mended(
        &mut stage,
        "kustomize wrote more than|kustomize needed more than",
    );
}

#[test]
fn links_that_multiply_stop_the_environment_alone_and_not_its_enforcement() {
    let mut stage = started("multiply");
    let work = stage.repository.work();
    fs::create_dir_all(work.join("u")).unwrap();
    for name in 0..10 {
        symlink(".", work.join(format!("u/{name}"))).unwrap();
    }
    let before = fs::read_to_string(work.join("agent.yaml")).unwrap();
    let stars = "u/*/*/*/*/*/*/*/*";
    let multiplied = format!("{before}      - {{each: '{stars}'}}\n");
    stage.commit("Multiply", &[("agent.yaml", &multiplied)]);
    stage.until("the revision to be refused", |stage| {
        let error = stage.status().to_string();
        let told = error.contains("the configuration leads to more than 100000");
        if told { Ok(()) } else { Err(error) }
    });
    is_enforced(&mut stage);
    let revision = stage.commit("Mend", &[("agent.yaml", &before)]);
    stage.until_looked_at(&revision);
    let peak = stage.daemon().peak_memory();
    assert!(peak < MOST, "{peak} MiB");
}

/// What the repository holds beside its units is copied and never read.
#[test]
fn a_large_repository_is_cloned_in_little_memory() {
    const MIB: usize = 1 << 20;
    let mut stage = Stage::new("large", AGENT);
    let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
    for number in 0..74 {
        // Text of which nothing can be saved: no two lines are alike.
        let mut text = String::with_capacity(MIB);
        while text.len() < MIB {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            writeln!(text, "{seed:016x}").unwrap();
        }
        stage
            .repository
            .write(&format!("large/{number}.txt"), &text);
    }
    stage.repository.write("good/good.yaml", &good("v"));
    let revision = stage.configure(&[("good", "")]);
    let server = GitHttp::start(stage.repository.remote().parent().unwrap());
    stage.start_as(stage.over_http(&server));
    stage.until_synced("good", &revision);
    is_enforced(&mut stage);
    let peak = stage.daemon().peak_memory();
    assert!(peak < MOST_CLONED, "{peak} MiB");
}
