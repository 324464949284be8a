//! What the demo prints: numbered steps, what is done and why, and how long it took.

use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// The steps in their order.
pub struct Steps {
    count: usize,
    started: Instant,
}

/// A step under way.
pub struct Step {
    started: Instant,
}

impl Steps {
    pub fn begin() -> Self {
        Self {
            count: 0,
            started: Instant::now(),
        }
    }

    /// Begins the next one.
    pub fn next(&mut self, title: &str) -> Step {
        self.count += 1;
        anstream::println!("\n{BOLD}{}. {title}{BOLD:#}", self.count);
        Step {
            started: Instant::now(),
        }
    }

    /// Since the first one.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

impl Step {
    /// That something came true, and when.
    pub fn done(&self, what: &str) {
        done_in(what, self.started.elapsed());
    }

    /// Starts its clock anew: what came before was preparation.
    pub fn restart(&mut self) {
        self.started = Instant::now();
    }
}

/// What is done and why.
pub fn why(text: &str) {
    for line in text.lines() {
        anstream::println!("   {line}");
    }
}

/// A command as one would type it.
pub fn command(text: &str) {
    for (number, line) in text.lines().enumerate() {
        let prompt = if number == 0 { "$ " } else { "  " };
        anstream::println!("   {CYAN}{prompt}{line}{CYAN:#}");
    }
}

/// What a program printed.
pub fn output(text: &str) {
    for line in text.trim_end().lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => GREEN,
            Some(b'-') => RED,
            _ => DIM,
        };
        anstream::println!("     {style}{line}{style:#}");
    }
}

/// That something came true, where the time was measured otherwise than by a step.
pub fn done_in(what: &str, took: Duration) {
    anstream::println!(
        "   {GREEN}✓{GREEN:#} {what} {DIM}({}){DIM:#}",
        duration(took)
    );
}

/// `87 ms`, `1.9 s`, `2 min 5 s`.
pub fn duration(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// A line of text by itself.
pub fn heading(text: &str) {
    anstream::println!("\n{BOLD}{text}{BOLD:#}");
}

/// A command to try, and what for.
pub fn hint(command: &str, what_for: &str) {
    if what_for.is_empty() {
        anstream::println!("  {CYAN}{command}{CYAN:#}");
    } else {
        anstream::println!("  {CYAN}{command:<62}{CYAN:#} {DIM}# {what_for}{DIM:#}");
    }
}

/// Why the demo failed, with everything that led to it.
pub fn failure(error: &anyhow::Error) {
    anstream::eprintln!("\n{RED}The demo failed:{RED:#} {error:#}");
}
