//! What all commands print alike.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;

use super::style;
pub use super::style::{BOLD, DIM, GREEN, PLAIN, RED, Style, YELLOW};
use crate::model::{cut_lines, json_text, shown};
use crate::source::{self, Checkout};

/// How a command prints what it found: for people, or for programs. The variants have
/// no docs, since those would become help that makes every `--help` three times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    #[default]
    Text,
    Json,
}

/// Prints an error with everything that led to it. A cause that the text before it
/// already says is left out.
pub fn report_error(error: &anyhow::Error) {
    let mut said = error.to_string();
    tell(&format!("{RED}error:{RED:#} {said}"));
    for cause in error.chain().skip(1) {
        let text = cause.to_string();
        if !said.contains(&text) {
            tell(&format!("  because {text}"));
            said = text;
        }
    }
    if error.chain().any(source::is_absence) && is_partial() {
        tell("  this is a partial clone: `git fetch --refetch --no-filter` brings what it lacks");
    }
}

fn is_partial() -> bool {
    Checkout::discover(Path::new(".")).is_some_and(|checkout| checkout.is_partial())
}

/// Something that takes its time: shown on a terminal once it takes over a second,
/// until this is dropped.
pub struct Progress {
    ended: Option<mpsc::Sender<()>>,
    shown: Option<thread::JoinHandle<()>>,
}

/// Begins to show that something goes on.
pub fn progress(what: &'static str) -> Progress {
    if !std::io::stderr().is_terminal() {
        return Progress {
            ended: None,
            shown: None,
        };
    }
    let (ended, until) = mpsc::channel();
    Progress {
        ended: Some(ended),
        shown: Some(thread::spawn(move || spin(what, &until))),
    }
}

fn spin(what: &'static str, until: &mpsc::Receiver<()>) {
    if until.recv_timeout(Duration::from_secs(1)) != Err(mpsc::RecvTimeoutError::Timeout) {
        return;
    }
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(Duration::from_millis(120));
    // Ends when the other side is dropped.
    let _ = until.recv();
    spinner.finish_and_clear();
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.ended.take());
        // What is printed next must find the line clear.
        if let Some(shown) = self.shown.take() {
            let _ = shown.join();
        }
    }
}

/// Prints to standard output, styles only on a terminal. What nobody would see is written
/// out. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    let text = style::rendered(text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("the output can't be written")
        }
        _ => Ok(()),
    }
}

/// Prints for programs, keys in the order of the alphabet.
pub fn print_json<T: Serialize>(value: &T) -> anyhow::Result<()> {
    print(&(json_text(&serde_json::to_value(value)?) + "\n"))
}

/// Tells a line on standard error. If nobody can read it any more, nobody misses it.
pub fn tell(text: &str) {
    let text = style::rendered(&cut_lines(text));
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// Warns on standard error.
pub fn warn(text: &str) {
    tell(&format!("{YELLOW}warning:{YELLOW:#} {text}"));
}

/// Tells on standard error what was done.
pub fn note(text: &str) {
    tell(&format!("{DIM}{text}{DIM:#}"));
}

/// What stands in a table, and how it looks.
pub type Cell = (Style, String);

/// Rows under a heading, in columns two blanks apart. The last column may have several
/// lines.
pub fn columns<const N: usize>(heading: [&str; N], rows: &[[Cell; N]]) -> String {
    let rows: Vec<[Cell; N]> = rows.iter().map(seen).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].1.chars().count());
        cells.chain([heading[column].len()]).max().unwrap_or(0) + 2
    };
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    let heading = heading.map(|name| (DIM, name.to_owned()));
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for ((style, cell), width) in row.iter().zip(&widths).take(N - 1) {
            let blanks = width.saturating_sub(cell.chars().count());
            let _ = write!(line, "{style}{cell}{style:#}{:blanks$}", "");
        }
        let (style, last) = &row[N - 1];
        let indent: usize = widths[..N - 1].iter().sum();
        for (index, part) in last.lines().enumerate() {
            let between = if index == 0 {
                String::new()
            } else {
                format!("\n{:indent$}", "")
            };
            let _ = write!(line, "{between}{style}{part}{style:#}");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Cells as they will be printed, so that their width is known.
fn seen<const N: usize>(row: &[Cell; N]) -> [Cell; N] {
    row.clone()
        .map(|(style, cell)| (style, cut_lines(&shown(&cell))))
}

/// How long before `now` something was, in its largest unit: `3m ago`.
pub fn ago(then: jiff::Timestamp, now: jiff::Timestamp) -> String {
    match now.duration_since(then).as_secs() {
        ..1 => "just now".to_owned(),
        seconds @ 1..60 => format!("{seconds}s ago"),
        seconds @ 60..3_600 => format!("{}m ago", seconds / 60),
        seconds @ 3_600..172_800 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}
