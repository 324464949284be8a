//! Fields of others, ownership, and the words for drift.

use super::*;
use crate::config::{FieldPath, ForeignPolicy, IgnoreRule};
use crate::fields::{Doubt, Foreign};

fn manager(name: &str, time: &str) -> Manager {
    Manager {
        name: name.to_owned(),
        operation: "Update".to_owned(),
        time: time.to_owned(),
    }
}

/// One that `anna` has added, and one of `otto`'s.
fn added(seen: &mut Seen) {
    for (path, name) in [("data.x", "anna"), ("metadata.annotations.note", "otto")] {
        seen.others.foreign.push(Foreign {
            path: path.to_owned(),
            value: json!("v"),
            manager: manager(name, "2026-11-21T09:00:00Z"),
        });
    }
}

fn shared(seen: &mut Seen) {
    seen.others.sharing.push(manager("helm", ""));
}

fn ignore(kind: Option<&str>, name: Option<&str>, path: &str) -> IgnoreRule {
    IgnoreRule {
        kind: kind.map(str::to_owned),
        name: name.map(str::to_owned),
        path: FieldPath::parse(path).unwrap(),
        origin: Origin {
            path: "agent.yaml".to_owned(),
            line: 7,
        },
    }
}

fn difference(path: &str, kind: Kind, doubt: Option<Doubt>, owner: Option<&str>) -> Difference {
    Difference {
        path: path.to_owned(),
        kind,
        doubt,
        owner: owner.map(|name| manager(name, "")),
    }
}

