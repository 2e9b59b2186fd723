//! The results, as a row of the table in `docs/recipes.md`. `tests/applications` assembles the rows.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use bellwether_tests::binary::target_folder;

use super::application::Application;

/// The cells after the application and its version, in the order of the table.
#[derive(Default)]
pub(crate) struct Row {
    pub(crate) started: String,
    pub(crate) killed: String,
    pub(crate) busy: String,
    pub(crate) hung: String,
    pub(crate) child: String,
    pub(crate) slow: String,
    pub(crate) daemon: String,
    pub(crate) stopped: String,
}

impl Row {
    /// Writes it to `applications/NAME.row` of the target folder.
    pub(crate) fn write(&self, application: &Application) {
        let folder = target_folder().join("applications");
        fs::create_dir_all(&folder).expect("the folder can be made");
        let name = application.name;
        let mut row = format!("| [{name}](recipes/{name}.toml) | {} |", version(application));
        let Self { started, killed, busy, hung, child, slow, daemon, stopped } = self;
        for cell in [started, killed, busy, hung, child, slow, daemon, stopped] {
            write!(row, " {} |", if cell.is_empty() { "–" } else { cell }).expect("memory takes it");
        }
        fs::write(folder.join(format!("{name}.row")), row + "\n").expect("the row can be written");
    }
}

/// In short form: `15.18` for `1:15.18-0+deb12u1`.
fn version(application: &Application) -> String {
    let package = application.packages.split(' ').next().unwrap_or_default();
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output();
    let version =
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let upstream = version.split_once(':').map_or(version.as_str(), |(_, upstream)| upstream);
    let upstream = upstream.rsplit_once('-').map_or(upstream, |(upstream, _)| upstream);
    upstream.split(['+', '~']).next().unwrap_or_default().to_owned()
}

/// A time in the form of the table: `0.4 s`, `12 s`.
pub(crate) fn seconds(time: Duration) -> String {
    let time = time.as_secs_f64();
    if time < 9.95 { format!("{time:.1} s") } else { format!("{time:.0} s") }
}
