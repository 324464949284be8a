//! What is known of an object that this agent's own apply made a member.

use serde_json::Value;

use super::{GroupKind, Live, Name, Uid, group_of};

/// An object whose ApplySet's label our own field manager has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Which object it is.
    pub uid: Uid,
    /// What it belongs to in the cluster, such as a Service's slices to the Service. Kept
    /// apart, since hardly any object that we apply has one.
    pub controller: Option<Box<Controller>>,
}

/// The `ownerReference` of an object that says `controller: true`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Controller {
    /// Its kind and name, where any object can be called so. It lies in the same namespace,
    /// or in none.
    pub named: Option<(GroupKind, Name)>,
    /// The same as it stands there, for people.
    pub text: String,
    /// Which object it is.
    pub uid: Option<Uid>,
}

impl Live {
    /// The object that controls this one, if any does.
    pub fn controller(&self) -> Option<Controller> {
        let references = self.body.pointer("/metadata/ownerReferences")?.as_array()?;
        let controls = |it: &&Value| it.get("controller").and_then(Value::as_bool) == Some(true);
        let reference = references.iter().find(controls)?;
        let text = |field: &str| reference.get(field).and_then(Value::as_str);
        let text = |field| text(field).unwrap_or_default();
        let kind = GroupKind::new(group_of(text("apiVersion")), text("kind")).ok();
        Some(Controller {
            named: kind.zip(text("name").parse().ok()),
            text: format!("{} {}", text("kind"), text("name")),
            uid: Uid::parse(text("uid")),
        })
    }
}
