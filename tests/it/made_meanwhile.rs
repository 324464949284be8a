//! What happens to an object between a plan and its steps is met by the API server: the step
//! does not hold, and the next plan is made from what is there.

use std::time::Duration;

use crate::believed::synced_at;
use crate::support::audit::AuditEvent;
use crate::support::liar::{Asked, Liar, Lie};
use crate::support::stage::Stage;

/// How long a request is on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(4);

fn object(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{a: {value}}}\n")
}

fn is_write_of(asked: &Asked, name: &str) -> bool {
    asked.method == "PATCH" && asked.path.ends_with(&format!("/configmaps/{name}"))
}

/// Has the next write of an object take its time.
fn delay(liar: &Liar, name: &'static str) -> usize {
    let writes = move |asked: &Asked| is_write_of(asked, name);
    liar.lie_times(1, writes, Lie::Late(ON_ITS_WAY));
    liar.told()
}

fn until_on_its_way(stage: &mut Stage<'_>, liar: &Liar, told: usize) {
    stage.until("the write to be on its way", |_| {
        let seen = liar.told() - told;
        (seen == 1).then_some(()).ok_or_else(|| seen.to_string())
    });
}

/// The answers to the agent's writes of an object, in their order.
fn answers(stage: &Stage<'_>, name: &str) -> Vec<u16> {
    let of_it = |event: &AuditEvent| event.object.name == name && event.verb == "patch";
    let writes = stage.writes().into_iter().filter(of_it);
    writes.map(|event| event.response.code).collect()
}

#[test]
fn what_somebody_makes_meanwhile_is_not_taken_for_what_was_planned() {
    let files = [("shop/b.yaml", object("b", "one"))];
    let (mut stage, liar) = synced_at("made-meanwhile", &files, &["shop"]);
    let told = delay(&liar, "a");
    let revision = stage.commit("Add it", &[("shop/a.yaml", &object("a", "one"))]);
    until_on_its_way(&mut stage, &liar, told);
    stage.kubectl_apply(&object("a", "theirs"), "mallory");
    let uid = stage.uid("configmap", "a");

    let entry = stage.until_entry(&format!("sync shop to {}", &revision[..8]));
    assert!(entry.subject.contains("adopt"), "{}", entry.subject);
    stage.until_synced("shop", &revision);
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "one");
    assert_eq!(stage.uid("configmap", "a"), uid);
    assert_eq!(answers(&stage, "a")[0], 409);
}

#[test]
fn what_somebody_puts_in_its_place_meanwhile_is_told_as_theirs() {
    let files = [("shop/a.yaml", object("a", "one"))];
    let (mut stage, liar) = synced_at("replaced-meanwhile", &files, &["shop"]);
    let before = answers(&stage, "a").len();
    let told = delay(&liar, "a");
    let revision = stage.commit("Change it", &[("shop/a.yaml", &object("a", "two"))]);
    until_on_its_way(&mut stage, &liar, told);
    stage.kubectl(&["delete", "configmap", "a"]);
    stage.kubectl_apply(&object("a", "theirs"), "mallory");
    let uid = stage.uid("configmap", "a");

    stage.until_synced("shop", &revision);
    assert_eq!(stage.get("configmap", "a")["data"]["a"], "two");
    assert_eq!(stage.uid("configmap", "a"), uid);
    // The API server takes it for a change of the object's uid.
    assert_eq!(answers(&stage, "a")[before], 422);
    // It is theirs that is taken over, and not ours that is changed.
    let entry = stage.until_entry(&format!("sync shop to {}", &revision[..8]));
    assert!(entry.subject.contains("adopt"), "{}", entry.subject);
}
