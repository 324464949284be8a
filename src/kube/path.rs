//! Where objects are in the API: every name is one segment of a URL, whatever it holds.

use std::fmt::Write as _;

use kube::core::{DynamicObject, Request, Resource as _};

use super::discovery::Resource;
use crate::model::Namespace;

/// The version part of an `apiVersion`.
pub fn version_of(api_version: &str) -> &str {
    api_version
        .rsplit_once('/')
        .map_or(api_version, |(_, version)| version)
}

/// The path of a kind's objects. Behind a type that holds no other, each name is encoded
/// all the same: whatever it is, it is one segment.
pub(super) fn path(resource: &Resource, namespace: Option<&Namespace>) -> Request {
    let namespace = namespace.filter(|_| resource.namespaced);
    let namespace = namespace.map(|name| segment(name));
    Request::new(DynamicObject::url_path(&resource.api, namespace.as_deref()))
}

/// A name as one segment of a URL (RFC 3986, 3.3): all but what never means anything else
/// there is encoded.
pub(super) fn segment(name: &str) -> String {
    let mut segment = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:@".contains(&byte) {
            segment.push(char::from(byte));
        } else {
            let _ = write!(segment, "%{byte:02X}");
        }
    }
    segment
}

#[cfg(test)]
mod tests {
    use kube::core::ApiResource;
    use kube::core::params::GetParams;
    use proptest::prelude::*;

    use super::*;
    use crate::model::Name;

    fn config_maps() -> Resource {
        Resource {
            api: ApiResource {
                group: String::new(),
                version: "v1".to_owned(),
                api_version: "v1".to_owned(),
                kind: "ConfigMap".to_owned(),
                plural: "configmaps".to_owned(),
            },
            namespaced: true,
            watchable: true,
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_segment(name in "\\PC{1,40}", odd in "[a./%?#&=:; @\u{202e}]{1,12}") {
            for text in [name, odd] {
                let Ok(name) = text.parse::<Name>() else {
                    continue;
                };
                let namespace = Namespace::known("shop");
                let request = path(&config_maps(), Some(&namespace))
                    .get(&segment(&name), &GetParams::default())
                    .expect("a request");
                let path = request.uri().path().to_owned();
                let (place, last) = path.rsplit_once('/').expect("a path");
                prop_assert_eq!(place, "/api/v1/namespaces/shop/configmaps");
                prop_assert!(request.uri().query().unwrap_or_default().is_empty());
                prop_assert!(!last.is_empty() && last != "." && last != "..");
                let decoded = percent(last);
                prop_assert_eq!(decoded.as_deref(), Some(name.as_str()));
            }
        }
    }

    fn percent(text: &str) -> Option<String> {
        let mut bytes = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            if byte == b'%' {
                bytes.extend(hex::decode(tail.get(..2)?).ok()?);
                rest = &tail[2..];
            } else {
                bytes.push(byte);
            }
        }
        String::from_utf8(bytes).ok()
    }
}
