//! Text that other people wrote, in Markdown that is ours: nothing of it is markup, nobody
//! is mentioned, no fence is closed from inside.
//!
//! In a code span and in a fenced block (6.1 and 4.5 of `CommonMark`) nothing is markup, and
//! forges look for no mention. Both end at as many backticks as they began with, so they
//! begin with more than the text has in a row.

/// Text on one line, as code.
pub(super) fn code(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c == '\n' { ' ' } else { plain(c) })
        .collect();
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
    let text: String = text.chars().map(plain).collect();
    let end = if text.ends_with('\n') { "" } else { "\n" };
    format!("{fence}{language}\n{text}{end}{fence}\n")
}

fn longest_run(text: &str) -> usize {
    let runs = text.split(|c| c != '`').map(str::len);
    runs.max().unwrap_or(0)
}

/// What can't be seen, or turns what is seen around, is shown as such.
fn plain(c: char) -> char {
    let hidden = matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    if hidden || c.is_control() && c != '\n' && c != '\t' {
        char::REPLACEMENT_CHARACTER
    } else {
        c
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn code_is_what_it_looks_like() {
        assert_eq!(code("Deployment shop/web"), "`Deployment shop/web`");
        assert_eq!(code("a`b"), "``a`b``");
        assert_eq!(code("`@everyone`"), "`` `@everyone` ``");
        assert_eq!(
            code("a\nb\u{202e}c\u{1b}[31m"),
            "`a b\u{fffd}c\u{fffd}[31m`"
        );
        assert_eq!(code(" \n"), "` `");
        assert_eq!(cell("a|b"), "`a¦b`");
        assert_eq!(fenced("diff", "+a\n"), "```diff\n+a\n```\n");
        assert_eq!(
            fenced("", "```\n@team\n````"),
            "`````\n```\n@team\n````\n`````\n"
        );
    }

    proptest! {
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
