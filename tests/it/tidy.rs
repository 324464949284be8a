//! What the compiler doesn't hold: the order of the modules, the purity of some,
//! and that no test file is forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// In the order in which data flows; a module imports only from those before it.
const ORDER: &[&str] = &[
    "model",
    "config",
    "runtime",
    "source",
    "render",
    "fields",
    "edit",
    "kube",
    "health",
    "plan",
    "record",
    "forge",
    "reconcile",
    "review",
    "cli",
];

/// Same input, same output: no IO, no clock, no chance.
const PURE: &[&str] = &[
    "model",
    "config",
    "fields",
    "edit",
    "health",
    "plan",
    "runtime/net/proxy.rs",
    "record/entry.rs",
    "record/event.rs",
    "record/lines.rs",
    "record/notes.rs",
    "record/path.rs",
    "record/recorded.rs",
    "record/report.rs",
    "record/select.rs",
    "record/text.rs",
    "forge/webhook/bitbucket.rs",
    "forge/webhook/generic.rs",
    "forge/webhook/gitea.rs",
    "forge/webhook/github.rs",
    "forge/webhook/gitlab.rs",
    "forge/webhook/place.rs",
    "forge/webhook/signature.rs",
    "review/markdown.rs",
    "review/text.rs",
    "source/verify/allowed.rs",
    "source/verify/commit.rs",
    "source/verify/openpgp.rs",
    "source/verify/ssh.rs",
];

const IMPURE_CRATES: [&str; 12] = [
    "tokio",
    "tokio_util",
    "kube",
    "git2",
    "notify",
    "axum",
    "reqwest",
    "rustix",
    "libc",
    "tempfile",
    "rand",
    "getrandom",
];

const IMPURE_STD: [&str; 5] = ["fs", "env", "process", "net", "thread"];

const CLOCKS: [&str; 3] = ["Instant::now", "SystemTime::now", "Timestamp::now"];

#[test]
fn every_module_has_its_place_in_the_order() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let declared: BTreeSet<_> = library
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert_eq!(declared, ORDER.iter().copied().collect());
}

