#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod field_path;
mod repository;
mod schema;

use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Digest, EntryKind, EnvironmentName, Tree, TreeError, UnitBudget, UnitName};
use repository::Repository;

/// The example repositories of a folder by name.
fn examples(folder: &str) -> Vec<(String, Repository)> {
    let root = format!("{}/testdata/config/{folder}", env!("CARGO_MANIFEST_DIR"));
    let mut examples: Vec<(String, Repository)> = fs::read_dir(root)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (
                name,
                Repository::from_text(&fs::read_to_string(&path).unwrap()),
            )
        })
        .collect();
    examples.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(!examples.is_empty());
    examples
}

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

fn agent_yaml(text: &str) -> Resolved {
    let head = "version: 1\nenvironments:\n";
    resolve(&Repository::from_text(&format!(
        "-- agent.yaml --\n{head}{text}\n-- web/a.yaml --\n-- api/a.yaml --\n"
    )))
}

#[test]
fn every_problem_is_found_at_once_with_its_place() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../testdata/config/expected");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, repository) in examples("bad") {
            let problems = resolve(&repository).problems();
            assert!(!problems.is_empty(), "{name} is fine");
            insta::assert_snapshot!(format!("bad-{name}"), problems);
        }
    });
}

#[test]
fn good_repositories_resolve() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../../testdata/config/expected");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, repository) in examples("good") {
            let config = resolve(&repository).config();
            let config = config.unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
            insta::assert_debug_snapshot!(format!("good-{name}"), config);
        }
    });
}

#[test]
fn a_bad_environment_does_not_stop_another() {
    let resolved = agent_yaml(
        "  staging: {units: [{name: web, path: gone}]}\n  production: {units: [{name: web, path: web}]}",
    );
    assert!(resolved.environment(&environment("production")).is_ok());
    let problems = resolved.environment(&environment("staging")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "agent.yaml:3:39: there is no directory `gone`"
    );
}

#[test]
fn a_bad_unit_makes_its_environment_an_error_so_that_it_is_not_pruned() {
    let resolved = agent_yaml(
        "  staging: {units: [{name: api, path: api}, {name: web, path: web, drift: never}]}",
    );
    assert!(resolved.environment(&environment("staging")).is_err());
}

#[test]
fn a_unit_file_that_is_not_read_fails_its_own_unit_alone() {
    // A manifest may be called so.
    let resolved = resolve(&Repository::from_text(
        "-- agent.yaml --
version: 1
environments:
  staging: {units: [{name: web, path: web}, {name: api, path: api}]}
-- web/unit.yaml --
drift: report
-- api/unit.yaml --
kind: ConfigMap
",
    ));
    let staging = resolved.environment(&environment("staging")).unwrap();
    let flaw = |unit: &str| {
        let unit = &staging.units[&unit.parse::<UnitName>().unwrap()];
        unit.flaw.as_ref().map(ToString::to_string)
    };
    assert_eq!(
        flaw("web").as_deref(),
        Some(
            "agent.yaml:3:39: unit.yaml in `web` is not read; it is read in directories that `each` matches; write its fields here"
        )
    );
    assert_eq!(flaw("api"), None);
}

#[test]
fn a_misspelt_default_stops_every_environment() {
    let text = "  staging: {units: [{name: web, path: web}]}\ndefualts: {prune: false}";
    let problems = agent_yaml(text);
    let problems = problems.environment(&environment("staging")).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "agent.yaml:4:1: unknown field `defualts`; did you mean `defaults`?"
    );
}

#[test]
fn only_a_file_that_can_be_read_lets_anybody_have_a_preview() {
    let previews = |text: &str| agent_yaml(text).previews;
    assert_eq!(previews("  staging: {units: []}"), Previews::Members);
    for (word, policy) in [
        ("all", Previews::All),
        ("members", Previews::Members),
        ("none", Previews::None),
        ("everybody", Previews::None),
        ("[", Previews::None),
    ] {
        let text = format!("  staging: {{units: []}}\npreviews: {word}");
        assert_eq!(previews(&text), policy, "{word}");
    }
    // Anything else that is wrong does not count: a pull request may be what mends it.
    let wrong = "  staging: {units: [{name: web, path: gone}]}\npreviews: all";
    assert_eq!(previews(wrong), Previews::All);
}

#[test]
fn a_file_that_was_read_before_is_read_again_once_it_is_another() {
    let mut last = LastRead::default();
    let mut of = |agent: &str, files: &str| {
        let text = format!("-- agent.yaml --\nversion: 1\n{agent}\n{files}");
        let resolved = resolve_after(&Repository::from_text(&text), &mut last);
        resolved.into_environment(&environment("staging"))
    };
    let web = "environments: {staging: {units: [{name: web, path: web}]}}";
    let both = "environments: {staging: {units: [{name: web, path: web}, {name: api, path: api}]}}";
    let files = "-- web/a.yaml --\n-- api/a.yaml --\n";
    let units = |read: Result<Environment, Problems>| read.unwrap().units.len();
    assert_eq!(units(of(web, files)), 1);
    assert_eq!(units(of(both, files)), 2);
    assert!(of(both, "-- web/a.yaml --\n").is_err(), "api is gone");
    assert!(of("environments: {e: [}", files).is_err());
    assert_eq!(units(of(both, files)), 2);
}

