//! What is known of Kubernetes' own kinds without a cluster is what a cluster says.

use agent::model::GroupKind;
use agent::render::{Scope, builtin_scope};

use crate::support::control_plane::ControlPlane;

#[test]
fn every_kind_of_kubernetes_has_the_scope_that_the_cluster_tells() {
    let cluster = ControlPlane::shared();
    let mut known = 0;
    for (scope, flag) in [
        (Scope::Cluster, "--namespaced=false"),
        (Scope::Namespaced, "--namespaced=true"),
    ] {
        let text = cluster.kubectl(&["api-resources", "--no-headers", flag]);
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().rev().collect();
            let (kind, version) = (words[0], words[2]);
            let group = version.split_once('/').map_or("", |(group, _)| group);
            let of_kubernetes = !group.contains('.') || group.ends_with(".k8s.io");
            let kind = GroupKind::new(group, kind).unwrap();
            if of_kubernetes {
                assert_eq!(builtin_scope(&kind), Some(scope), "{kind}");
                known += 1;
            }
        }
    }
    assert!(known > 50, "only {known} kinds");
}
