#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;

use super::*;

fn id(group: &str, kind: &str, namespace: Option<&str>, name: &str) -> ObjectId {
    let kind = GroupKind::new(group, kind).unwrap();
    ObjectId::parse(kind, namespace, name).unwrap()
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
            id("", "X", Some("n"), "..\\..\\evil"),
            "shop/n/X/%2E.%5C..%5Cevil.yaml",
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
        "shop/n/X/%2E%2E.yaml",
        "shop/n/X/..%2F..%2Fsecrets%2Ftok.yaml",
        "shop/n%2Fsecrets/X/tok.yaml",
        "shop/n/X%3F/tok.yaml",
        "shop/n/X/a%E2%80%AEb.yaml",
        "a/b/c/d/e.yaml",
    ] {
        assert_eq!(to_object(path), None, "{path}");
    }
}

proptest! {
    #[test]
    fn any_name_comes_back_and_stays_one_component(namespace in "[a-z0-9]{1,20}", name in "[\\PC./\\\\]{1,30}") {
        let unit: UnitName = "shop".parse().unwrap();
        let kind = GroupKind::known("example.com", "Widget");
        let Ok(id) = ObjectId::parse(kind, Some(&namespace), &name) else {
            return Ok(());
        };
        let path = of_object(&unit, &id);
        prop_assert_eq!(path.split('/').count(), 4);
        prop_assert!(path.split('/').all(|part| !part.starts_with('.')));
        prop_assert_eq!(to_object(&path), Some((unit, id)));
    }

    #[test]
    fn any_path_gives_a_name_or_none(path in "(\\PC|[./%]|%2[EeFf]|%25){1,40}") {
        if let Some((unit, id)) = to_object(&format!("shop/{path}")) {
            prop_assert_eq!(to_object(&of_object(&unit, &id)), Some((unit, id)));
        }
    }
}
