//! The operator's files with their present content: their effective values, and the errors at their positions.

use askama::Template;
use axum::extract::{Extension, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::frame::{Frame, Page};
use super::{Handle, filters, html};
use crate::api::Caller;
use bellwether_api::FileStatus;
use bellwether_api::configuration::{module_name, module_path};
use bellwether_config::effective::{Effective, Origin};
use bellwether_config::mistake::Mistake;
use bellwether_config::{NODE_FILE, RootReport};

#[derive(Debug, Template)]
#[template(path = "configuration.html")]
struct ConfigurationPage {
    frame: Frame,
    wrong: Vec<WrongFile>,
    /// The file that is shown in full.
    shown: Option<RightFile>,
    /// The other valid files.
    others: Vec<Other>,
    unreadable: bool,
    problems: Vec<String>,
}

/// A valid file that is not shown in full.
#[derive(Debug)]
struct Other {
    file: String,
    href: String,
    module: Option<String>,
    /// The number of values in it.
    said: usize,
}

/// The query parameters of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    file: String,
}

#[derive(Debug)]
struct WrongFile {
    file: String,
    mistakes: Vec<Shown>,
}

/// An error, with its line divided where the underlining begins and ends.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    line: usize,
    column: usize,
    before: String,
    meant: String,
    after: String,
    message: String,
    expected: Option<String>,
    help: Option<String>,
}

#[derive(Debug)]
struct RightFile {
    id: String,
    file: String,
    module: Option<String>,
    values: Vec<(String, String, bool)>,
}

/// The handler of `GET /configuration?file=modules/web.toml`.
pub(super) async fn page(
    State(daemon): State<Handle>,
    Extension(caller): Extension<Caller>,
    Query(asked): Query<Asked>,
) -> Response {
    let wanted = if asked.file.is_empty() { NODE_FILE } else { asked.file.as_str() };
    let report = daemon.files().await;
    let (wrong, others) = report.as_deref().map(|report| sorted(report, wanted)).unwrap_or_default();
    let shown = report.as_deref().and_then(|report| FileStatus::find(report, wanted));
    let said: Vec<String> = wrong.iter().map(|file| format!("{}:", file.file)).collect();
    let problems = daemon.problems();
    let page = ConfigurationPage {
        frame: Frame::new(&daemon, caller, Page::Configuration, "Configuration"),
        wrong: wrong.into_iter().map(WrongFile::new).collect(),
        shown: shown.filter(|file| file.right).map(RightFile::new),
        others,
        unreadable: report.is_none(),
        problems: problems.into_iter().filter(|p| !said.iter().any(|file| p.starts_with(file))).collect(),
    };
    html(StatusCode::OK, &page)
}

/// The invalid files, and the valid ones except the one at `shown`. The effective values of these are not computed:
/// for hundreds of files it would take long.
fn sorted(report: &RootReport, shown: &str) -> (Vec<FileStatus>, Vec<Other>) {
    let (mut wrong, mut others) = (Vec::new(), Vec::new());
    match &report.node {
        Err(_) => wrong.push(FileStatus::of_node(report)),
        Ok(node) if shown != NODE_FILE => others.push(Other::new(NODE_FILE.to_owned(), None, node.said())),
        Ok(_) => {}
    }
    for (file, module) in &report.modules {
        let path = module_path(file);
        match module {
            Err(_) => wrong.push(FileStatus::of_module(file, module)),
            Ok(module) if path != shown => others.push(Other::new(path, module_name(file), module.said())),
            Ok(_) => {}
        }
    }
    (wrong, others)
}

impl WrongFile {
    fn new(file: FileStatus) -> Self {
        Self { mistakes: file.mistakes.into_iter().map(Shown::new).collect(), file: file.file }
    }
}

impl Shown {
    fn new(mistake: Mistake) -> Self {
        let Mistake { line, column, text, underline, message, expected, help, .. } = mistake;
        let cut = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default().to_owned();
        let (begin, end) = (underline.start.min(text.len()), underline.end.min(text.len()));
        Self {
            before: cut(0..begin),
            meant: cut(begin..end),
            after: cut(end..text.len()),
            line,
            column,
            message,
            expected,
            help,
        }
    }
}

impl Other {
    fn new(file: String, module: Option<String>, said: usize) -> Self {
        Self { href: format!("/configuration?file={}", super::encoded(&file)), file, module, said }
    }
}

impl RightFile {
    fn new(file: FileStatus) -> Self {
        let value = |Effective { key, value, source }| (key, value, source == Origin::File);
        Self {
            id: file.file.replace(['/', '.'], "-"),
            values: file.values.into_iter().map(value).collect(),
            file: file.file,
            module: file.module,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str, underline: std::ops::Range<usize>) -> Mistake {
        let mut mistake = Mistake::of_file("modules/web.toml", "wrong");
        (mistake.line, mistake.column) = (3, 1);
        (mistake.text, mistake.underline) = (text.to_owned(), underline);
        mistake
    }

    #[test]
    fn a_line_is_cut_where_the_underlining_is() {
        let shown = Shown::new(mistake("[comands]", 1..8));
        assert_eq!(
            (shown.before.as_str(), shown.meant.as_str(), shown.after.as_str()),
            ("[", "comands", "]")
        );
    }

    #[test]
    fn an_underlining_that_does_not_fit_hides_nothing_and_breaks_nothing() {
        let shown = Shown::new(mistake("ä", 1..9));
        assert_eq!(shown.meant, "", "not in the middle of a letter");
        let shown = Shown::new(mistake("abc", 7..9));
        assert_eq!((shown.before.as_str(), shown.meant.as_str()), ("abc", ""));
    }
}