#[test]
fn what_asks_for_signatures_names_its_keys() {
    let of = |agent: &str, files: &str| {
        let text = format!("-- agent.yaml --\nversion: 1\n{agent}\n{files}");
        let repository = Repository::from_text(&text);
        let read =
            verify(&repository, &mut LastRead::default()).map_err(|problems| problems.to_string());
        (read, resolve(&repository).problems().to_string())
    };
    let keys = "-- keys/a --\nx\n";
    let (read, _) = of(
        "verify: {mode: since-last, keys: [keys/a]}\nenvironments: {e: [}",
        keys,
    );
    assert!(read.is_err(), "what can't be parsed says nothing");
    let (read, _) = of(
        "verify: {mode: since-last, keys: [keys/a]}\nenvironments: 1",
        keys,
    );
    let expected = Verify {
        mode: VerifyMode::SinceLast,
        keys: vec!["keys/a".to_owned()],
    };
    assert_eq!(read, Ok(Some(expected)), "the rest may be wrong");
    assert_eq!(of("environments: {}", keys).0, Ok(None));
    for (text, says) in [
        (
            "verify: {mode: head}",
            "2:9: `verify` needs a `mode` and `keys`",
        ),
        (
            "verify: {mode: head, keys: []}",
            "2:9: `verify` needs a `mode` and `keys`",
        ),
        ("verify:", "`verify` needs a `mode` and `keys`"),
        (
            "verify: {mode: all, keys: [keys/a]}",
            "expected `head` or `since-last`, found `all`",
        ),
        (
            "verify: {mode: head, keys: [gone]}",
            "2:29: there is no file `gone`",
        ),
        (
            "verify: {mode: head, keys: [keys]}",
            "there is no file `keys`",
        ),
        (
            "verify: {mode: head, keys: [keys/a], sinse: x}",
            "unknown field `sinse`",
        ),
    ] {
        let (read, all) = of(&format!("{text}\nenvironments: {{}}"), keys);
        assert!(read.unwrap_err().contains(says), "{text}");
        assert!(all.contains(says), "{text}: {all}");
    }
}

#[test]
fn an_environment_with_a_bad_name_stops_no_other() {
    let resolved = agent_yaml("  Bad_Name: {units: []}\n  staging: {units: []}");
    assert!(resolved.environment(&environment("staging")).is_ok());
    assert_eq!(resolved.problems().len(), 1);
}

#[test]
fn an_environment_that_is_not_there_is_named_with_the_nearest() {
    let resolved = agent_yaml("  staging: {units: []}\n  production: {units: []}");
    let asked = |name| {
        resolved
            .environment(&environment(name))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        asked("stagign"),
        "agent.yaml: has no environment `stagign`; did you mean `staging`?"
    );
    assert_eq!(
        asked("moon"),
        "agent.yaml: has no environment `moon`; there are production, staging"
    );
    let none = agent_yaml("  {}");
    let none = none.environment(&environment("moon"));
    assert_eq!(
        none.unwrap_err().to_string(),
        "agent.yaml: has no environment `moon`; there is none"
    );
}

#[test]
fn without_agent_yaml_the_way_out_is_said() {
    let said = |text| resolve(&Repository::from_text(text)).problems().to_string();
    assert_eq!(
        said("-- web/a.yaml --\n"),
        "agent.yaml: does not exist at the repository's root; write one, or give a directory as a single unit"
    );
    assert_eq!(
        said("-- agent.yml --\n"),
        "agent.yaml: does not exist at the repository's root; rename agent.yml"
    );
}

#[test]
fn a_directory_is_a_unit_without_any_configuration() {
    let repository = Repository::from_text("-- My Apps/kustomization.yaml --\n");
    let config = Config::single(&repository, "My Apps", "../My Apps/").unwrap();
    let local = &config.environments[&environment("local")];
    let unit = local.units.values().next().unwrap();
    assert_eq!(unit.name.as_str(), "my-apps");
    assert_eq!(unit.path, "My Apps");
    assert_eq!(unit.kind, UnitType::Kustomize);

    let whole = Config::single(&repository, ".", "/").unwrap();
    let unit = whole.environments[&environment("local")]
        .units
        .values()
        .next()
        .unwrap()
        .clone();
    assert_eq!((unit.name.as_str(), unit.path.as_str()), ("unit", ""));
    let missing = Config::single(&repository, "shop", "shop").unwrap_err();
    assert_eq!(missing.to_string(), "shop: there is no directory `shop`");
}

#[test]
fn a_big_prune_is_one_over_both_limits() {
    let default = MaxPrune::default();
    assert!(!default.exceeded_by(10, 20), "not more than 10");
    assert!(!default.exceeded_by(25, 100), "not more than 25 %");
    assert!(default.exceeded_by(26, 100));
    let count = MaxPrune {
        count: 3,
        percent: 0,
    };
    assert!(!count.exceeded_by(3, 1000));
    assert!(count.exceeded_by(4, 1000));
    let none = MaxPrune {
        count: 0,
        percent: 0,
    };
    assert!(none.exceeded_by(1, 1000));
    assert!(!none.exceeded_by(0, 0));
}

