#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
    ObjectId::new(
        GroupKind::new(group, kind),
        namespace.map(str::to_owned),
        name.to_owned(),
    )
}

#[test]
fn an_object_has_its_path() {
    let unit: UnitName = "shop".parse().unwrap();
    let cases = [
        (
            id("apps", "Deployment", Some("shop"), "web"),
            "shop/shop/Deployment.apps/web.yaml",
        ),
        (
            id("", "ConfigMap", Some("shop"), "a.yaml"),
            "shop/shop/ConfigMap/a.yaml.yaml",
        ),
        (
            id(
                "rbac.authorization.k8s.io",
                "ClusterRole",
                None,
                "system:foo",
            ),
            "shop/_cluster/ClusterRole.rbac.authorization.k8s.io/system:foo.yaml",
        ),
        (
            id("", "X", Some("n"), "../../evil"),
            "shop/n/X/%2E.%2F..%2Fevil.yaml",
        ),
        (id("", "X", Some("n"), ".git"), "shop/n/X/%2Egit.yaml"),
    ];
    for (id, path) in cases {
        assert_eq!(of_object(&unit, &id), path);
        assert_eq!(to_object(path), Some((unit.clone(), id)));
    }
}

#[test]
fn other_files_are_no_objects() {
    for path in [
        "README.md",
        "shop/plan.txt",
        "shop/n/X/readme",
        "Shop/n/X/a.yaml",
        "shop/n/X/%zz.yaml",
        "a/b/c/d/e.yaml",
    ] {
        assert_eq!(to_object(path), None, "{path}");
    }
}

proptest! {
    #[test]
    fn any_name_comes_back_and_stays_one_component(namespace in "\\PC{1,20}", name in "[\\PC\n\t]{1,30}") {
        prop_assume!(namespace != CLUSTER);
        let unit: UnitName = "shop".parse().unwrap();
        let id = id("example.com", "Widget", Some(&namespace), &name);
        let path = of_object(&unit, &id);
        prop_assert_eq!(path.split('/').count(), 4);
        prop_assert!(path.split('/').all(|part| !part.starts_with('.')));
        prop_assert_eq!(to_object(&path), Some((unit, id)));
    }
}
