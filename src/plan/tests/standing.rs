//! Objects that are declared: whether they differ, and whether something can be done.

use super::*;

const CASES: &[Case] = &[
    ("clean", |_, _| {}, &[]),
    (
        "new",
        |w, a| {
            w.observed.insert(a.clone(), Observation::Absent);
            w.applied.clear();
        },
        &["create ConfigMap n/a, Change: ready"],
    ),
    (
        "deleted",
        |w, a| drop(w.observed.insert(a.clone(), Observation::Absent)),
        &["create ConfigMap n/a, Drift: ready"],
    ),
    (
        "changed by somebody",
        |w, a| w.see(a, |s| s.verdict = Verdict::Drifted(changed())),
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "changed in Git",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "perhaps changed",
        |w, a| w.see(a, |s| s.verdict = Verdict::Maybe(changed())),
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "drift reported",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Report;
        },
        &["change ConfigMap n/a, Drift: reported"],
    ),
    (
        "drift proposed",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Propose;
        },
        &["change ConfigMap n/a, Drift: reported"],
    ),
    (
        "a proposal that was closed",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Propose;
            let kept = w.proposed();
            w.proposals.refused.insert(drift_digest(&kept.steps[0]));
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "a proposal that was kept for long enough",
        |w, a| {
            let mut then = changed();
            then[0].owner.as_mut().unwrap().time = "2026-11-21T09:00:00Z".to_owned();
            w.see(a, |s| s.verdict = Verdict::Drifted(then));
            w.unit.drift = DriftPolicy::Propose;
            w.unit.keep_for = Some(std::time::Duration::from_hours(1));
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "a proposal that is kept still",
        |w, a| {
            let mut then = changed();
            then[0].owner.as_mut().unwrap().time = "2026-11-21T09:00:01Z".to_owned();
            w.see(a, |s| s.verdict = Verdict::Drifted(then));
            w.unit.drift = DriftPolicy::Propose;
            w.unit.keep_for = Some(std::time::Duration::from_hours(1));
        },
        &["change ConfigMap n/a, Drift: reported"],
    ),
    (
        "a change is applied under report too",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.drift = DriftPolicy::Report;
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "nobody's",
        |w, a| {
            w.see(a, |s| label(s, &Value::Null));
            w.applied.clear();
        },
        &["adopt ConfigMap n/a, Change: ready"],
    ),
    (
        "another in the place of ours",
        |w, a| w.see(a, |s| label(s, &Value::Null)),
        &["adopt ConfigMap n/a, Drift: ready"],
    ),
    (
        "another in the place of ours, and drift is reported",
        |w, a| {
            w.see(a, |s| label(s, &Value::Null));
            w.unit.drift = DriftPolicy::Report;
        },
        &["adopt ConfigMap n/a, Drift: reported"],
    ),
    (
        "another in the place of ours, and drift is proposed",
        |w, a| {
            w.see(a, |s| label(s, &Value::Null));
            w.unit.drift = DriftPolicy::Propose;
        },
        &["adopt ConfigMap n/a, Drift: reported"],
    ),
    (
        "our label overwritten",
        |w, a| {
            w.see(a, |s| {
                label(s, &json!("applyset-theirs-v1"));
                s.verdict = Verdict::Drifted(changed());
            });
            w.list(a, "uid-a");
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "our label overwritten with that of another unit",
        |w, a| {
            w.see(a, |s| {
                label(s, &json!("applyset-next-v1"));
                s.verdict = Verdict::Drifted(changed());
            });
            w.neighbours
                .claims
                .insert(a.clone(), "next".parse().unwrap());
            w.list(a, "uid-a");
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "another's object of the same name",
        |w, a| {
            w.see(a, |s| {
                label(s, &json!("applyset-theirs-v1"));
                s.verdict = Verdict::Drifted(changed());
            });
            w.list(a, "uid-of-the-one-before");
        },
        &[
            "change ConfigMap n/a, Drift: blocked, NotOurs: it belongs to another ApplySet (applyset-theirs-v1); remove its label applyset.kubernetes.io/part-of to hand it over",
        ],
    ),
    (
        "immutable, and not proven to be ours",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, true, now() + 1.minute());
            w.unit.replace = true;
            w.members = Members::Known(BTreeSet::new());
        },
        &[
            "replace ConfigMap n/a, Drift: blocked, NotOurs: it would have to be deleted and created again, and that it is one that the agent has applied and that nothing else controls can't be proven; delete it by hand if it is to go",
        ],
    ),
    (
        "our label taken off",
        |w, a| {
            w.see(a, |s| {
                label(s, &Value::Null);
                set(
                    s,
                    &["metadata", "managedFields"],
                    json!([{"manager": FIELD_MANAGER, "operation": "Apply"}]),
                );
                s.verdict = Verdict::Drifted(changed());
            })
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "another ApplySet's",
        |w, a| w.see(a, |s| label(s, &json!(THEIRS))),
        &[
            "change ConfigMap n/a, Drift: blocked, NotOurs: it belongs to another ApplySet (applyset-theirs-v1); remove its label applyset.kubernetes.io/part-of to hand it over",
        ],
    ),
    (
        "a neighbour's that let it go",
        |w, a| {
            w.see(a, |s| label(s, &json!("applyset-next-v1")));
            w.applied.clear();
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "a neighbour's that declares it",
        |w, a| {
            w.see(a, |s| label(s, &json!("applyset-next-v1")));
            w.neighbours
                .claims
                .insert(a.clone(), "next".parse().unwrap());
        },
        &[
            "change ConfigMap n/a, Drift: blocked, NotOurs: the unit next declares it too; only one may",
        ],
    ),
    (
        "conflicts fail",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.conflicts = ConflictPolicy::Fail;
            w.applied.clear();
        },
        &[
            "change ConfigMap n/a, Change: blocked, NotOurs: the unit says `conflicts: fail`, and data.a: \"c\" (set by mallory (Update)) -> \"b\"",
        ],
    ),
    (
        "drift is reverted under conflicts: fail",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.conflicts = ConflictPolicy::Fail;
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "not looked for",
        |w, a| drop(w.observed.remove(a)),
        &[
            "create ConfigMap n/a, Drift: blocked, Unobserved: live cannot be read: it was not looked for",
        ],
    ),
    (
        "not readable",
        |w, a| {
            drop(
                w.observed
                    .insert(a.clone(), Observation::Unknown("forbidden".to_owned())),
            )
        },
        &["create ConfigMap n/a, Drift: blocked, Unobserved: live cannot be read: forbidden"],
    ),
    (
        "being deleted",
        |w, a| {
            w.see(a, |s| {
                set(
                    s,
                    &["metadata", "deletionTimestamp"],
                    json!("2026-11-21T09:00:00Z"),
                );
                s.verdict = Verdict::Drifted(changed());
            })
        },
        &[
            "change ConfigMap n/a, Drift: waits for ConfigMap n/a, which is being deleted, to be gone",
        ],
    ),
    (
        "another unit first",
        |w, a| {
            w.observed.insert(a.clone(), Observation::Absent);
            w.applied.clear();
            w.waits = Some("the unit base");
        },
        &["create ConfigMap n/a, Change: waits for the unit base"],
    ),
    (
        "drift doesn't wait for another unit",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.waits = Some("the unit base");
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now() + 1.minute());
        },
        &["change ConfigMap n/a, Drift: blocked, Refused: the server's words"],
    ),
    (
        "refused, and tried again",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now());
        },
        &["change ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused in another form",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, false, now() + 1.minute());
            w.declare(a, |body| body["data"]["a"] = json!("new"));
        },
        &["change ConfigMap n/a, Change: ready"],
    ),
    (
        "immutable",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.refuse(a, true, now() + 1.minute());
        },
        &[
            "change ConfigMap n/a, Drift: blocked, Refused: the server's words; to have it deleted and created again, set `replace: true` on the unit or the annotation gitops-agent.dev/replace",
        ],
    ),
    (
        "immutable, replaced",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.replace = true;
            w.refuse(a, true, now() + 1.minute());
        },
        &["replace ConfigMap n/a, Drift: ready"],
    ),
    (
        "refused otherwise, not replaced",
        |w, a| {
            w.see(a, |s| s.verdict = Verdict::Drifted(changed()));
            w.unit.replace = true;
            w.refuse(a, false, now() + 1.minute());
        },
        &["change ConfigMap n/a, Drift: blocked, Refused: the server's words"],
    ),
];

#[test]
fn each_standing_of_a_declared_object() {
    for (about, change, expected) in CASES {
        let mut world = World::of(&[("ConfigMap", "a")]);
        change(&mut world, &id("ConfigMap", "a"));
        assert_eq!(steps(&world), *expected, "{about}");
    }
}
