#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;

use tempfile::TempDir;

use super::*;

/// Files of a directory, in order; what is `None` isn't there.
fn listed(files: &[(&str, Option<&str>)]) -> (TempDir, Place) {
    let directory = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for (name, text) in files {
        let path = directory.path().join(name);
        if let Some(text) = text {
            fs::write(&path, text).unwrap();
        }
        paths.push(path);
    }
    (directory, Place::Listed(paths))
}

const CONTEXTS: &str = "apiVersion: v1
kind: Config
current-context: ''
contexts: [{name: a, context: {cluster: c, user: u, namespace: shop}}]
clusters: [{name: c, cluster: {server: 'https://first.example'}}]
";

const USERS: &str = "current-context: a
users: [{name: u, user: {token: first}}]
clusters: [{name: c, cluster: {server: 'https://second.example', tls-server-name: x}}]
";

#[test]
fn the_first_file_that_says_something_wins_and_missing_ones_are_skipped() {
    let files = [("none", None), ("a", Some(CONTEXTS)), ("b", Some(USERS))];
    let (_directory, place) = listed(&files);
    let chosen = choose(&place.read().unwrap().unwrap(), None).unwrap();
    assert_eq!(chosen.context, "a");
    assert_eq!(chosen.namespace.as_deref(), Some("shop"));
    assert_eq!(
        chosen.cluster.server.as_deref(),
        Some("https://first.example")
    );
    assert_eq!(chosen.cluster.tls_server_name, None);
    assert!(chosen.user.token.is_some());
}

#[test]
fn nothing_is_read_where_no_file_is_there() {
    let (directory, place) = listed(&[("none", None)]);
    assert!(place.read().unwrap().is_none());
    // A HOME that is a file.
    fs::write(directory.path().join("home"), "").unwrap();
    let file = directory.path().join("home/.kube/config");
    assert!(Place::Home(file).read().unwrap().is_none());
}

#[test]
fn a_file_that_is_broken_is_named_and_not_shown() {
    for text in [
        "users: [{name: u, user: {token: hunter2",
        "users: hunter2\n",
    ] {
        let (directory, place) = listed(&[("broken", Some(text))]);
        let error = place.read().unwrap_err().to_string();
        let named = directory.path().join("broken:1:").display().to_string();
        assert!(error.contains(&named), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    // Reading a directory fails otherwise than by its being missing.
    let error = Place::Home(directory.path().to_owned()).read().unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn a_context_that_is_not_there_is_said() {
    let (_directory, place) = listed(&[("a", Some(CONTEXTS))]);
    let file = place.read().unwrap().unwrap();
    let said = |context| choose(&file, context).unwrap_err().to_string();
    assert!(said(None).contains("no current-context"), "{}", said(None));
    assert!(
        said(Some("b")).contains("no context \"b\""),
        "{}",
        said(Some("b"))
    );
}
