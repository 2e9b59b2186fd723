//! What is known of an application: its recipe, what of it is changed for a test, and how to ask it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::place::Place;

/// So long one question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// An application of Debian.
pub(crate) struct Application {
    /// Of its recipe, `docs/recipes/NAME.toml`, and of its test, which has `_` for `-`.
    pub(crate) name: &'static str,
    /// As `apt-get install` takes them. The first one's version is that of the application.
    pub(crate) packages: &'static str,
    /// Without this it is not installed.
    pub(crate) program: &'static str,
    /// What becomes of it when one of its processes is killed.
    pub(crate) child: Child,
    /// Writes its configuration and data.
    pub(crate) lay_out: fn(&Place) -> Laid,
}

/// A process that the main one has started, by a part of its command line.
pub(crate) enum Child {
    /// There is only one process.
    None,
    /// The main process starts another one.
    IsReplaced(&'static str),
    /// The main process ends as well, and Bellwether starts all anew.
    EndsAll(&'static str),
}

/// An application that is ready to be started.
pub(crate) struct Laid {
    /// What the recipe says of the host, and what takes its place here.
    pub(crate) changes: Vec<(String, String)>,
    /// Shows that it serves.
    pub(crate) question: Question,
    /// Data that it confirms, and how to ask for it.
    pub(crate) data: Option<Data>,
    /// Keeps it busy for longer than it takes to notice.
    pub(crate) work: Option<Ask>,
    /// Where it serves a large file, which a stop lets it send to the end.
    pub(crate) transfer: Option<SocketAddr>,
    /// What of its command line outlives the application on purpose.
    pub(crate) outlives: Option<&'static str>,
}

/// Data that an application has confirmed.
pub(crate) struct Data {
    pub(crate) write: Question,
    pub(crate) read: Question,
}

/// Something to ask, and what must be in the answer.
pub(crate) struct Question {
    pub(crate) ask: Ask,
    pub(crate) expect: Vec<u8>,
}

/// How something is asked.
#[derive(Clone)]
pub(crate) enum Ask {
    /// By these bytes over a TCP connection.
    Tcp(SocketAddr, Vec<u8>),
    /// By a client program: what it prints is the answer.
    Run(Vec<String>),
}

impl Laid {
    /// One that only has to answer this question.
    pub(crate) fn new(question: Question) -> Self {
        Self { changes: Vec::new(), question, data: None, work: None, transfer: None, outlives: None }
    }

    /// In place of `recipe`, `here`.
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

    /// A stop lets it end what it sends to its clients.
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

    /// All that was said until `expect` was, the connection was closed, or the time was over.
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

/// The recipe of this name, as it is in the docs.
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
