//! The format of log lines, and which are suppressed.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use bellwether_core::text::{is_shown, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::flood::{ALIKE, EQUAL, Flood};

/// The message about suppressed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Text,
    /// Each line begins with its priority, in systemd's format (`sd-daemon(3)`).
    Prefixed,
    Json,
}

/// Lines in the format of `inner`, with a limit of repetitions.
pub(super) struct Lines<F> {
    inner: F,
    style: Style,
    flood: Mutex<(Flood, Flood)>,
}

impl<F> Lines<F> {
    pub(super) fn new(inner: F, style: Style) -> Self {
        Self { inner, style, flood: Mutex::new((Flood::new(), Flood::new())) }
    }

    /// Whether it is passed on, and the number of similar ones that were suppressed before.
    fn admit(&self, event: &Event<'_>) -> Option<u64> {
        // Detailed levels are never limited.
        if *event.metadata().level() > Level::INFO {
            return Some(0);
        }
        let mut keys = Keys::new(event);
        event.record(&mut keys);
        let now = Instant::now();
        let mut flood = self.flood.lock().unwrap_or_else(PoisonError::into_inner);
        let equal = flood.0.admit(keys.equal.finish(), EQUAL, now)?;
        let alike = flood.1.admit(keys.alike.finish(), ALIKE, now)?;
        Some(equal + alike)
    }
}

/// Hashes for identical and for similar messages.
struct Keys {
    equal: DefaultHasher,
    alike: DefaultHasher,
}

impl Keys {
    fn new(event: &Event<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        event.metadata().callsite().hash(&mut hasher);
        Self { equal: hasher.clone(), alike: hasher }
    }
}

impl Visit for Keys {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Hashed(&mut self.equal);
        // Hashing cannot fail.
        let _ = write!(text, "{}={value:?};", field.name());
        if field.name() == "module" {
            let _ = write!(Hashed(&mut self.alike), "{value:?}");
        }
    }
}

struct Hashed<'a>(&'a mut DefaultHasher);

impl fmt::Write for Hashed<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        // If nothing was written, there is no line.
        let Some(held) = self.admit(event) else { return Ok(()) };
        let prefix = if self.style == Style::Prefixed { priority(*event.metadata().level()) } else { "" };
        if held > 0 {
            match self.style {
                Style::Json => writeln!(
                    writer,
                    r#"{{"level":"INFO","message":"messages like the next one were suppressed","held":{held}}}"#
                )?,
                Style::Text | Style::Prefixed => {
                    writeln!(writer, "{prefix}({held} messages like the next one were suppressed)")?;
                }
            }
        }
        writer.write_str(prefix)?;
        if self.style == Style::Json {
            let mut line = String::new();
            self.inner.format_event(context, Writer::new(&mut line), event)?;
            return writer.write_str(&json(&line));
        }
        let colored = writer.has_ansi_escapes();
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        writer.write_str(&plain(&line, colored))
    }
}

/// Escapes the text to one line. If the line has colours, their escape sequences stay: a field written with `%`
/// keeps its own.
fn plain(line: &str, colored: bool) -> String {
    let Some(mut rest) = line.strip_suffix('\n') else { return line.to_owned() };
    let mut shown = String::with_capacity(line.len());
    while let Some(c) = rest.chars().next() {
        let color = if colored { color(rest) } else { 0 };
        let (part, behind) = rest.split_at(color.max(c.len_utf8()));
        if color > 0 || is_shown(c) {
            shown.push_str(if c.is_whitespace() { " " } else { part });
        } else if c.is_whitespace() {
            shown.push(' ');
        }
        rest = behind;
    }
    shown.push('\n');
    shown
}

/// The length of the escape sequence for a colour (ECMA-48, SGR) at the beginning of the text; 0 if there is none.
fn color(text: &str) -> usize {
    let Some(codes) = text.strip_prefix("\u{1b}[") else { return 0 };
    let end = codes.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(codes.len());
    if codes[end..].starts_with('m') { 2 + end + 1 } else { 0 }
}

