//! How printed text looks.

use std::fmt;
use std::sync::LazyLock;

use anstyle::{AnsiColor, Style as Ansi};

use crate::model::shown;
use crate::runtime::random;

/// How something looks. In a text it is a mark until [`rendered`] makes a terminal's
/// sequence of it: the mark has a number in it that this process alone knows, so that
/// nothing that others wrote is taken for a style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style(char);

/// Something is wrong, or goes away.
pub const RED: Style = Style('r');
/// Something is well, or comes.
pub const GREEN: Style = Style('g');
/// Something wants to be looked at.
pub const YELLOW: Style = Style('y');
/// What stands beside the matter.
pub const DIM: Style = Style('d');
/// A heading.
pub const BOLD: Style = Style('b');
/// Nothing special.
pub const PLAIN: Style = Style('p');

/// Ends every style.
const END: char = 'e';

/// What a mark begins with.
static MARK: LazyLock<String> =
    LazyLock::new(|| format!("\u{1b}{}", hex::encode(&random::bytes()[..8])));

/// The mark where the style begins; with `#`, where it ends.
impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, f.alternate()) {
            (PLAIN, _) => Ok(()),
            (_, true) => write!(f, "{}{END}", *MARK),
            (Self(letter), false) => write!(f, "{}{letter}", *MARK),
        }
    }
}

/// A text for a terminal: styles as its sequences, and all that nobody would see, or the
/// terminal obey, written out.
pub fn rendered(text: &str) -> String {
    let mut parts = text.split(MARK.as_str());
    let first = parts.next().unwrap_or_default();
    let mut rendered = shown(first).into_owned();
    for part in parts {
        let mut rest = part.chars();
        rendered += &rest.next().map_or_else(String::new, sequence);
        rendered += &shown(rest.as_str());
    }
    rendered
}

fn sequence(letter: char) -> String {
    let style = match Style(letter) {
        RED => AnsiColor::Red.on_default(),
        GREEN => AnsiColor::Green.on_default(),
        YELLOW => AnsiColor::Yellow.on_default(),
        DIM => Ansi::new().dimmed(),
        BOLD => Ansi::new().bold(),
        _ => return anstyle::Reset.render().to_string(),
    };
    style.render().to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::is_seen;

    #[test]
    fn a_style_is_the_terminals_and_no_text_forges_one() {
        let text = format!("{RED}a\u{1b}[32mb{RED:#}\u{202e}c\u{1b}0123456789abcdefg");
        assert_eq!(
            rendered(&text),
            "\u{1b}[31ma\\u{1b}[32mb\u{1b}[0m\\u{202e}c\\u{1b}0123456789abcdefg"
        );
    }

    proptest! {
        #[test]
        fn nothing_reaches_a_terminal_unseen(text in ".*", odd in "[a\u{1b}\u{9b}\u{202e}\u{200b}\u{e0041}\r\\[0-9m]{0,20}") {
            for text in [text, odd] {
                let rendered = rendered(&format!("{BOLD}{text}{BOLD:#}"));
                let inner = rendered.strip_prefix("\u{1b}[1m").and_then(|it| it.strip_suffix("\u{1b}[0m"));
                prop_assert!(inner.is_some_and(is_seen), "{rendered:?}");
            }
        }
    }
}
