//! What would have the API server refuse what the agent writes for itself is asked for.

use super::*;
use crate::model::Namespace;

const HOME: Namespace = Namespace::known("agent-home");

fn upkeep(labels: Option<&[(&str, &str)]>) -> Upkeep {
    let kept = |kind, name, resource, labels: &[(&str, &str)]| Kept {
        id: ObjectId::new(kind, Some(HOME), crate::model::Name::known(name)),
        version: "v1",
        resource,
        labels: owned(labels),
    };
    let lease = GroupKind::known("coordination.k8s.io", "Lease");
    let inventory = GroupKind::known("", "ConfigMap");
    Upkeep {
        namespace: Some(HOME),
        labels: labels.map(owned),
        objects: vec![
            kept(lease, "gitops-agent-staging", "leases", &[]),
            kept(
                inventory,
                "staging.shop",
                "configmaps",
                &[("gitops-agent.dev/unit", "shop")],
            ),
        ],
    }
}

fn owned(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    let labels = labels.iter();
    labels
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

/// A world that declares these, none of which is there yet.
fn declaring(bodies: &[Value]) -> World {
    let mut world = World::of(&[]);
    world.upkeep = upkeep(Some(&[("team", "platform")]));
    for body in bodies {
        let kind = format!(
            "{}.admissionregistration.k8s.io",
            body["kind"].as_str().unwrap()
        );
        let kind: GroupKind = kind.parse().unwrap();
        let id = ObjectId::parse(kind, None, body["metadata"]["name"].as_str().unwrap()).unwrap();
        let origin = Origin {
            path: "shop/policy.yaml".to_owned(),
            line: 1,
        };
        world
            .desired
            .insert(id.clone(), Desired::new(id.clone(), body, origin));
        world.observed.insert(id, Observation::Absent);
    }
    world
}

/// What is asked for, by kind; of each, how many of the agent's objects it would refuse.
fn asked(world: &World) -> BTreeMap<String, usize> {
    let plan = world.checked(&BTreeSet::new());
    let approved = world.checked(&BTreeSet::from([plan.digest]));
    assert_eq!(approved.blocked().count(), 0);
    let blocked = plan.blocked().map(|(step, why)| {
        let Blocked::Guard(why) = why else {
            panic!("{why}");
        };
        assert!(why.contains("Approve-Plan: "), "{why}");
        let named = ["gitops-agent-staging", "staging.shop"];
        let named = named.iter().filter(|name| why.contains(**name)).count();
        (step.object.kind.kind.to_string(), named)
    });
    blocked.collect()
}

fn rules(field: &str, resources: &[&str]) -> Value {
    json!({field: [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": resources}]})
}

/// The first object with what the second adds to it.
fn with(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("{more}");
    };
    for (key, more) in more {
        value[key] = more;
    }
    value
}

fn policy(constraints: &Value, more: Value) -> Value {
    let spec = json!({"matchConstraints": constraints, "validations": [{"expression": "size(object.metadata.name) < 4"}]});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "p"}, "spec": with(spec, more),
    })
}

fn binding(more: Value) -> Value {
    let spec = json!({"policyName": "p", "validationActions": ["Deny"]});
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "b"}, "spec": with(spec, more),
    })
}

fn webhook(more: Value) -> Value {
    let webhook = with(rules("rules", &["*"]), json!({"name": "w.example"}));
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "w"}, "webhooks": [with(webhook, more)],
    })
}

#[test]
fn a_policy_and_its_binding_ask_where_both_are_for_it() {
    let all = rules("resourceRules", &["*"]);
    let leases = rules("resourceRules", &["leases"]);
    let none = json!({});
    let outside = |key: &str, value: &str| json!({"matchResources": {"namespaceSelector": {"matchExpressions": [{"key": key, "operator": "NotIn", "values": [value]}]}}});
    let when =
        |expression: &str| json!({"matchConditions": [{"name": "c", "expression": expression}]});
    let always = json!({"validations": [{"expression": "true"}]});
    // What the policy is for, what more it says, what more its binding says, and how many
    // objects that is for.
    let table = [
        (&all, none.clone(), none.clone(), 2),
        (&leases, none.clone(), none.clone(), 1),
        (
            &rules("resourceRules", &["pods", "leases/status"]),
            none.clone(),
            none.clone(),
            0,
        ),
        (
            &rules("resourceRules", &["*/*"]),
            none.clone(),
            none.clone(),
            2,
        ),
        (&all, always, none.clone(), 0),
        (
            &all,
            none.clone(),
            json!({"validationActions": ["Audit", "Warn"]}),
            0,
        ),
        (
            &all,
            none.clone(),
            outside("kubernetes.io/metadata.name", "agent-home"),
            0,
        ),
        (
            &all,
            none.clone(),
            outside("kubernetes.io/metadata.name", "other"),
            2,
        ),
        (&all, none.clone(), outside("team", "platform"), 0),
        (&all, none.clone(), outside("team", "web"), 2),
        (
            &all,
            none.clone(),
            json!({"matchResources": {"objectSelector": {"matchLabels": {"gitops-agent.dev/unit": "shop"}}}}),
            1,
        ),
        (&all, when("false"), none.clone(), 0),
        (
            &all,
            when("request.namespace != 'agent-home'"),
            none.clone(),
            0,
        ),
        (
            &all,
            when("!(request.resource.resource == \"leases\")"),
            none.clone(),
            1,
        ),
        (
            &all,
            when("request.name.startsWith('kept-')"),
            none.clone(),
            0,
        ),
        (
            &all,
            when("request.userInfo.username != 'a'"),
            none.clone(),
            2,
        ),
    ];
    for (constraints, more, bound, count) in table {
        let world = declaring(&[policy(constraints, more.clone()), binding(bound.clone())]);
        let kinds = [
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ];
        let expected = kinds.map(|kind| (kind.to_owned(), count));
        let expected: BTreeMap<_, _> = expected
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(asked(&world), expected, "{constraints} {more} {bound}");
    }
    // What the other one says is not known.
    assert_eq!(asked(&declaring(&[policy(&all, none.clone())])).len(), 1);
    assert_eq!(asked(&declaring(&[binding(none)])).len(), 1);
}

#[test]
fn a_webhook_asks_unless_it_is_passed_over_or_for_others() {
    let table = [
        (json!({}), 2),
        (json!({"failurePolicy": "Ignore"}), 0),
        (
            json!({"rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]}),
            1,
        ),
        (
            json!({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["*"]}]}),
            0,
        ),
        (
            json!({"rules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"], "scope": "Cluster"}]}),
            0,
        ),
        (json!({"rules": []}), 0),
        (
            json!({"namespaceSelector": {"matchLabels": {"watched": "yes"}}}),
            0,
        ),
        (
            json!({"namespaceSelector": {"matchExpressions": [{"key": "ignored", "operator": "DoesNotExist"}]}}),
            2,
        ),
    ];
    for (more, count) in table {
        let expected = (count > 0).then(|| ("ValidatingWebhookConfiguration".to_owned(), count));
        let world = declaring(&[webhook(more.clone())]);
        assert_eq!(asked(&world), expected.into_iter().collect(), "{more}");
    }
    // Labels that can't be read may be any.
    let mut world = declaring(&[webhook(
        json!({"namespaceSelector": {"matchLabels": {"watched": "yes"}}}),
    )]);
    world.upkeep = upkeep(None);
    assert_eq!(asked(&world).len(), 1);
}