#[test]
fn a_module_imports_only_from_those_above_it() {
    let mut wrong = Vec::new();
    for (place, module) in ORDER.iter().enumerate() {
        for (path, code) in code_of(module) {
            for name in named_after("crate", &code) {
                if ORDER.iter().position(|other| *other == name) > Some(place) {
                    wrong.push(format!("{}: {module} imports from {name}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pure_modules_have_no_io_no_clock_and_no_chance() {
    let mut wrong = Vec::new();
    for (path, code) in PURE.iter().flat_map(|module| code_of(module)) {
        let standard = named_after("std", &code);
        let std_used = IMPURE_STD
            .into_iter()
            .filter(|name| standard.contains(*name));
        let crates_used = IMPURE_CRATES
            .into_iter()
            .filter(|name| uses_crate(name, &code));
        let clocks = CLOCKS.into_iter().filter(|clock| code.contains(clock));
        let all = std_used.chain(crates_used).chain(clocks);
        wrong.extend(all.map(|name| format!("{} uses {name}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_test_file_is_declared() {
    let directory = root().join("tests/it");
    let main = fs::read_to_string(directory.join("main.rs")).unwrap();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let declared = main.lines().any(|line| line == format!("mod {name};"));
        assert!(
            declared || name == "main",
            "tests/it/main.rs lacks `mod {name};`"
        );
    }
}

#[test]
fn no_file_names_a_path_of_the_machine_it_was_written_on() {
    let homes = [["/ro", "ot/"].concat(), ["/wo", "rk/"].concat()];
    let clone = format!("{}/", root().display());
    let mut wrong = Vec::new();
    for path in files(&root()) {
        let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
        let found = homes
            .iter()
            .chain([&clone])
            .find(|home| text.contains(home.as_str()));
        wrong.extend(found.map(|home| format!("{} names {home}", path.display())));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A row that nothing holds is a wish.
#[test]
fn each_test_that_the_threat_page_names_is_there() {
    let page = fs::read_to_string(root().join("deploy/threats.md")).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
    let rows = rows
        .iter()
        .filter(|row| row.len() == 5 && row[0] != "| what");
    let mut wrong = Vec::new();
    for row in rows {
        let tests: Vec<&str> = row[4].split('`').skip(1).step_by(2).collect();
        wrong.extend(tests.is_empty().then(|| format!("{} has no test", row[0])));
        for test in tests {
            let (module, name) = test.split_once("::").unwrap_or((test, ""));
            let text = fs::read_to_string(root().join(format!("tests/it/{module}.rs")));
            let function = format!("fn {name}(");
            let there = text.is_ok_and(|text| name.is_empty() || text.contains(&function));
            wrong.extend((!there).then(|| format!("{test} is not there")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_after_a_root_are_found_in_paths_and_groups() {
    let code = "use crate::plan::{a, b};\nuse std::{fmt, fs::{self, File}, io};\n\
                fn f() { crate::kube::g(std::env::args()) } use xstd::process;";
    let names = |root| named_after(root, code).into_iter().collect::<Vec<_>>();
    assert_eq!(names("crate"), ["kube", "plan"]);
    assert_eq!(names("std"), ["env", "fmt", "fs", "io"]);
    assert!(uses_crate("tokio", "use tokio::fs;") && uses_crate("tokio", "f(tokio::spawn(x))"));
    assert!(!uses_crate("kube", "use crate::kube::View;") && !uses_crate("kube", "mykube::f()"));
}

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

/// The code of a module, or of one file of it, without comments and tests.
fn code_of(module: &str) -> Vec<(PathBuf, String)> {
    let source = root().join("src");
    let all = match source.join(module) {
        file if file.is_file() => vec![file],
        directory => files(&directory),
    };
    let own = all.into_iter().filter(|path| {
        let inside = path.strip_prefix(&source).unwrap();
        let test = inside.components().any(|part| part.as_os_str() == "tests");
        path.extension() == Some("rs".as_ref()) && !test && !path.ends_with("tests.rs")
    });
    own.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        (path, code(&text))
    })
    .collect()
}

fn code(text: &str) -> String {
    let until_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = until_tests
        .lines()
        .map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// The names that directly follow `root::`, in paths and in `use root::{…}`.
fn named_after(root: &str, code: &str) -> BTreeSet<String> {
    let prefix = format!("{root}::");
    let mut names = BTreeSet::new();
    for (start, _) in code.match_indices(&prefix) {
        if !begins_a_word(code, start) {
            continue;
        }
        let rest = &code[start + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(outermost(group)),
            None => names.extend([word(rest)]),
        }
    }
    names
}

/// The first word of each item of a group, up to the brace that closes it.
fn outermost(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut items = vec![String::new()];
    for character in group.chars() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            _ if depth == 0 => items.last_mut().unwrap().push(character),
            _ => {}
        }
    }
    let words = items.iter().map(|item| word(item.trim_start()));
    words.filter(|word| !word.is_empty()).collect()
}

fn uses_crate(name: &str, code: &str) -> bool {
    code.match_indices(&format!("{name}::"))
        .any(|(start, _)| begins_a_word(code, start) && !code[..start].ends_with("::"))
}

fn begins_a_word(code: &str, start: usize) -> bool {
    !code[..start].ends_with(|before: char| before.is_alphanumeric() || before == '_')
}

fn word(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

/// Every file beneath a directory that is part of the project.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // A file of `PURE` may not be there yet.
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        match path.is_dir() {
            true if name == ".git" || name == "target" => {}
            true => found.extend(files(&path)),
            // In a worktree `.git` is a file that names where the repository is.
            false if name == ".git" => {}
            false => found.push(path),
        }
    }
    found
}
