use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

fn read(text: &str) -> Value {
    let found: Value = serde_saphyr::from_str(text).expect(text);
    found
}

#[test]
fn what_nobody_sees_is_escaped_by_yaml_itself() {
    let object = json!({
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "c", "annotations": {"a\u{202e}b": "x"}},
        "data": {
            "plain": "user\u{202e}nimda",
            "lines": "one\u{200b}\ntwo\n\n",
            "list": ["\u{feff}", "family \u{1f468}\u{200d}\u{1f469}", "tag\u{e0041}"],
            "long": format!("{} \u{ad}", "word ".repeat(60)),
            "quoted": "yes\u{2066}: \"no\" \\ '",
            "letters": "Grüße, שלום, مرحبا",
            "\u{fe0f}\u{200d}\u{1f468}": "",
        },
    });
    let text = yaml(&object);
    assert!(is_seen(&text), "{text}");
    assert_eq!(read(&text), object);
    assert!(text.contains("plain: \"user\\u202enimda\"\n"), "{text}");
    assert!(text.contains("\"tag\\U000e0041\""), "{text}");
    assert!(text.contains("letters: Grüße, שלום, مرحبا\n"), "{text}");
    assert!(
        text.starts_with("apiVersion: v1\nkind: ConfigMap\n"),
        "{text}"
    );
    assert!(text.contains('\u{1f468}'), "{text}");
}

fn text() -> impl Strategy<Value = String> {
    let odd = "[a\u{202e}\u{200d}\u{1f468}\u{fe0f}\u{e0001}\u{85}\u{2028}\u{1b}\u{ad} \n:#'\"\\\\|>&*!%@`{}\\[\\],?-]{0,12}";
    prop_oneof![odd, "\\PC{0,8}", ".{0,100}"]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        text().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(json!({})),
        Just(Value::Null),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::vec((text(), inner), 0..4)
                .prop_map(|all| Value::Object(all.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn people_see_all_of_it_and_programs_read_the_same(value in value()) {
        let text = emit(&value);
        prop_assert!(is_seen(&text), "{text:?}");
        prop_assert_eq!(read(&text), value, "{}", text);
    }
}