#[test]
fn anchors_that_multiply_are_stopped() {
    let level = |i: u32| {
        format!(
            "a{i}: &a{i} [{}]\n",
            vec![format!("*a{}", i - 1); 9].join(",")
        )
    };
    let bomb: String = (1..12).map(level).collect();
    let problems = resolve(&Repository::with(
        "agent.yaml",
        &format!("a0: &a0 [x]\n{bomb}"),
    ))
    .problems();
    assert!(
        problems.to_string().contains("anchors that multiply"),
        "{problems}"
    );
}

#[test]
fn a_long_chain_of_units_is_no_problem() {
    let unit = |i: u32| match i {
        0 => "      - {name: u0, path: web}\n".to_owned(),
        i => format!("      - {{name: u{i}, path: web, after: [u{}]}}\n", i - 1),
    };
    let units: String = (0..5000).map(unit).collect();
    let resolved = agent_yaml(&format!("  staging:\n    units:\n{units}"));
    assert_eq!(resolved.problems(), Problems::default());
}

#[test]
fn durations_are_what_people_write() {
    for (text, seconds) in [("90s", 90), ("1h 30m", 5400), ("2m30s", 150)] {
        let resolved = agent_yaml(&format!(
            "  staging: {{units: [{{name: web, path: web, health: {{timeout: {text}}}}}]}}"
        ));
        let config = resolved.config().unwrap();
        let unit = &config.environments[&environment("staging")].units;
        let unit = unit.values().next().unwrap();
        assert_eq!(unit.health_timeout, Duration::from_secs(seconds));
    }
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "[ -~\n]{0,200}") {
        resolve(&Repository::with("agent.yaml", &text));
    }

    #[test]
    fn a_path_has_one_spelling_and_stays_inside(path in "[ab./*]{0,40}") {
        if let Ok(normal) = each::normal(&path) {
            prop_assert_eq!(each::normal(&normal), Ok(normal.clone()));
            let name = |part: &str| !matches!(part, "" | "." | "..");
            prop_assert!(normal.is_empty() || normal.split('/').all(name), "{}", normal);
        }
    }

    #[test]
    fn what_matches_is_there_and_has_a_name(pattern in "[ab.*]{1,3}(/[ab.*]{1,3}){0,3}") {
        let repository = Repository::from_text("-- a/b/a/x --\n-- ab/ba/x --\n-- b/x --\n-- a/.b/x --\n");
        if each::check(&pattern).is_ok() {
            let matches = each::matches(&repository, &pattern, &mut UnitBudget::default());
            for found in matches.unwrap() {
                let levels = |path: &str| path.split('/').count();
                prop_assert_eq!(repository.kind(&found.path), Ok(Some(EntryKind::Directory)));
                prop_assert_eq!(levels(&found.path), levels(&pattern));
                prop_assert!(!found.name.is_empty());
            }
        }
    }

    #[test]
    fn any_directory_gives_a_name(directory in "\\PC{0,80}") {
        let repository = Repository::from_text("-- a/b.yaml --\n");
        prop_assert!(Config::single(&repository, "a", &directory).is_ok());
    }
}

/// A directory in which ten links lead to where they are.
struct Circles;

impl Tree for Circles {
    fn list(&self, _: &str) -> Result<Vec<(String, EntryKind)>, TreeError> {
        let names = (0..10).map(|at| (at.to_string(), EntryKind::Directory));
        Ok(names.collect())
    }

    fn kind(&self, path: &str) -> Result<Option<EntryKind>, TreeError> {
        Ok(match path {
            AGENT_FILE => Some(EntryKind::File),
            _ if path.ends_with(UNIT_FILE) => None,
            _ => Some(EntryKind::Directory),
        })
    }

    fn read(&self, _: &str) -> Result<Vec<u8>, TreeError> {
        let stars = "*/".repeat(8);
        let environments = [
            "a: {units: [{each: '0/*'}]}",
            &format!("b: {{units: [{{each: '{stars}*'}}]}}"),
        ];
        let text = format!(
            "version: 1\nenvironments:\n  {}\n",
            environments.join("\n  ")
        );
        Ok(text.into_bytes())
    }

    fn digest(&self, path: &str) -> Result<Digest, TreeError> {
        Ok(Digest::of_bytes(path.as_bytes()))
    }
}

#[test]
fn links_that_multiply_are_matched_to_a_bound_and_other_environments_stand() {
    let resolved = resolve(&Circles);
    assert_eq!(
        resolved.environments[&environment("a")]
            .as_ref()
            .unwrap()
            .units
            .len(),
        10
    );
    let problems = resolved.environments[&environment("b")]
        .clone()
        .unwrap_err();
    let words = "agent.yaml:4:22: with it the configuration leads to more than 100000 files and directories";
    assert!(problems.to_string().contains(words), "{problems}");
}
