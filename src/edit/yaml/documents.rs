//! Taking a whole document out of a file.

use serde_json::Value;

use super::layout::{Layout, layouts};
use super::scan::{BLANKS, ends_line, line_end, next_line};
use super::{EditError, read, reads_as, rewrite, without_mark};

/// Takes a document out, with its `---` and the comments that stand below that; `None`
/// where the file says nothing any more. `document` counts from 0 those that say anything.
pub fn remove_document(text: &str, document: usize) -> Result<Option<String>, EditError> {
    let before = read(text)?;
    let bare = without_mark(text);
    let layouts = layouts(bare).map_err(EditError::Unreadable)?;
    let layout = rewrite::of_document(&layouts, &before, document)?;
    let others = before.iter().enumerate().filter(|(at, _)| *at != document);
    let wanted: Vec<&Value> = others.map(|(_, it)| &it.value).collect();
    if wanted.is_empty() {
        return Ok(None);
    }
    let mark = &text[..text.len() - bare.len()];
    let at = layouts.iter().position(|other| other.at == layout.at);
    let ways = at.map(|at| ways(bare, &layouts, at)).unwrap_or_default();
    let mut ways = ways.into_iter().map(|way| [mark, &way].concat());
    let found = ways.find(|way| reads_as(way, &wanted));
    let unfaithful = || EditError::Unfaithful("the file without the document".to_owned());
    found.map(Some).ok_or_else(unfaithful)
}

fn ways(text: &str, layouts: &[Layout], at: usize) -> Vec<String> {
    let begins = |layout: &Layout| layout.mark.unwrap_or(layout.root.after);
    let layout = &layouts[at];
    let next = layouts.get(at + 1);
    let end = next.map_or(text.len(), begins);
    let start = if at == 0 && layout.mark.is_none() {
        head(text, layout.root.properties)
    } else {
        begins(layout)
    };
    let whole = [&text[..start], &text[end..]].concat();
    // The first document has no `---` unless the first has had one.
    let bare = next.is_some_and(|next| next.mark.is_some()) && layout.mark.is_none();
    let alone = bare && ends_line(text, end + "---".len());
    let unmarked = alone.then(|| [&text[..start], &text[next_line(text, end)..]].concat());
    unmarked.into_iter().chain([whole]).collect()
}

/// Where the comments end that are about the file and not about its first document, which
/// begins at `content`: a blank line parts them.
fn head(text: &str, content: usize) -> usize {
    let mut end = 0;
    let mut at = 0;
    while at < content {
        let line = text[at..line_end(text, at)].trim_matches(BLANKS);
        at = next_line(text, at);
        if line.is_empty() {
            end = at;
        } else if !line.starts_with('#') {
            break;
        }
    }
    end.min(content)
}
