//! Keeps the roots, logs and screens of a test that fails, in `failed/NAME OF THE TEST` of the target folder. The
//! test's output names the folder.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::binary::target_folder;

/// The maximum size of one file; of a longer log, the end is kept.
const MOST_OF_A_FILE: u64 = 8 << 20;
/// The maximum size of one folder.
const MOST: u64 = 64 << 20;
/// The maximum depth; deeper files are not useful.
const DEPTH: usize = 6;

/// Copies the useful files of this folder, if the test of this thread is failing.
pub fn keep_folder(folder: &Path, name: &str) {
    keep(name, |place| {
        let mut copy = Copying { left: MOST, left_out: Vec::new() };
        copy.folder(folder, place, DEPTH)?;
        if copy.left_out.is_empty() {
            Ok(())
        } else {
            fs::write(place.join("left-out"), copy.left_out.concat())
        }
    });
}

/// Writes a text, if the test of this thread is failing.
pub fn keep_text(name: &str, text: impl FnOnce() -> String) {
    keep(name, |place| fs::write(place, text()));
}

/// Runs it with a new path for something with this name, and prints the path.
fn keep(name: &str, write: impl FnOnce(&Path) -> io::Result<()>) {
    if !std::thread::panicking() {
        return;
    }
    let kept = folder_of_this_test().and_then(|folder| {
        let names = (1..100).map(|n| if n == 1 { name.to_owned() } else { format!("{name}-{n}") });
        let place = names.map(|name| folder.join(name)).find(|place| !place.exists());
        let place = place.ok_or_else(|| io::Error::other("there is no name left"))?;
        write(&place).map(|()| place)
    });
    match kept {
        Ok(place) => eprintln!("the files of this failure are in {}", place.display()),
        Err(error) => eprintln!("the test's {name} could not be kept: {error}"),
    }
}

/// Empty when this process first uses it: files of an earlier run are removed.
fn folder_of_this_test() -> io::Result<PathBuf> {
    static BEGUN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    let thread = std::thread::current();
    // With one test at a time, all run on the main thread.
    let test = thread.name().unwrap_or("unnamed").replace("::", "/");
    let folder = target_folder().join("failed").join(test);
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    if begun.insert(folder.clone()) && folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

struct Copying {
    /// The number of bytes that may still be copied.
    left: u64,
    left_out: Vec<String>,
}

impl Copying {
    /// Regular files only: sockets and pipes are useless once their owner has ended, and links may lead anywhere.
    /// If a file cannot be read, the others are still copied.
    fn folder(&mut self, from: &Path, to: &Path, depth: usize) -> io::Result<()> {
        fs::create_dir_all(to)?;
        for entry in fs::read_dir(from)?.flatten() {
            let (path, place) = (entry.path(), to.join(entry.file_name()));
            let Ok(found) = entry.metadata() else { continue };
            let copied = if is_machine_code(&path) || !(found.is_dir() || found.is_file()) {
                Ok(())
            } else if found.is_file() {
                self.file(&path, &place, found.len())
            } else if depth > 0 {
                self.folder(&path, &place, depth - 1)
            } else {
                Err(io::Error::other("too deep"))
            };
            if let Err(error) = copied {
                self.left_out.push(format!("{}: {error}\n", path.display()));
            }
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, length: u64) -> io::Result<()> {
        let log = from.extension().is_some_and(|end| end == "log");
        let wanted = if log { length.min(MOST_OF_A_FILE) } else { length };
        if wanted > MOST_OF_A_FILE.min(self.left) {
            return Err(io::Error::other(format!("{length} bytes are too many")));
        }
        let mut file = File::open(from)?;
        file.seek(SeekFrom::Start(length - wanted))?;
        self.left -= io::copy(&mut file.take(wanted), &mut File::create(to)?)?;
        Ok(())
    }
}

/// Components and their machine code: large, and the same in every run.
fn is_machine_code(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "wasm") || path.ends_with("state/compiled")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::Root;

    const TEST: &str = "failed::tests::one_that_fails";

    /// The files that the test with that name has left, after it has ended.
    fn run(test: impl FnOnce() + Send + 'static) -> PathBuf {
        let thread = std::thread::Builder::new().name(TEST.to_owned());
        // The panic is intended.
        drop(thread.spawn(test).expect("a thread").join());
        target_folder().join("failed").join(TEST.replace("::", "/"))
    }

    #[test]
    fn a_test_that_fails_leaves_its_roots_and_one_that_does_not_leaves_nothing() {
        let lay_out = || {
            let root = Root::default();
            root.write("daemon.log", "it went wrong");
            root.write("modules/web.toml", "[commands]");
            root.write("state/journal.db", "records");
            root.write("state/compiled/tcp.code", "machine code");
            root.write("checkers/tcp.wasm", "a component");
            root.write("large.log", [vec![b'x'; 9 << 20], b"the end".to_vec()].concat());
            root.write("large.db", vec![0; 9 << 20]);
            root
        };
        let place = run(move || drop(lay_out()));
        assert!(!place.exists());

        let place = run(move || {
            let (_one, _other) = (lay_out(), Root::default());
            panic!("on purpose");
        });
        let read = |file: &str| fs::read_to_string(place.join(file)).unwrap_or_default();
        // What is dropped first is copied first.
        assert!(read("root/bellwether.toml").contains("[health]"));
        assert_eq!(read("root-2/daemon.log"), "it went wrong");
        assert_eq!(read("root-2/modules/web.toml"), "[commands]");
        assert_eq!(read("root-2/state/journal.db"), "records");
        assert!(
            !place.join("root-2/state/compiled").exists() && !place.join("root-2/checkers/tcp.wasm").exists()
        );
        let log = read("root-2/large.log");
        assert!(log.len() as u64 == MOST_OF_A_FILE && log.ends_with("the end"), "{}", log.len());
        assert!(read("root-2/left-out").contains("large.db"), "{}", read("root-2/left-out"));
        fs::remove_dir_all(place).expect("it is there");
    }
}
