//! The documents of a file, one after the other.

use granit_parser::{Marker, Parser, Span, StrInput};

use super::reader::Reader;
use super::{Document, Position, YamlError};
use crate::model::UnitBudget;

/// Reads a file of a reasonable size: its documents in order, without those that say
/// nothing.
pub fn documents(text: &str) -> Result<Vec<Document>, YamlError> {
    let mut documents = Documents::of(text);
    let mut budget = UnitBudget::default();
    std::iter::from_fn(|| documents.next(&mut budget)).collect()
}

/// The documents of a file, read one after the other, so that a large file is not in
/// memory as values as a whole. Those that say nothing are left out; what follows an error
/// can't be told.
pub struct Documents<'a> {
    events: Parser<'a, StrInput<'a>>,
    reader: Reader,
    ended: bool,
}

impl<'a> Documents<'a> {
    /// Those of a file.
    pub fn of(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut options = granit_parser::Options::default();
        options.set_emit_comments(false);
        Self {
            events: Parser::new_from_str_with_options(text, options),
            reader: Reader::default(),
            ended: false,
        }
    }

    /// The next one. Its values are drawn from a budget.
    pub fn next(&mut self, budget: &mut UnitBudget) -> Option<Result<Document, YamlError>> {
        if self.ended {
            return None;
        }
        let read = self.read(budget).transpose();
        self.ended = !matches!(read, Some(Ok(_)));
        read
    }

    fn read(&mut self, budget: &mut UnitBudget) -> Result<Option<Document>, YamlError> {
        for event in self.events.by_ref() {
            let (event, span) = event.map_err(|error| YamlError {
                at: position(error.marker()),
                message: error.info(),
            })?;
            self.reader.take(event, position_of(&span), budget)?;
            if let Some(document) = self.reader.document.take() {
                return Ok(Some(document));
            }
        }
        Ok(None)
    }
}

fn position_of(span: &Span) -> Position {
    position(&span.start)
}

fn position(marker: &Marker) -> Position {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: count(marker.line()),
        column: count(marker.col() + 1),
    }
}