const CASES: &[Case] = &[
    ("reported", |w, a| w.see(a, added), &[]),
    (
        "reverted",
        |w, a| {
            w.see(a, added);
            w.unit.foreign_fields = ForeignPolicy::Revert;
        },
        &["clear ConfigMap n/a, Drift: ready"],
    ),
    (
        "reverted though nothing else is known of it",
        |w, a| {
            let mut seen = clean(a);
            added(&mut seen);
            let found = AsDesired {
                overruled: Vec::new(),
                health: seen.health,
                others: seen.others,
            };
            w.observed.insert(a.clone(), Observation::AsDesired(found));
            w.unit.foreign_fields = ForeignPolicy::Revert;
        },
        &["clear ConfigMap n/a, Drift: ready"],
    ),
    (
        "reverted together with drift",
        |w, a| {
            w.see(a, |s| {
                added(s);
                s.verdict = Verdict::Drifted(changed());
            });
            w.unit.foreign_fields = ForeignPolicy::Revert;
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "reverted beside drift that is reported",
        |w, a| {
            w.see(a, |s| {
                added(s);
                s.verdict = Verdict::Drifted(changed());
            });
            w.unit.foreign_fields = ForeignPolicy::Revert;
            w.unit.drift = DriftPolicy::Report;
        },
        &[
            "change ConfigMap n/a, Drift: reported",
            "clear ConfigMap n/a, Drift: ready",
        ],
    ),
    (
        "left with what somebody has put in the place of ours",
        |w, a| {
            w.see(a, |s| {
                label(s, &Value::Null);
                added(s);
            });
            w.unit.foreign_fields = ForeignPolicy::Revert;
            w.unit.drift = DriftPolicy::Report;
        },
        &["adopt ConfigMap n/a, Drift: reported"],
    ),
    (
        "all ignored",
        |w, a| {
            w.see(a, added);
            w.unit.foreign_fields = ForeignPolicy::Revert;
            w.unit.ignore = vec![
                ignore(Some("ConfigMap"), Some("a"), "data"),
                ignore(None, None, "metadata.annotations[*]"),
            ];
        },
        &[],
    ),
    (
        "the rules are about other objects",
        |w, a| {
            w.see(a, added);
            w.unit.foreign_fields = ForeignPolicy::Revert;
            w.unit.ignore = vec![
                ignore(Some("Secret"), None, "data"),
                ignore(Some("ConfigMap.example.com"), None, "data"),
                ignore(None, Some("b*"), "data"),
                ignore(None, None, "data.y"),
            ];
        },
        &["clear ConfigMap n/a, Drift: ready"],
    ),
    (
        "contended",
        |w, a| {
            w.see(a, added);
            w.unit.foreign_fields = ForeignPolicy::Revert;
            w.unit.replace = true;
            w.refuse(a, true, now() + 1.minute());
        },
        &[
            "clear ConfigMap n/a, Drift: blocked, Refused: the server's words; to have it deleted and created again, set `replace: true` on the unit or the annotation gitops-agent.dev/replace",
        ],
    ),
    (
        "a deployer owns fields of ours",
        |w, a| {
            w.see(a, shared);
            w.unit.drift = DriftPolicy::Report;
        },
        &["clear ConfigMap n/a, Ownership: ready"],
    ),
    (
        "a deployer may go on owning them",
        |w, a| {
            w.see(a, shared);
            w.unit.conflicts = ConflictPolicy::Fail;
        },
        &[],
    ),
    (
        "ownership lost",
        |w, a| {
            w.see(a, |s| {
                s.verdict = Verdict::Drifted(vec![
                    difference("data.a", Kind::NotOwned, None, Some("anna")),
                    // What a webhook has made of it.
                    difference(
                        "data.b",
                        Kind::Changed {
                            live: json!("x"),
                            desired: json!("y"),
                        },
                        Some(Doubt::Rewritten),
                        None,
                    ),
                ]);
            });
            w.unit.drift = DriftPolicy::Report;
        },
        &["change ConfigMap n/a, Ownership: ready"],
    ),
    (
        "declared now with the value that it has",
        |w, a| {
            w.see(a, |s| {
                s.verdict =
                    Verdict::Drifted(vec![difference("data.a", Kind::NotOwned, None, None)]);
            });
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
];

#[test]
fn each_standing_of_an_object_that_others_have_to_do_with() {
    for (about, change, expected) in CASES {
        let mut world = World::of(&[("ConfigMap", "a")]);
        change(&mut world, &id("ConfigMap", "a"));
        assert_eq!(steps(&world), *expected, "{about}");
    }
}

#[test]
fn fields_of_others_are_told_under_report_and_are_in_the_digest_under_revert() {
    let a = id("ConfigMap", "a");
    let mut world = World::of(&[("ConfigMap", "a")]);
    let calm = world.proposed().digest;
    world.see(&a, added);
    let told = |world: &World| -> Vec<String> {
        let plan = world.proposed();
        plan.foreign.iter().map(ToString::to_string).collect()
    };
    let all = [
        r#"data.x: "v", set by anna (Update) at 2026-11-21T09:00:00Z"#,
        r#"metadata.annotations.note: "v", set by otto (Update) at 2026-11-21T09:00:00Z"#,
    ];
    assert_eq!(told(&world), all);
    assert_eq!(world.proposed().digest, calm, "nothing would be done");
    world.unit.ignore = vec![ignore(None, None, "data.x")];
    assert_eq!(told(&world), all[1..]);
    world.see(&a, |seen| {
        added(seen);
        label(seen, &json!(THEIRS));
    });
    assert_eq!(told(&world), [] as [&str; 0], "somebody else's object");
    world.see(&a, added);
    for policy in [ForeignPolicy::Revert, ForeignPolicy::Allow] {
        world.unit.foreign_fields = policy;
        assert_eq!(told(&world), [] as [&str; 0]);
    }
    world.unit.foreign_fields = ForeignPolicy::Revert;
    let one = world.proposed();
    assert_eq!(one.steps[0].removes, ["metadata.annotations.note"]);
    world.unit.ignore.clear();
    let both = world.proposed();
    assert_eq!(both.steps[0].removes.len(), 2);
    assert!(one.digest != calm && both.digest != one.digest);
    let line = both.steps[0].fields[0].to_string();
    assert_eq!(
        line,
        r#"data.x: "v" (set by anna (Update) at 2026-11-21T09:00:00Z) -> (none)"#
    );
}

#[test]
fn drift_tells_what_is_certain_and_who_removed_what_is_gone() {
    let a = id("ConfigMap", "a");
    let mut world = World::of(&[("ConfigMap", "a")]);
    let changed = |live: &str, desired: Value| Kind::Changed {
        live: json!(live),
        desired,
    };
    let differences = vec![
        difference("data.a", changed("2", json!("1")), None, Some("anna")),
        difference(
            "data.gone",
            Kind::Missing {
                desired: json!("1"),
            },
            None,
            None,
        ),
        difference(
            "data.none",
            changed("3", json!("")),
            Some(Doubt::Zero),
            Some("anna"),
        ),
        difference(
            "data.webhook",
            changed("4", json!("1")),
            Some(Doubt::Rewritten),
            None,
        ),
        difference(
            "data.spelled",
            changed("1000m", json!("1")),
            Some(Doubt::Spelling),
            None,
        ),
    ];
    let entry = |manager: &str, operation: &str, time: &str| json!({"manager": manager, "operation": operation, "time": time});
    world.see(&a, |seen| {
        let entries = json!([
            entry(FIELD_MANAGER, "Apply", "2026-11-21T08:00:00Z"),
            entry("early", "Update", "2026-11-21T07:00:00Z"),
            entry("otto", "Update", "2026-11-21T09:00:00Z"),
            entry("kube-controller-manager", "Update", "2026-11-21T09:30:00Z"),
        ]);
        set(seen, &["metadata", "managedFields"], entries);
        seen.verdict = Verdict::Drifted(differences);
    });
    let told = |world: &World| -> Vec<String> {
        let plan = world.proposed();
        plan.steps[0]
            .fields
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    assert_eq!(
        told(&world),
        [
            r#"data.a: "2" (set by anna (Update)) -> "1""#,
            r#"data.gone: (none) -> "1""#,
            r#"data.none: "3" (set by anna (Update)) -> """#,
        ]
    );
    // Where desired has moved, nobody has removed anything.
    world.applied.clear();
    let lines = told(&world);
    assert!(
        lines.contains(&r#"data.gone: (none) -> "1""#.to_owned()),
        "{lines:?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("data.webhook")));
}

#[test]
fn an_adoption_says_from_whom() {
    let a = id("ConfigMap", "a");
    let mut world = World::of(&[("ConfigMap", "a")]);
    let reason = |world: &World| world.proposed().steps[0].reason.clone();
    world.applied.clear();
    world.see(&a, |seen| label(seen, &Value::Null));
    assert_eq!(reason(&world), "it exists and is not managed yet");
    world.see(&a, |seen| {
        label(seen, &Value::Null);
        shared(seen);
        seen.others
            .sharing
            .push(manager("kubectl", "2026-11-21T09:00:00Z"));
    });
    assert_eq!(
        reason(&world),
        "it exists, applied by helm (Update), kubectl (Update) at 2026-11-21T09:00:00Z; adopted: ownership of what is declared here is taken over"
    );
}

#[test]
fn a_rule_that_names_what_is_declared_is_warned_of() {
    let mut world = World::of(&[("ConfigMap", "a"), ("ConfigMap", "b"), ("Secret", "a")]);
    world.unit.ignore = vec![
        ignore(Some("ConfigMap"), None, "data.a"),
        ignore(None, None, "data"),
        ignore(None, None, "data.other"),
        ignore(None, None, "data.*"),
    ];
    let warned = ignored_in_vain(&world.unit, &world.desired).to_string();
    assert_eq!(
        warned,
        "agent.yaml:7: `ignore` names data.a, which is declared by ConfigMap n/a (shop/a.yaml:1) and 1 more: what is declared is applied; to leave it to others, take it out of Git"
    );
}
