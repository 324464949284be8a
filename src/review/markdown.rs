//! Text that other people wrote, in Markdown that is ours: nothing of it is markup, nobody
//! is mentioned, no fence is closed from inside.
//!
//! In a code span and in a fenced block (6.1 and 4.5 of `CommonMark`) nothing is markup, and
//! forges look for no mention. Both end at as many backticks as they began with, so they
//! begin with more than the text has in a row.

use crate::model::{cut_inside, cut_lines, shown};

/// The most characters of a name or a sentence in code on one line: a comment has a limit,
/// and room for many.
const CODE: usize = 300;

/// Text on one line, as code.
pub(super) fn code(text: &str) -> String {
    let text = cut_inside(text, CODE);
    let text = shown(&text).replace(['\n', '\t'], " ");
    // What is written out is longer.
    let text = cut_inside(&text, CODE);
    let text = text.trim();
    if text.is_empty() {
        return "` `".to_owned();
    }
    let fence = "`".repeat(longest_run(text) + 1);
    // One blank at each end is taken off again.
    let space = if text.starts_with('`') || text.ends_with('`') {
        " "
    } else {
        ""
    };
    format!("{fence}{space}{text}{space}{fence}")
}

/// The same in a cell of a table, where a bar would end it even in code.
pub(super) fn cell(text: &str) -> String {
    code(&text.replace('|', "¦"))
}

/// Lines as a block of code, with a newline at the end.
pub(super) fn fenced(language: &str, text: &str) -> String {
    let fence = "`".repeat(longest_run(text).max(2) + 1);
    let text = cut_lines(text);
    let text = shown(&text);
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::is_seen;

    #[test]
    fn code_is_what_it_looks_like() {
        assert_eq!(code("Deployment shop/web"), "`Deployment shop/web`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`@everyone`"), "`` `@everyone` ``");
        assert_eq!(code("a\nb\u{202e}c\u{1b}[31m"), r"`a b\u{202e}c\u{1b}[31m`");
        assert_eq!(code(" \n"), "` `");
        let long = code(&"x".repeat(200_000));
        assert!(long.len() < 2 * CODE, "{long}");
        assert_eq!(cell("a|b"), "`a¦b`");
        assert_eq!(fenced("diff", "+a\n"), "```diff\n+a\n```\n");
        assert_eq!(
            fenced("", "```\n@team\n````"),
            "`````\n```\n@team\n````\n`````\n"
        );
    }

    proptest! {
        #[test]
        fn all_of_it_is_seen(text in ".*", odd in "[a`|\u{202e}\u{200b}\u{e0041}\u{9b}\n]{0,30}") {
            for text in [text, odd] {
                for shown in [code(&text), cell(&text), fenced("", &text)] {
                    prop_assert!(is_seen(&shown), "{shown:?}");
                }
            }
        }

        #[test]
        fn no_text_ends_its_own_code(text in "[`a@\n|<>~ ]{0,40}") {
            let span = code(&text);
            let fence = span.chars().take_while(|c| *c == '`').count();
            let inside = &span[fence..span.len() - fence];
            prop_assert!(longest_run(inside) < fence, "{span}");
            prop_assert!(!span.contains('\n'), "{span}");
            let block = fenced("", &text);
            let fence = block.chars().take_while(|c| *c == '`').count();
            let closed = block.trim_end().lines().skip(1).position(|line| {
                let line = line.trim();
                line.len() >= fence && line.chars().all(|c| c == '`')
            });
            prop_assert_eq!(closed, Some(block.trim_end().lines().count() - 2), "{}", block);
        }
    }
}
