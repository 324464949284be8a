//! What an answer holds: believed only for the object that was asked for. An answer is not
//! proof of whose it is; a cache or a proxy in between may give one person's to another.

use serde_json::Value;

use super::discovery::Resource;
use super::error::ApiError;
use crate::model::{Live, Namespace, ObjectId};

/// The answer as the object that was asked for.
pub(super) fn of(id: &ObjectId, body: Value) -> Result<Live, ApiError> {
    let live = Live::new(body);
    match live.id() {
        Some(told) if told == *id => Ok(live),
        Some(told) => Err(wrong(&id.to_string(), &told.to_string())),
        None => Err(wrong(&id.to_string(), "something that is no object")),
    }
}

/// The answer to a delete as the object of this uid, or as the word that it is gone.
pub(super) fn of_deleted(id: &ObjectId, uid: &str, body: Value) -> Result<Option<Live>, ApiError> {
    let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
    let (told, live) = if text("/kind") == Some("Status") && text("/apiVersion") == Some("v1") {
        if text("/status") != Some("Success") {
            return Err(wrong(&id.to_string(), "the word that something failed"));
        }
        (text("/details/uid").map(str::to_owned), None)
    } else {
        let live = of(id, body)?;
        (Some(live.uid().to_owned()), Some(live))
    };
    match told {
        Some(told) if told != uid => {
            let asked = format!("{id} of uid {uid}");
            Err(wrong(&asked, &format!("one of uid {told}")))
        }
        _ => Ok(live),
    }
}

/// An item of a list or an event of a watch as an object of the kind, in the namespace, that
/// was asked for. Items of a typed list have no `apiVersion` and `kind` of their own.
pub(super) fn item(
    mut body: Value,
    resource: &Resource,
    namespace: Option<&Namespace>,
) -> Result<(ObjectId, Live), ApiError> {
    let api = &resource.api;
    if let Value::Object(object) = &mut body {
        object
            .entry("apiVersion")
            .or_insert_with(|| Value::String(api.api_version.clone()));
        object
            .entry("kind")
            .or_insert_with(|| Value::String(api.kind.clone()));
    }
    let live = Live::new(body);
    let kind = if api.group.is_empty() {
        api.kind.clone()
    } else {
        format!("{}.{}", api.kind, api.group)
    };
    let asked = || match namespace {
        Some(namespace) => format!("objects of kind {kind} in {}", namespace.as_str()),
        None => format!("objects of kind {kind}"),
    };
    let Some(id) = live.id() else {
        return Err(wrong(&asked(), "something that is no object"));
    };
    let inside = namespace.is_none_or(|namespace| id.namespace.as_ref() == Some(namespace));
    if !id.kind.is(&api.group, &api.kind)
        || id.namespace.is_some() != resource.namespaced
        || !inside
    {
        return Err(wrong(&asked(), &id.to_string()));
    }
    Ok((id, live))
}

fn wrong(asked: &str, told: &str) -> ApiError {
    ApiError::Misanswered {
        asked: asked.to_owned(),
        told: told.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::{ApiResource, GroupVersionKind};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::GroupKind;

    fn id() -> ObjectId {
        let kind = GroupKind::known("apps", "Deployment");
        ObjectId::parse(kind, Some("shop"), "web").expect("a name")
    }

    fn object(version: &str, kind: &str, namespace: &str, name: &str) -> Value {
        json!({"apiVersion": version, "kind": kind,
            "metadata": {"namespace": namespace, "name": name, "uid": "1"}})
    }

    #[test]
    fn only_the_object_that_was_asked_for_is_believed() {
        assert!(of(&id(), object("apps/v1", "Deployment", "shop", "web")).is_ok());
        for other in [
            object("v1", "Deployment", "shop", "web"),
            object("apps/v1", "StatefulSet", "shop", "web"),
            object("apps/v1", "Deployment", "bank", "web"),
            object("apps/v1", "Deployment", "shop", "db"),
            json!({"kind": "Status"}),
            json!([]),
        ] {
            let told = of(&id(), other.clone());
            assert!(matches!(told, Err(ApiError::Misanswered { .. })), "{other}");
            assert!(of_deleted(&id(), "1", other).is_err());
        }
    }

    #[test]
    fn a_delete_is_believed_for_its_uid() {
        let status = |uid: &str| {
            json!({"apiVersion": "v1", "kind": "Status", "status": "Success",
                "details": {"name": "web", "uid": uid}})
        };
        assert_eq!(of_deleted(&id(), "1", status("1")), Ok(None));
        assert!(of_deleted(&id(), "1", status("2")).is_err());
        let live = || object("apps/v1", "Deployment", "shop", "web");
        assert!(matches!(of_deleted(&id(), "1", live()), Ok(Some(_))));
        assert!(of_deleted(&id(), "2", live()).is_err());
    }

    fn deployments() -> Resource {
        let kind = GroupVersionKind::gvk("apps", "v1", "Deployment");
        Resource {
            api: ApiResource::from_gvk(&kind),
            namespaced: true,
            watchable: true,
        }
    }

    #[test]
    fn only_items_of_what_was_listed_are_believed() {
        let namespace = Namespace::known("shop");
        let told = |body: Value| item(body, &deployments(), Some(&namespace)).map(|(id, _)| id);
        let fine = object("apps/v1", "Deployment", "shop", "web");
        assert_eq!(told(fine), Ok(id()));
        // As a typed list has it.
        let bare = json!({"metadata": {"namespace": "shop", "name": "web"}});
        assert_eq!(told(bare), Ok(id()));
        for other in [
            object("v1", "Secret", "shop", "web"),
            object("apps/v1", "StatefulSet", "shop", "web"),
            object("apps/v1", "Deployment", "bank", "web"),
            object("apps/v1", "Deployment", "shop", "web/scale"),
            json!({"metadata": {"namespace": "shop"}}),
            json!([]),
        ] {
            assert!(told(other.clone()).is_err(), "{other}");
        }
    }

    fn odd() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            Just("shop".to_owned()),
            Just("web/scale".to_owned()),
            "\\PC{0,6}",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            text.clone().prop_map(Value::from),
        ];
        let key = prop_oneof![
            Just("metadata".to_owned()),
            Just("name".to_owned()),
            Just("namespace".to_owned()),
            Just("uid".to_owned()),
            Just("managedFields".to_owned()),
            Just("kind".to_owned()),
            Just("apiVersion".to_owned()),
        ];
        leaf.prop_recursive(4, 24, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::vec((key.clone(), inner), 0..6)
                    .prop_map(|all| Value::Object(all.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_no_object_of_its_kind_is_none(body in odd()) {
            let namespace = Namespace::known("shop");
            let _ = of_deleted(&id(), "1", body.clone());
            if let Ok(live) = of(&id(), body.clone()) {
                prop_assert_eq!(live.id(), Some(id()));
            }
            if let Ok((id, live)) = item(body, &deployments(), Some(&namespace)) {
                prop_assert_eq!(id.namespace.as_ref(), Some(&namespace));
                prop_assert_eq!(live.id(), Some(id));
            }
        }
    }
}
