//! What the API server fills in when somebody creates an object is said to be that
//! somebody's. None of it is a field that others have added.

use std::fmt::Write as _;

use agent::fields::others;
use agent::model::{Desired, GroupKind, Live, ObjectId, Origin, group_of};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::control_plane::ControlPlane;

#[derive(Deserialize)]
struct Zoo {
    object: Value,
}

#[test]
fn what_a_creator_did_not_say_is_nobodys() {
    let cluster = ControlPlane::shared();
    let namespace = cluster.namespace("nobodys");
    let mut zoo: serde_yaml::Value =
        serde_yaml::from_str(include_str!("../../testdata/fields/objects.yaml")).unwrap();
    zoo.apply_merge().unwrap();
    let zoo: Vec<Zoo> = serde_yaml::from_value(zoo).unwrap();
    let mut wrong = String::new();
    let mut objects = Vec::new();
    for (number, Zoo { mut object }) in zoo.into_iter().enumerate() {
        let group = group_of(object["apiVersion"].as_str().unwrap()).to_owned();
        let kind = object["kind"].as_str().unwrap().to_owned();
        // Of those, only their own schema knows the defaults.
        if group.ends_with("example.com") || kind == "CustomResourceDefinition" {
            continue;
        }
        let name = format!("{namespace}-{number}");
        object["metadata"]["name"] = json!(name);
        let words = [
            "-n",
            &namespace,
            "create",
            "--field-manager=helm",
            "-f",
            "-",
        ];
        let words = [&words[..], &["-ojson", "--show-managed-fields"]].concat();
        // A few can be applied, but not created.
        let Ok(created) = cluster.kubectl_with(&words, &object.to_string()) else {
            continue;
        };
        let live = Live::new(serde_json::from_str(&created).unwrap());
        let id =
            ObjectId::parse(GroupKind::new(&group, kind.as_str()).unwrap(), None, &name).unwrap();
        let origin = Origin {
            path: String::new(),
            line: 0,
        };
        let found = others(&Desired::new(id, &object, origin), &live);
        assert_eq!(found.sharing.len(), 1, "{kind}");
        for one in found.foreign {
            writeln!(wrong, "{kind}: {} {}", one.path, one.value).unwrap();
        }
        objects.push(object);
    }
    let all = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let words = [
        "-n",
        &namespace,
        "delete",
        "--wait=false",
        "--ignore-not-found",
        "-f",
        "-",
    ];
    cluster.kubectl_with(&words, &all.to_string()).unwrap();
    assert!(wrong.is_empty(), "{wrong}");
    assert!(objects.len() >= 25, "{all}");
}
