use proptest::prelude::*;

use super::*;

/// What may never reach a person as it is.
fn hidden(c: char) -> bool {
    matches!(c,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{200c}' | '\u{200e}'
        | '\u{200f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}' | '\u{ad}' | '\u{2028}' | '\u{2029}')
        || c.is_control() && c != '\n' && c != '\t'
}

#[test]
fn only_what_nobody_sees_is_written_out() {
    for plain in [
        "Grüße an Zoë, 東京, Ελλάδα, naïve café",
        "שלום עולם, مرحبا بالعالم, नमस्ते",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{2764}\u{fe0f} 1\u{fe0f}\u{20e3} \u{1f3f3}\u{fe0f}\u{200d}\u{1f308} \u{1f44d}\u{1f3fd}",
        "two\nlines\tand a tab",
    ] {
        assert_eq!(shown(plain), plain);
    }
    assert_eq!(shown("if user\u{202e}nimda"), "if user\\u{202e}nimda");
    assert_eq!(shown("a\u{1b}[31mb\r"), "a\\u{1b}[31mb\\u{d}");
    assert_eq!(shown("ad\u{200d}min"), "ad\\u{200d}min");
    assert_eq!(shown("x\u{fe0f}"), "x\\u{fe0f}");
    // More than one selector behind a picture hides something.
    assert_eq!(
        shown("\u{2764}\u{fe0f}\u{fe0f}"),
        "\u{2764}\u{fe0f}\\u{fe0f}"
    );
    // What is written out joins nothing to what follows.
    assert_eq!(
        shown("\u{fe0f}\u{200d}\u{1f468}"),
        "\\u{fe0f}\\u{200d}\u{1f468}"
    );
    assert_eq!(shown("\u{2764}\u{e0100}"), "\u{2764}\\u{e0100}");
    assert_eq!(shown_line(" a \n\u{2028} b"), "a \\u{2028} b");
    assert_eq!(
        shown_json("\"\u{e0041}\u{ad}\""),
        "\"\\udb40\\udc41\\u00ad\""
    );
}

#[test]
fn lines_are_cut_where_they_are_too_long() {
    assert_eq!(cut("abcdef", 6), "abcdef");
    assert_eq!(cut("abc def", 5), "abc…");
    assert_eq!(cut_inside("short", 1_000), "short");
    let long = format!("{}{}", "a".repeat(100_000), "z".repeat(100_000));
    let cut = cut_inside(&long, 100);
    assert!(cut.chars().count() <= 100, "{cut}");
    assert!(cut.starts_with("aaa") && cut.ends_with("zzz"), "{cut}");
    assert!(cut.contains("… 199940 characters …"), "{cut}");
    let lines = cut_lines(&format!("first\n{long}\nlast"));
    assert!(lines.starts_with("first\naaa") && lines.ends_with("zzz\nlast"));
    assert!(lines.len() < 1_100);
}

proptest! {
    #[test]
    fn nothing_hidden_is_left(text in "[a\\PC\u{202e}\u{200d}\u{1f468}\u{fe0f}\u{e0001}\u{85}\u{1b}\u{ad}\n\t]{0,40}", any in ".*") {
        for text in [text, any] {
            for shown in [shown(&text), shown_json(&text), yaml_quoted(&text).into()] {
                prop_assert!(!shown.contains(hidden), "{shown:?}");
                prop_assert!(is_seen(&shown), "{shown:?}");
            }
            let applied = serde_json::to_string(&text).expect("JSON");
            let read: String = serde_saphyr::from_str(&json_as_yaml(&applied)).expect("YAML");
            prop_assert_eq!(&read, &text);
            let json = json_text(&text);
            prop_assert!(is_seen(&json), "{json:?}");
            let back: String = serde_json::from_str(&json).expect("JSON");
            prop_assert_eq!(back, text);
        }
    }
}

#[test]
fn a_word_of_a_shell_is_one_word() {
    for (text, quoted) in [
        ("shop/web-1.yaml", "shop/web-1.yaml"),
        ("", "''"),
        ("a b", "'a b'"),
        ("it's; $(x)", r"'it'\''s; $(x)'"),
        ("a\n'\\\u{202e}7", r"$'a\012\'\\\342\200\2567'"),
    ] {
        assert_eq!(shell_quoted(text), quoted);
    }
}
