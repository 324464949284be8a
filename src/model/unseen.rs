//! Characters that nobody sees, or that turn what is seen around.
//!
//! The Unicode property `Default_Ignorable_Code_Point` (UAX #44) names those that are
//! drawn as nothing; with them go controls, what orders text (UAX #9), what breaks a line
//! for some readers, and blanks of other scripts that have no width or look like nothing.
//! Letters of scripts that run from right to left are seen, and are none of these.

/// Whether a character in a text is not seen, given its neighbours: what joins the
/// pictures of one emoji, or says that it is drawn in colour, is seen in how it is drawn.
pub(super) fn is_unseen(before: Option<char>, c: char, after: Option<char>) -> bool {
    match c {
        '\n' | '\t' | ' '..='~' => false,
        '\u{200d}' => !(before.is_some_and(joins) && after.is_some_and(is_picture)),
        '\u{fe0e}' | '\u{fe0f}' => !before.is_some_and(|it| {
            is_picture(it) || after == Some('\u{20e3}') && matches!(it, '0'..='9' | '#' | '*')
        }),
        c => c.is_control() || never_seen(c),
    }
}

/// Whether a picture may end with it that another one is joined to.
fn joins(c: char) -> bool {
    is_picture(c) || c == '\u{fe0f}'
}

/// Whether it is a picture, or the tone of a picture's skin.
fn is_picture(c: char) -> bool {
    matches!(c,
        '\u{a9}' | '\u{ae}' | '\u{203c}' | '\u{2049}' | '\u{2122}' | '\u{2139}'
        | '\u{2194}'..='\u{21aa}' | '\u{231a}'..='\u{23ff}' | '\u{24c2}'
        | '\u{25aa}'..='\u{27bf}' | '\u{2934}' | '\u{2935}' | '\u{2b05}'..='\u{2b55}'
        | '\u{3030}' | '\u{303d}' | '\u{3297}' | '\u{3299}' | '\u{1f000}'..='\u{1faff}')
}

fn never_seen(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
