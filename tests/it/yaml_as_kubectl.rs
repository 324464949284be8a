//! What `testdata/yaml/table.json` claims of kubectl is what kubectl does. The unit
//! tests hold our own reader against the same table.
//!
//! `UPDATE_YAML_TABLE=1 cargo test yaml_as_kubectl` writes kubectl's answers anew.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::programs::{Program, Programs};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// What stands below the head of an object …
    #[serde(skip_serializing_if = "Option::is_none")]
    yaml: Option<String>,
    /// … or the whole file.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    kubectl: Answer,
    #[serde(skip_serializing_if = "Option::is_none")]
    ours: Option<Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize, Deserialize, Debug)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Documents(Vec<Value>),
    Error(String),
}

const HEAD: &str = "apiVersion: example.com/v1\nkind: Case\nmetadata: {name: x}\n";

#[test]
fn the_table_tells_what_kubectl_does() {
    let programs = Programs::build(&[Program::Kubectl]).unwrap();
    let kubectl = programs.path(Program::Kubectl);
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/yaml/table.json");
    let text = fs::read_to_string(&table).unwrap();
    let mut cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    let answers = ask_all(kubectl, &cases);
    if env::var_os("UPDATE_YAML_TABLE").is_some() {
        for (case, answer) in cases.iter_mut().zip(answers) {
            case.kubectl = answer;
        }
        return fs::write(table, written(&cases)).unwrap();
    }
    let wrong: Vec<_> = cases
        .iter()
        .zip(&answers)
        .filter(|(case, answer)| !same(&case.kubectl, answer))
        .map(|(case, answer)| format!("{}: kubectl says {answer:?}", case.name))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// How an error is worded depends on kubectl's version.
fn same(one: &Answer, other: &Answer) -> bool {
    match (one, other) {
        (Answer::Documents(one), Answer::Documents(other)) => one == other,
        (Answer::Error(_), Answer::Error(_)) => true,
        _ => false,
    }
}

fn written(cases: &[Case]) -> String {
    let lines: Vec<_> = cases
        .iter()
        .map(|case| serde_json::to_string(case).unwrap())
        .collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

fn ask_all(kubectl: &Path, cases: &[Case]) -> Vec<Answer> {
    let home = tempfile::tempdir().unwrap();
    let todo = Mutex::new(cases.iter().enumerate());
    let answers = Mutex::new(Vec::new());
    let next = || todo.lock().unwrap().next();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((index, case)) = next() {
                    let answer = ask(kubectl, home.path(), case);
                    answers.lock().unwrap().push((index, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap();
    answers.sort_by_key(|(index, _)| *index);
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// `annotate --local` reads a file as `apply` does, and needs neither a server nor
/// that anybody knows the kind.
fn ask(kubectl: &Path, home: &Path, case: &Case) -> Answer {
    let yaml = case.yaml.as_deref().unwrap_or_default();
    let text = case.file.clone().unwrap_or_else(|| format!("{HEAD}{yaml}"));
    let mut child = Command::new(kubectl)
        .args(["annotate", "--local", "-f", "-", "as=read", "-o", "json"])
        .env_clear()
        .env("HOME", home)
        .env("KUBECONFIG", PathBuf::from(home).join("none"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    if output.status.success() {
        Answer::Documents(documents(&output.stdout))
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.lines().next().unwrap_or_default();
        Answer::Error(said.trim_start_matches("error: ").to_owned())
    }
}

/// Of several, kubectl makes a list.
fn documents(stdout: &[u8]) -> Vec<Value> {
    let mut documents = Vec::new();
    for value in serde_json::Deserializer::from_slice(stdout).into_iter::<Value>() {
        let mut value = value.unwrap();
        let list = value["kind"] == "List";
        match value.get_mut("items") {
            Some(Value::Array(items)) if list => documents.append(items),
            _ => documents.push(value),
        }
    }
    for document in &mut documents {
        let object = document.as_object_mut().unwrap();
        for key in ["apiVersion", "kind", "metadata"] {
            object.remove(key);
        }
    }
    documents
}