/// In the numbering of `syslog(3)`.
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use tracing_subscriber::fmt::format::{Format, Full};
    use tracing_subscriber::fmt::time::SystemTime;

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        /// The resulting text lines.
        fn text(colored: bool, log: impl FnOnce()) -> Vec<String> {
            let paper = Self::default();
            let write = paper.clone();
            let logger = tracing_subscriber::fmt().with_writer(move || write.clone()).with_ansi(colored);
            let text = |inner: Format<Full, SystemTime>| Lines::new(inner.with_ansi(colored), Style::Text);
            let logger = logger.map_event_format(text).finish();
            tracing::subscriber::with_default(logger, log);
            paper.lines()
        }

        fn lines(&self) -> Vec<String> {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap().lines().map(str::to_owned).collect()
        }
    }

    #[test]
    fn systemd_reads_the_priority_of_each_line() {
        let paper = Paper::default();
        let write = paper.clone();
        let logger = tracing_subscriber::fmt().with_writer(move || write.clone()).without_time();
        let logger = logger.with_level(false).with_target(false).with_ansi(false);
        let logger = logger.map_event_format(|inner| Lines::new(inner, Style::Prefixed)).finish();
        tracing::subscriber::with_default(logger, || {
            tracing::error!("the disk is full");
            tracing::info!(module = "web", "up");
        });
        assert_eq!(paper.lines(), ["<3>the disk is full", "<6>up module=\"web\""]);
    }

    #[test]
    fn a_message_is_one_line_whatever_is_said_in_it() {
        for colored in [false, true] {
            let lines = Paper::text(colored, || {
                tracing::error!(module = "a\u{202e}b\u{1b}[2J", "one\ntwo\u{9b}\u{1b}[2Jthree\u{202e}");
            });
            assert_eq!(lines.len(), 1, "{lines:?}");
            assert!(lines[0].contains("one two") && !lines[0].contains(['\u{202e}', '\u{9b}']), "{lines:?}");
            assert!(!lines[0].contains("\u{1b}[2J"), "{lines:?}");
            assert_eq!(lines[0].contains('\u{1b}'), colored, "{lines:?}");
        }
    }

    #[test]
    fn a_field_that_is_shown_as_it_is_brings_no_escapes_but_colours() {
        let said = "a\u{1b}[2Jb\u{1b}]0;c\u{7}d\u{1b}[1;31me\u{9b}f\u{202e}g\u{1b}";
        for colored in [false, true] {
            let line = Paper::text(colored, || tracing::error!(why = %said, "it failed")).concat();
            let shown = if colored { "a[2Jb]0;cd\u{1b}[1;31mefg" } else { "a[2Jb]0;cd[1;31mefg" };
            assert!(line.ends_with(shown) || line.contains(&format!("{shown}\u{1b}[")), "{line:?}");
            assert!(!line.contains("\u{1b}[2J") && !line.contains("\u{1b}]"), "{line:?}");
        }
    }

    #[test]
    fn a_line_of_json_has_nothing_that_is_not_shown() {
        let paper = Paper::default();
        let write = paper.clone();
        let logger = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || write.clone());
        let logger = logger.map_event_format(|inner| Lines::new(inner, Style::Json)).finish();
        let said = "a\u{1b}b\u{9b}c\u{202e}d";
        tracing::subscriber::with_default(logger, || tracing::error!(why = %said, "it failed"));
        let lines = paper.lines();
        let read: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
        assert_eq!(read["why"], "abcd");
        assert!(lines[0].chars().all(is_shown), "{lines:?}");
    }

    #[test]
    fn a_flood_of_equal_messages_is_a_few_lines_and_others_pass() {
        let paper = Paper::default();
        let write = paper.clone();
        let logger = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || write.clone());
        let logger = logger.map_event_format(|inner| Lines::new(inner, Style::Json)).finish();
        tracing::subscriber::with_default(logger, || {
            for number in 0..100_000 {
                tracing::warn!(module = "web", "the same");
                tracing::info!(module = "db", number, "differs in a number");
            }
            tracing::info!(module = "cache", number = 1, "differs in a number");
        });
        let lines = paper.lines();
        let of = |text: &str| lines.iter().filter(|line| line.contains(text)).count();
        assert!(lines.len() < 3_000, "{} lines", lines.len());
        assert!(of("the same") >= 5 && of("\"db\"") >= 100, "{}", lines.len());
        assert_eq!(of("\"cache\""), 1);
        for line in &lines {
            serde_json::from_str::<serde_json::Value>(line).unwrap();
        }
    }
}
