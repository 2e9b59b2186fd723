//! An application: its recipe, the changes for a test, and how to query it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::place::Place;

/// The time limit of a query.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// An application of Debian.
pub(crate) struct Application {
    /// The name of its recipe, `docs/recipes/NAME.toml`, and of its test, which has `_` for `-`.
    pub(crate) name: &'static str,
    /// The packages for `apt-get install`. The first one's version is that of the application.
    pub(crate) packages: &'static str,
    /// The program that shows that it is installed.
    pub(crate) program: &'static str,
    /// The effect of killing one of its processes.
    pub(crate) child: Child,
    /// Writes its configuration and data.
    pub(crate) lay_out: fn(&Place) -> Laid,
}

/// A process that the main one has started, identified by a part of its command line.
pub(crate) enum Child {
    /// There is only one process.
    None,
    /// The main process starts another one.
    IsReplaced(&'static str),
    /// The main process exits as well, and Bellwether restarts the application.
    EndsAll(&'static str),
}

/// An application that is ready to be started.
pub(crate) struct Laid {
    /// Parts of the recipe that depend on the host, and their replacements.
    pub(crate) changes: Vec<(String, String)>,
    /// A query that shows that it serves.
    pub(crate) question: Question,
    /// Data that it confirms, and a query for it.
    pub(crate) data: Option<Data>,
    /// Keeps it busy for longer than detection takes.
    pub(crate) work: Option<Ask>,
    /// The address of a large file, whose transfer a stop lets it complete.
    pub(crate) transfer: Option<SocketAddr>,
    /// A part of a command line that outlives the application on purpose.
    pub(crate) outlives: Option<&'static str>,
}

/// Data that an application has confirmed.
pub(crate) struct Data {
    pub(crate) write: Question,
    pub(crate) read: Question,
}

/// A query, and the text that must be in the answer.
pub(crate) struct Question {
    pub(crate) ask: Ask,
    pub(crate) expect: Vec<u8>,
}

/// How to send a query.
#[derive(Clone)]
pub(crate) enum Ask {
    /// By these bytes over a TCP connection.
    Tcp(SocketAddr, Vec<u8>),
    /// With a client program: its output is the answer.
    Run(Vec<String>),
}

impl Laid {
    /// An application that only has to answer this query.
    pub(crate) fn new(question: Question) -> Self {
        Self { changes: Vec::new(), question, data: None, work: None, transfer: None, outlives: None }
    }

    /// Replaces `recipe` by `here`.
    pub(crate) fn change(mut self, recipe: &str, here: impl Into<String>) -> Self {
        self.changes.push((recipe.to_owned(), here.into()));
        self
    }

    pub(crate) fn data(mut self, write: Question, read: Question) -> Self {
        self.data = Some(Data { write, read });
        self
    }

    pub(crate) fn outlives(mut self, part: &'static str) -> Self {
        self.outlives = Some(part);
        self
    }

    /// A stop lets it complete transfers to its clients.
    pub(crate) fn ends_transfers(mut self, server: SocketAddr) -> Self {
        self.transfer = Some(server);
        self
    }

    pub(crate) fn work(mut self, work: Ask) -> Self {
        self.work = Some(work);
        self
    }
}

impl Question {
    pub(crate) fn tcp(address: SocketAddr, send: impl AsRef<[u8]>, expect: impl AsRef<[u8]>) -> Self {
        Self { ask: Ask::Tcp(address, send.as_ref().to_vec()), expect: expect.as_ref().to_vec() }
    }

    /// For a page that has this text.
    pub(crate) fn page(address: SocketAddr, path: &str, expect: &str) -> Self {
        Self { ask: Ask::page(address, path), expect: expect.into() }
    }

    pub(crate) fn run(command: &[&str], expect: &str) -> Self {
        Self { ask: Ask::run(command), expect: expect.into() }
    }

    /// Whether the answer is right.
    pub(crate) fn is_answered(&self) -> bool {
        contains(&self.ask.answer(&self.expect), &self.expect)
    }
}

impl Ask {
    pub(crate) fn page(address: SocketAddr, path: &str) -> Self {
        Self::Tcp(address, format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").into_bytes())
    }

    pub(crate) fn run(command: &[&str]) -> Self {
        Self::Run(command.iter().map(|&word| word.to_owned()).collect())
    }

    /// Everything that was received until `expect` was, the connection was closed, or the time was over.
    fn answer(&self, expect: &[u8]) -> Vec<u8> {
        match self {
            Self::Tcp(address, send) => answer_over_tcp(*address, send, expect),
            Self::Run(command) => {
                let seconds = ANSWERED_WITHIN.as_secs().to_string();
                let output = Command::new("timeout").arg(seconds).args(command).stdin(Stdio::null()).output();
                output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default()
            }
        }
    }
}

fn contains(heard: &[u8], expected: &[u8]) -> bool {
    heard.windows(expected.len()).any(|window| window == expected)
}

fn answer_over_tcp(address: SocketAddr, send: &[u8], expect: &[u8]) -> Vec<u8> {
    let mut heard = Vec::new();
    let Ok(mut stream) = TcpStream::connect_timeout(&address, ANSWERED_WITHIN) else { return heard };
    if stream.set_read_timeout(Some(ANSWERED_WITHIN)).is_err() || stream.write_all(send).is_err() {
        return heard;
    }
    let mut part = [0; 4096];
    while !contains(&heard, expect) {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => heard.extend_from_slice(&part[..length]),
            _ => break,
        }
    }
    heard
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes")
}

/// The recipe with this name, from the docs.
pub(crate) fn recipe(name: &str) -> String {
    let path = folder().join(format!("{name}.toml"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of all recipes, sorted.
pub(crate) fn recipes() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("there are recipes");
    let files = entries.map(|entry| entry.expect("it can be read").path());
    let mut names: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}
