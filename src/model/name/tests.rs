use proptest::prelude::*;

use super::*;
use crate::model::GroupKind;

fn is<N: FromStr>(text: &str) -> bool {
    text.parse::<N>().is_ok()
}

#[test]
fn what_would_leave_its_segment_is_no_name() {
    for name in [
        "web",
        "system:node",
        "a.b",
        "kube-root-ca.crt",
        "a b",
        "Ünïcode",
        "...",
        "a?b",
    ] {
        assert!(is::<Name>(name), "{name}");
    }
    for text in [
        "",
        ".",
        "..",
        "a/b",
        "secure/secrets/tok",
        "../namespaces/x",
        "a%2fb",
        "a\nb",
        "a\u{202e}b",
        "a\0b",
        &"a".repeat(254),
    ] {
        assert!(!is::<Name>(text), "{text:?}");
    }
    for text in [
        "",
        "Shop",
        "secure/secrets/tok?",
        "a.b",
        "-a",
        "a-",
        "ä",
        &"a".repeat(64),
    ] {
        assert!(!is::<Namespace>(text), "{text:?}");
    }
    for (group, kind) in [
        ("", "Pod"),
        ("apps", "Deployment"),
        ("a.example.com", "My-Kind"),
    ] {
        assert!(GroupKind::new(group, kind).is_ok(), "{group} {kind}");
    }
    for (group, kind) in [
        ("a/b", "Pod"),
        ("..", "Pod"),
        ("apps", ""),
        ("apps", "A/b"),
        ("", "1A"),
        ("", "A?x="),
    ] {
        assert!(GroupKind::new(group, kind).is_err(), "{group} {kind}");
    }
    for text in ["v1", "v1beta2", "2024-10-01"] {
        assert!(is::<Version>(text), "{text}");
    }
    for text in ["", "v1/x", "v1?", "V1"] {
        assert!(!is::<Version>(text), "{text}");
    }
    let error = "a\u{202e}/b"
        .parse::<Name>()
        .map_err(|error| error.to_string());
    assert_eq!(
        error,
        Err("`a\\u{202e}/b` is not a valid name: use at most 253 characters that can be seen, no `/` and no `%`, and neither `.` nor `..`".to_owned())
    );
}

proptest! {
    #[test]
    fn each_stricter_name_is_a_name(text in "[a-zA-Z0-9.:/%?#_ -]{0,12}", any in ".{0,12}") {
        for text in [text, any] {
            let segment = !text.contains(['/', '%']) && !matches!(&*text, "" | "." | "..");
            prop_assert!(segment || !is::<Name>(&text));
            prop_assert!(is::<Subdomain>(&text) || !is::<Namespace>(&text));
            prop_assert!(is::<Name>(&text) || !is::<Subdomain>(&text));
            let read: Result<Name, _> = serde_json::from_value(text.clone().into());
            prop_assert_eq!(read.is_ok(), is::<Name>(&text));
        }
    }
}
