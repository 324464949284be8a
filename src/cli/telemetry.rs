//! The daemon's log.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value};
use tracing::field::Field;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{FormatFields, Writer, debug_fn};

use crate::model::{LINE, cut_inside, shown, shown_json};
use crate::runtime::log;

/// Text for a person at a terminal, JSON for whatever collects logs. `RUST_LOG` sets
/// what is told.
///
/// # Errors
/// When no thread can be started.
pub fn start() -> io::Result<()> {
    log::start()?;
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new("info,kube_client=off,kube_runtime=off"));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false);
    if io::stderr().is_terminal() {
        builder
            .with_writer(log::line)
            .with_target(false)
            .fmt_fields(fields())
            .init();
    } else {
        builder
            .with_writer(|| Escaped(log::line()))
            .json()
            .flatten_event(true)
            .init();
    }
    Ok(())
}

/// A line of JSON longer than this, in bytes, has its texts cut.
const LONG: usize = 8_000;

/// Fields in a line for people: all that is in them is seen, and none is endless.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    let field = |writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug| {
        let text = format!("{value:?}");
        let text = cut_inside(&text, LINE);
        let text = shown(&text);
        match field.name() {
            "message" => write!(writer, "{text}"),
            name if writer.has_ansi_escapes() => {
                let italic = anstyle::Style::new().italic();
                write!(writer, "{italic}{name}{italic:#}={text}")
            }
            name => write!(writer, "{name}={text}"),
        }
    };
    debug_fn(field).delimited(" ")
}

/// Takes lines of JSON, and writes them with what nobody would see as JSON's escapes.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let short = cut(&text);
        self.0
            .write_all(shown_json(short.as_deref().unwrap_or(&text)).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A line that is too long, with its texts cut; `None` for one that is not.
fn cut(line: &str) -> Option<String> {
    if line.len() <= LONG {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    for field in fields.values_mut() {
        if let Value::String(text) = field {
            *text = cut_inside(text, LINE).into_owned();
        }
    }
    Some(Value::Object(fields).to_string() + "\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::model::is_seen;

    fn logged(fields: &Value) -> String {
        let mut writer = Escaped(Vec::new());
        let line = format!("{fields}\n");
        writer.write_all(line.as_bytes()).expect("it takes all");
        String::from_utf8(writer.0).expect("it is text")
    }

    #[test]
    fn a_log_line_is_never_endless() {
        let line = logged(&json!({"message": "new commit", "subject": "ä".repeat(1 << 20)}));
        assert!(line.len() < 3_000, "{} bytes", line.len());
        let fields: Value = serde_json::from_str(&line).expect(&line);
        assert_eq!(fields["message"], "new commit");
    }

    proptest! {
        #[test]
        fn a_log_line_is_seen_and_says_the_same(text in ".*", odd in "[a\u{9b}\u{202e}\u{200b}\u{e0041}\n]{0,20}") {
            for text in [text, odd] {
                let fields = json!({"message": text});
                let line = logged(&fields);
                prop_assert!(is_seen(&line), "{line:?}");
                let read: Value = serde_json::from_str(&line).expect("JSON");
                prop_assert_eq!(read, fields);
            }
        }
    }
}
