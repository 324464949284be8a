//! `<unit>/foreign.yaml`: the fields that others have added to a unit's objects. Pure.
//! It names each field and whose it is, neither value nor time: what writes to its own
//! field again and again is told once.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text;
use crate::model::{Manager, ObjectId};

/// The fields of others on a unit's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ForeignFile(BTreeMap<String, BTreeMap<String, String>>);

impl ForeignFile {
    /// Reads a recorded file. One that can't be read is as if there were none: then its
    /// fields are told again.
    pub fn parse(content: &[u8]) -> Self {
        serde_saphyr::from_slice(content).unwrap_or_default()
    }

    /// The file's content; `None` for no file.
    pub fn content(&self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then(|| text::emit(self).into_bytes())
    }

    /// Adds a field.
    pub fn add(&mut self, object: &ObjectId, path: &str, manager: &Manager) {
        let fields = self.0.entry(object.to_string()).or_default();
        fields.insert(path.to_owned(), manager.name.clone());
    }

    /// Whether a field is in it, as this manager's.
    pub fn has(&self, object: &ObjectId, path: &str, manager: &Manager) -> bool {
        let fields = self.0.get(&object.to_string());
        fields.and_then(|fields| fields.get(path)) == Some(&manager.name)
    }

    /// Leaves out what is not in another.
    pub fn within(mut self, other: &Self) -> Self {
        self.0.retain(|object, fields| {
            let there = other.0.get(object);
            fields.retain(|path, _| there.is_some_and(|there| there.contains_key(path)));
            !fields.is_empty()
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_kept_by_object_path_and_manager() {
        let object = |name: &str| {
            ObjectId::parse(
                crate::model::GroupKind::known("apps", "Deployment"),
                Some("shop"),
                name,
            )
            .expect("a name")
        };
        let manager = |name: &str| Manager {
            name: name.to_owned(),
            operation: "Update".to_owned(),
            time: String::new(),
        };
        let note = r#"metadata.annotations["a.b/note"]"#;
        let mut file = ForeignFile::default();
        assert_eq!(file.content(), None);
        file.add(&object("web"), note, &manager("anna"));
        file.add(&object("api"), "spec.paused", &manager("otto"));
        let content = file.content().expect("it has fields");
        assert_eq!(ForeignFile::parse(&content), file);
        let text = String::from_utf8_lossy(&content).into_owned();
        let expected = "Deployment shop/api:\n  spec.paused: otto\nDeployment shop/web:\n  \"metadata.annotations[\\\"a.b/note\\\"]\": anna\n";
        assert_eq!(text, expected);
        assert!(file.has(&object("web"), note, &manager("anna")));
        assert!(!file.has(&object("web"), note, &manager("otto")));
        let mut less = ForeignFile::default();
        less.add(&object("api"), "spec.paused", &manager("anna"));
        let left = file.within(&less);
        assert!(left.has(&object("api"), "spec.paused", &manager("otto")));
        assert!(!left.has(&object("web"), note, &manager("anna")));
        assert_eq!(ForeignFile::parse(b"- x"), ForeignFile::default());
    }
}
