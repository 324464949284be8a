//! A field that can't be changed is known by how the API server takes the change and the
//! same content as a new object, whatever the kind calls it; and replacing is offered.

use crate::support::stage::Stage;

const AGENT: &str = env!("CARGO_BIN_EXE_agent");

/// A unit's name, its object, called `NAME`, and what becomes of a part of it.
const OBJECTS: &[(&str, &str, &str, &str)] = &[
    (
        "configmap",
        "apiVersion: v1\nkind: ConfigMap\nimmutable: true\ndata: {a: one}",
        "one",
        "two",
    ),
    (
        "csidriver",
        "apiVersion: storage.k8s.io/v1\nkind: CSIDriver\nspec: {attachRequired: true}",
        "attachRequired: true",
        "attachRequired: false",
    ),
    (
        "daemonset",
        "apiVersion: apps/v1\nkind: DaemonSet\nspec: {selector: {matchLabels: {app: it}}, template: {metadata: {labels: {app: it, more: one}}, spec: {nodeSelector: {none: such}, containers: [{name: main, image: 'web:1'}]}}}",
        "matchLabels: {app: it}",
        "matchLabels: {more: one}",
    ),
    (
        "endpointslice",
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\nendpoints: []",
        "IPv4",
        "FQDN",
    ),
    (
        "ingressclass",
        "apiVersion: networking.k8s.io/v1\nkind: IngressClass\nspec: {controller: example.com/one}",
        "example.com/one",
        "example.com/two",
    ),
    (
        "job",
        "apiVersion: batch/v1\nkind: Job\nspec: {suspend: true, completions: 1, template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'web:1'}]}}}",
        "completions: 1",
        "completions: 2",
    ),
    (
        "persistentvolume",
        "apiVersion: v1\nkind: PersistentVolume\nspec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], storageClassName: none-such, hostPath: {path: /one}}",
        "/one",
        "/two",
    ),
    (
        "persistentvolumeclaim",
        "apiVersion: v1\nkind: PersistentVolumeClaim\nspec: {accessModes: [ReadWriteOnce], storageClassName: none-such, resources: {requests: {storage: 1Gi}}}",
        "none-such",
        "none-other",
    ),
    (
        "pod",
        "apiVersion: v1\nkind: Pod\nspec: {nodeSelector: {none: such}, containers: [{name: main, image: 'web:1', command: [one]}]}",
        "command: [one]",
        "command: [two]",
    ),
    (
        "priorityclass",
        "apiVersion: scheduling.k8s.io/v1\nkind: PriorityClass\nvalue: 1000",
        "1000",
        "1001",
    ),
    (
        "replicaset",
        "apiVersion: apps/v1\nkind: ReplicaSet\nspec: {replicas: 0, selector: {matchLabels: {app: it}}, template: {metadata: {labels: {app: it, more: one}}, spec: {containers: [{name: main, image: 'web:1'}]}}}",
        "matchLabels: {app: it}",
        "matchLabels: {more: one}",
    ),
    (
        "rolebinding",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects: []",
        "name: view",
        "name: edit",
    ),
    (
        "clusterrolebinding",
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}\nsubjects: []",
        "name: view",
        "name: edit",
    ),
    (
        "runtimeclass",
        "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nhandler: one",
        "handler: one",
        "handler: two",
    ),
    (
        "secret",
        "apiVersion: v1\nkind: Secret\nimmutable: true\nstringData: {a: one-value}",
        "one-value",
        "two-value",
    ),
    (
        "service",
        "apiVersion: v1\nkind: Service\nspec: {clusterIP: 10.0.78.76, ports: [{port: 80}]}",
        "10.0.78.76",
        "10.0.78.77",
    ),
    (
        "statefulset",
        "apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 0, serviceName: one, selector: {matchLabels: {app: it}}, template: {metadata: {labels: {app: it}}, spec: {containers: [{name: main, image: 'web:1'}]}}}",
        "serviceName: one",
        "serviceName: two",
    ),
    (
        "storageclass",
        "apiVersion: storage.k8s.io/v1\nkind: StorageClass\nprovisioner: example.com/one",
        "example.com/one",
        "example.com/two",
    ),
];

fn object(unit: &str, text: &str, namespace: &str) -> String {
    format!("{text}\nmetadata: {{name: {namespace}-{unit}}}\n")
}

#[test]
fn each_built_in_kind_s_are_known() {
    let mut stage = Stage::new("fixed", AGENT);
    let namespace = stage.namespace.clone();
    for (unit, text, _, _) in OBJECTS {
        let path = format!("{unit}/it.yaml");
        stage
            .repository
            .write(&path, &object(unit, text, &namespace));
    }
    let units: Vec<(&str, &str)> = OBJECTS
        .iter()
        .map(|(unit, ..)| (*unit, "allowPlainSecrets: true"))
        .collect();
    stage.configure(&units);
    stage.start();
    let uid = |stage: &Stage, unit: &str| stage.uid(unit, &format!("{}-{unit}", stage.namespace));
    // Not every one of them gets healthy here.
    stage.until("all to be there", |stage| {
        let missing = units.iter().find(|(unit, _)| uid(stage, unit).is_empty());
        missing.map_or(Ok(()), |(unit, _)| {
            Err(format!("{unit}: {}", stage.unit(unit)))
        })
    });
    let before: Vec<String> = units.iter().map(|(unit, _)| uid(&stage, unit)).collect();

    for (unit, text, from, to) in OBJECTS {
        assert!(text.contains(from), "{unit}");
        let path = format!("{unit}/it.yaml");
        let changed = object(unit, &text.replace(from, to), &namespace);
        stage.repository.write(&path, &changed);
    }
    stage.commit("Change what can't be changed", &[]);
    for (unit, _) in &units {
        stage.until(&format!("{unit} to be told"), |stage| {
            let seen = stage.unit(unit);
            let message = seen["message"].as_str().unwrap_or_default();
            let offered = message.contains("to have it deleted and created again");
            if seen["state"] == "Blocked" && offered {
                Ok(())
            } else {
                Err(seen.to_string())
            }
        });
        println!("{unit}: {}", stage.unit(unit)["message"]);
    }
    assert_eq!(stage.deletes(), [] as [&str; 0]);
    let after: Vec<String> = units.iter().map(|(unit, _)| uid(&stage, unit)).collect();
    assert_eq!(before, after);

    // The command tells the same.
    let told = stage.diff(&[]).stdout;
    let offers = told.matches("set `replace: true`").count();
    assert_eq!(offers, OBJECTS.len(), "{told}");
    let all: Vec<(&str, &str)> = units
        .iter()
        .map(|(unit, more)| match *unit {
            "priorityclass" | "storageclass" => (*unit, "replace: true"),
            _ => (*unit, *more),
        })
        .collect();
    stage.configure(&all);
    for place in ["priorityclass", "storageclass"] {
        let number = units.iter().position(|(unit, _)| *unit == place).unwrap();
        stage.until(&format!("another {place}"), |stage| {
            let seen = uid(stage, place);
            let replaced = !seen.is_empty() && seen != before[number];
            if replaced {
                Ok(())
            } else {
                Err(stage.unit(place).to_string())
            }
        });
        stage.until_state(place, "Synced");
    }
}
