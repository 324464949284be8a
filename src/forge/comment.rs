//! One comment on a pull request, kept up to date, by one agent or by several.
//!
//! It is found by a hidden marker, an HTML comment in its first line, among the comments
//! of the token's own user alone: anybody may write such a line. Each environment has a
//! section of its own in it, between markers, and whoever serves the environment writes
//! that section and leaves the others. A forge has no compare-and-swap for comments, so
//! after writing it is looked whether the section is there. The markers also name the
//! digest of the section, so that what is there is not written again, also after a
//! restart, and whatever the forge does to the spaces in it; and so that no text can
//! contain its own end.

use super::Forge;
use super::error::ForgeError;
use super::types::Comment;
use crate::model::Digest;

/// How often it is written again because another agent wrote at the same time.
const ATTEMPTS: usize = 3;

/// A part of the comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it tells of: a name of letters, digits and `-`.
    pub name: String,
    /// In Markdown.
    pub text: String,
}

/// What was done to a comment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// There was none.
    Written,
    /// It had other sections.
    Changed,
    /// It is as it was.
    Same,
}

/// A section as it stands in a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stands {
    name: String,
    digest: String,
    text: String,
}

impl From<&Section> for Stands {
    fn from(section: &Section) -> Self {
        Self {
            name: section.name.clone(),
            digest: Digest::of_bytes(section.text.as_bytes()).to_string(),
            text: section.text.clone(),
        }
    }
}

/// Has a pull request hold one comment of a topic, such as `preview`, with these sections.
///
/// # Errors
/// Those of the forge.
pub async fn keep_comment(
    forge: &dyn Forge,
    number: u64,
    topic: &str,
    sections: &[Section],
) -> Result<Kept, ForgeError> {
    let ours: Vec<Stands> = sections.iter().map(Stands::from).collect();
    let mut kept = Kept::Same;
    for _ in 0..ATTEMPTS {
        let all = forge.own_comments(number).await?;
        let mut found = all.into_iter().filter(|comment| is_about(comment, topic));
        let Some(first) = found.next() else {
            // What was just written need not be seen yet; it is not written twice.
            if kept == Kept::Written {
                return Ok(kept);
            }
            forge.comment(number, &whole(topic, &ours)).await?;
            kept = Kept::Written;
            continue;
        };
        // Two agents that found none have both written one.
        let doubles: Vec<Comment> = found.collect();
        let mut stand = read(&first.text);
        for double in &doubles {
            stand = joined(&read(&double.text), &stand);
        }
        let wanted = joined(&stand, &ours);
        if wanted != stand || !doubles.is_empty() {
            let text = bounded(forge, topic, &wanted, &ours);
            match forge.edit_comment(number, first.id, &text).await {
                // Another agent took it for a double.
                Err(ForgeError::NotFound { .. }) => continue,
                edited => edited?,
            }
            if kept == Kept::Same {
                kept = Kept::Changed;
            }
        }
        for double in &doubles {
            forge.delete_comment(number, double.id).await?;
        }
        if wanted == stand && doubles.is_empty() {
            return Ok(kept);
        }
    }
    Ok(kept)
}

/// All sections of `before`, those of `now` in the place of those of the same name. One
/// with the same digest stays as it stands.
fn joined(before: &[Stands], now: &[Stands]) -> Vec<Stands> {
    let mut all = before.to_vec();
    for section in now {
        match all.iter_mut().find(|known| known.name == section.name) {
            Some(known) if known.digest == section.digest => {}
            Some(known) => *known = section.clone(),
            None => all.push(section.clone()),
        }
    }
    all
}

/// What others have written goes before the forge refuses the whole.
fn bounded(forge: &dyn Forge, topic: &str, all: &[Stands], ours: &[Stands]) -> String {
    let text = whole(topic, all);
    if text.len() <= forge.comment_limit() {
        text
    } else {
        whole(topic, ours)
    }
}

