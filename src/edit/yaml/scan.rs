//! Finding one's way between tokens: blanks, comments, lines.

/// What is blank in YAML: others that Unicode calls so are part of a word.
pub(super) const BLANKS: [char; 4] = [' ', '\t', '\r', '\n'];

/// The next byte that is neither blank nor part of a comment.
pub(super) fn skip(text: &str, from: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = from;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => at += 1,
            b'#' if at == 0 || bytes[at - 1].is_ascii_whitespace() => at = line_end(text, at),
            _ => break,
        }
    }
    at
}

/// Behind an anchor and a tag, in either order; `from` is where they begin.
pub(super) fn properties(text: &str, from: usize, anchor: bool, tag: bool) -> usize {
    let (mut anchor, mut tag) = (anchor, tag);
    let (mut at, mut behind) = (from, from);
    while anchor || tag {
        match text.as_bytes().get(at) {
            Some(b'&') if anchor => anchor = false,
            Some(b'!') if tag => tag = false,
            _ => break,
        }
        behind = token_end(text, at);
        at = skip(text, behind);
    }
    behind
}

fn token_end(text: &str, at: usize) -> usize {
    let verbatim = text[at..].starts_with("!<");
    let ends = |c: char| BLANKS.contains(&c) || !verbatim && matches!(c, ',' | ']' | '}');
    text[at..].find(ends).map_or(text.len(), |len| at + len)
}

/// The first byte of the line.
pub(super) fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |found| found + 1)
}

/// Where the line ends: its line break, or the end of the file.
pub(super) fn line_end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |len| at + len);
    if end > at && text[..end].ends_with('\r') {
        end - 1
    } else {
        end
    }
}

/// Behind the line's line break.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |len| at + len + 1)
}

/// The column, in characters from 0.
pub(super) fn column(text: &str, at: usize) -> usize {
    text[line_start(text, at)..at].chars().count()
}

/// Whether nothing but blanks stands before it on its line.
pub(super) fn begins_line(text: &str, at: usize) -> bool {
    text[line_start(text, at)..at]
        .bytes()
        .all(|byte| byte == b' ')
}

/// Whether nothing but blanks stands from here to the end of the line.
pub(super) fn ends_line(text: &str, at: usize) -> bool {
    text[at..line_end(text, at)].trim_matches(BLANKS).is_empty()
}

/// Of lines, the length without blank lines at the end, and without the last line break.
pub(super) fn blank_line_end(lines: &str) -> usize {
    let content = lines.trim_end_matches([' ', '\t', '\r', '\n']).len();
    // Blanks at the end of the last line with text belong to it.
    line_end(lines, content)
}