fn whole(topic: &str, sections: &[Stands]) -> String {
    let mut text = marker(&[topic]);
    for section in sections {
        let end = if section.text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        let Stands {
            name,
            digest,
            text: inside,
        } = section;
        text.push_str(&marker(&["begin", name, digest]));
        text.push_str(inside);
        text.push_str(end);
        text.push_str(&marker(&["end", name, digest]));
    }
    text
}

/// A line that nobody sees.
fn marker(words: &[&str]) -> String {
    format!("<!-- gitops-agent {} -->\n", words.join(" "))
}

fn words(line: &str) -> Vec<&str> {
    let inside = line
        .trim()
        .strip_prefix("<!-- gitops-agent ")
        .and_then(|line| line.strip_suffix("-->"));
    inside
        .map(|inside| inside.split_whitespace().collect())
        .unwrap_or_default()
}

fn is_about(comment: &Comment, topic: &str) -> bool {
    let first = comment.text.trim_start().lines().next();
    first.is_some_and(|line| words(line) == [topic])
}

/// The sections of a comment. One without an end is none.
fn read(text: &str) -> Vec<Stands> {
    let mut lines = text.lines();
    let mut sections = Vec::new();
    while let Some(line) = lines.next() {
        let ["begin", name, digest] = words(line)[..] else {
            continue;
        };
        let end = ["end", name, digest];
        let rest = lines.clone();
        let inside: Vec<&str> = rest.take_while(|line| words(line) != end).collect();
        let mut after = lines.clone().skip(inside.len());
        if after.next().is_some() {
            sections.push(Stands {
                name: name.to_owned(),
                digest: digest.to_owned(),
                text: inside.iter().flat_map(|line| [line, "\n"]).collect(),
            });
            for _ in 0..=inside.len() {
                lines.next();
            }
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_a_section_holds_it_is_read_as_one(
            text in "(<!-- gitops-agent (begin|end|preview) [ab]* ?(sha256:0)? ?-->|[a`\n ]){0,12}",
            broken in "(<!-- gitops-agent (begin|end) [ab]( c)? -->|[a\n]){0,12}",
        ) {
            let lines: String = text.lines().flat_map(|line| [line, "\n"]).collect();
            let sections = [section("a", &format!("x\n{lines}")), section("b", "x\n")];
            prop_assert_eq!(read(&whole("preview", &sections)), sections);
            // What somebody has edited is read as far as it goes.
            read(&broken);
        }
    }

    fn section(name: &str, text: &str) -> Stands {
        Stands::from(&Section {
            name: name.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn sections_are_read_as_they_were_written() {
        let sections = [
            section("staging", "### a\n\n| b |\n"),
            section(
                "production",
                "<!-- gitops-agent end production sha256:0 -->\nc\n",
            ),
        ];
        let text = whole("preview", &sections);
        assert_eq!(read(&text), sections);
        assert_eq!(read(&text.replace('\n', "\r\n")), sections);
        let comment = Comment { id: 1, text };
        assert!(is_about(&comment, "preview") && !is_about(&comment, "other"));
        assert_eq!(read("<!-- gitops-agent begin a b -->\nno end\n"), []);
        assert_eq!(read(""), []);
    }

    #[test]
    fn the_sections_of_others_stay() {
        let (a, b, c) = (
            section("a", "1\n"),
            section("b", "2\n"),
            section("b", "3\n"),
        );
        let before = [a.clone(), b.clone()];
        assert_eq!(
            joined(&before, std::slice::from_ref(&c)),
            [a.clone(), c.clone()]
        );
        assert_eq!(joined(&before, &[section("d", "4\n")]).len(), 3);
        // What only looks otherwise, as the forge gave it back, is not touched.
        let spaced = Stands {
            text: "1 \n".to_owned(),
            ..a
        };
        assert_eq!(
            joined(std::slice::from_ref(&spaced), &[section("a", "1\n")]),
            [spaced]
        );
    }
}
