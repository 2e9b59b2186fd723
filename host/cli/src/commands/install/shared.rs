//! What an archive brings besides the program: documents, the manual page, completions. A record below the prefix
//! lists them, so that an upgrade and an uninstallation remove what was installed and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::Steps;
use super::archive::{is_path, parse_checksum, sha256};
use super::place::{Done, Place};
use crate::output::counted;

/// The record, relative to the prefix, in the format of `sha256sum -c`. After an interrupted upgrade, a path has
/// two lines or more: the file has its old or its new content.
const RECORD: &str = "share/doc/bellwether/installed";
const HEADING: &str =
    "# Written by bellwether install: the files below this prefix, and the folders made for them.\n";
const FOLDER: &str = "# folder ";

/// The shared files of one installation.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    place: &'a Place,
    prefix: &'a Path,
}

/// The possible contents of an installed file, by path.
type Digests = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Clone, Default)]
struct Record {
    files: Digests,
    /// Folders that did not exist before.
    folders: BTreeSet<String>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(place: &'a Place, prefix: &'a Path) -> Self {
        Self { place, prefix }
    }

    /// Writes these files, and removes others of an earlier version. Edited and foreign files are kept.
    pub(super) fn put(&self, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Steps> {
        let before = self.record()?;
        let mut after = Record { files: Digests::new(), folders: before.folders };
        for (path, bytes) in files {
            after.files.insert(path.clone(), BTreeSet::from([sha256(bytes)]));
            after.folders.extend(self.missing_folders(path));
        }
        after.folders.extend(self.missing_folders(RECORD));
        let mut both = after.clone();
        for (path, digests) in &before.files {
            both.files.entry(path.clone()).or_default().extend(digests.iter().cloned());
        }
        // The record comes first, so that an installation or an upgrade that is interrupted can be removed.
        self.write(&both)?;
        let mut all = Done::AsItShouldBe;
        let mut kept = Vec::new();
        for (path, bytes) in files {
            let digests = before.files.get(path);
            let ours = |there: &[u8]| digests.is_some_and(|digests| digests.contains(&sha256(there)));
            let path = self.prefix.join(path);
            match self.place.put_if(&path, bytes, 0o644, ours)? {
                Done::Made if all == Done::AsItShouldBe => all = Done::Made,
                Done::Replaced => all = Done::Replaced,
                done @ Done::Kept(_) => kept.push((path, done)),
                _ => {}
            }
        }
        let mut steps = vec![(self.row(files.len() - kept.len()), all)];
        steps.extend(kept);
        let old: Digests = before.files.into_iter().filter(|(path, _)| !files.contains_key(path)).collect();
        steps.extend(self.remove_unedited(&old)?.1);
        self.write(&after)?;
        Ok(steps)
    }

    /// Removes what the record lists, and the record.
    pub(super) fn remove(&self) -> anyhow::Result<Steps> {
        let record = self.record()?;
        let (removed, mut steps) = self.remove_unedited(&record.files)?;
        if self.place.remove(&self.prefix.join(RECORD))? == Done::NotThere {
            return Ok(Vec::new());
        }
        steps.insert(0, (self.row(removed), Done::Removed));
        // A folder sorts before its content.
        for folder in record.folders.iter().rev() {
            self.place.remove_folder(&self.prefix.join(folder))?;
        }
        Ok(steps)
    }

    /// The number of removed files, and a row for each that was kept because it differs from what was installed.
    fn remove_unedited(&self, files: &Digests) -> anyhow::Result<(usize, Steps)> {
        let mut removed = 0;
        let mut kept = Vec::new();
        for (path, digests) in files {
            let path = self.prefix.join(path);
            match self.place.remove_if(&path, "kept: edited", |bytes| digests.contains(&sha256(bytes)))? {
                Done::Removed => removed += 1,
                Done::NotThere => {}
                done => kept.push((path, done)),
            }
        }
        Ok((removed, kept))
    }

    fn row(&self, files: usize) -> PathBuf {
        self.prefix.join(format!("share ({})", counted(files, "file", "files")))
    }

    /// The folders below the prefix that this path needs and that do not exist.
    fn missing_folders(&self, path: &str) -> Vec<String> {
        let separators = path.match_indices('/').map(|(index, _)| &path[..index]);
        separators
            .filter(|folder| !self.place.at(&self.prefix.join(folder)).exists())
            .map(str::to_owned)
            .collect()
    }

    fn record(&self) -> anyhow::Result<Record> {
        let path = self.place.at(&self.prefix.join(RECORD));
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Record::default()),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        };
        Record::parse(&text).with_context(|| {
            format!("{} is damaged; remove it, and by hand what was installed with it", path.display())
        })
    }

    fn write(&self, record: &Record) -> anyhow::Result<()> {
        let mut text = HEADING.to_owned();
        for folder in &record.folders {
            writeln!(text, "{FOLDER}{folder}")?;
        }
        for (path, digests) in &record.files {
            for digest in digests {
                writeln!(text, "{digest}  {path}")?;
            }
        }
        self.place.put(&self.prefix.join(RECORD), text.as_bytes(), 0o644)?;
        Ok(())
    }
}

impl Record {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut record = Self::default();
        for line in text.lines() {
            if let Some(folder) = line.strip_prefix(FOLDER) {
                ensure!(folder == "share" || is_path(folder), "not a folder of a release: {folder:?}");
                record.folders.insert(folder.to_owned());
            } else if !line.starts_with('#') {
                let (path, sum) = parse_checksum(line)?;
                record.files.entry(path.to_owned()).or_default().insert(sum);
            }
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(named: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
        named.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect()
    }

    /// Everything below a folder, folders included.
    fn below(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn an_upgrade_removes_what_the_new_version_no_longer_has_and_an_uninstallation_everything() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        // An empty folder of the system is not one of ours.
        fs::create_dir_all(system.path().join("usr/local/share/man")).unwrap();
        let before = below(system.path());

        let first = files(&[
            ("share/doc/bellwether/README.md", "one"),
            ("share/doc/bellwether/old/page.md", "old"),
            ("share/man/man1/bellwether.1", "manual"),
        ]);
        let steps = shared.put(&first).unwrap();
        assert_eq!(steps, [(PathBuf::from("/usr/local/share (3 files)"), Done::Made)]);
        assert_eq!(shared.put(&first).unwrap()[0].1, Done::AsItShouldBe);

        let second =
            files(&[("share/doc/bellwether/README.md", "two"), ("share/man/man1/bellwether.1", "manual")]);
        let steps = shared.put(&second).unwrap();
        assert_eq!(steps, [(PathBuf::from("/usr/local/share (2 files)"), Done::Replaced)]);
        assert!(!system.path().join("usr/local/share/doc/bellwether/old/page.md").exists());

        let steps = shared.remove().unwrap();
        assert_eq!(steps, [(PathBuf::from("/usr/local/share (2 files)"), Done::Removed)]);
        assert_eq!(below(system.path()), before);
        assert!(shared.remove().unwrap().is_empty());
    }

    #[test]
    fn a_file_that_was_edited_is_kept() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        let path = "share/doc/bellwether/README.md";
        shared.put(&files(&[(path, "one")])).unwrap();
        let file = system.path().join("usr/local").join(path);
        fs::write(&file, b"\xff my notes").unwrap();
        let steps = shared.remove().unwrap();
        assert_eq!(steps[0].1, Done::Removed);
        assert_eq!(steps[1], (Path::new("/usr/local").join(path), Done::Kept("kept: edited")));
        assert!(file.exists());
    }

    #[test]
    fn an_upgrade_keeps_what_was_edited_and_replaces_the_rest() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        let [readme, manual] = ["share/doc/bellwether/README.md", "share/man/man1/bellwether.1"];
        shared.put(&files(&[(readme, "one"), (manual, "manual one")])).unwrap();
        let at = |path: &str| system.path().join("usr/local").join(path);
        fs::write(at(readme), "my notes").unwrap();

        let steps = shared.put(&files(&[(readme, "two"), (manual, "manual two")])).unwrap();
        let kept = (Path::new("/usr/local").join(readme), Done::Kept("kept: edited"));
        assert_eq!(steps, [(PathBuf::from("/usr/local/share (1 file)"), Done::Replaced), kept.clone()]);
        assert_eq!(fs::read_to_string(at(readme)).unwrap(), "my notes");
        assert_eq!(fs::read_to_string(at(manual)).unwrap(), "manual two");
        assert_eq!(shared.remove().unwrap()[1], kept);
        assert!(at(readme).exists() && !at(manual).exists());
    }

    #[test]
    fn a_file_that_was_there_before_the_first_installation_is_kept() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        let path = "share/fish/vendor_completions.d/bellwether.fish";
        let file = system.path().join("usr/local").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, "mine").unwrap();
        let before = below(system.path());
        let steps = shared.put(&files(&[(path, "theirs")])).unwrap();
        assert_eq!(steps[1], (Path::new("/usr/local").join(path), Done::Kept("kept: edited")));
        shared.remove().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
        assert_eq!(below(system.path()), before);
    }

    #[test]
    fn an_upgrade_that_was_interrupted_can_be_repeated_and_removed() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), false);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        let [readme, manual] = ["share/doc/bellwether/README.md", "share/man/man1/bellwether.1"];
        let later = "share/zsh/site-functions/_bellwether";
        let at = |path: &str| system.path().join("usr/local").join(path);
        // The folder in place of the manual page stays, with its parents.
        fs::create_dir_all(at(manual)).unwrap();
        let before = below(system.path());
        fs::remove_dir(at(manual)).unwrap();

        shared.put(&files(&[(readme, "one"), (manual, "manual one"), (later, "one")])).unwrap();
        fs::remove_file(at(manual)).unwrap();
        fs::create_dir(at(manual)).unwrap();
        let second = files(&[(readme, "two"), (manual, "manual two"), (later, "two")]);
        shared.put(&second).unwrap_err();
        assert_eq!(fs::read_to_string(at(readme)).unwrap(), "two", "the first file is as it is to be");
        assert_eq!(fs::read_to_string(at(later)).unwrap(), "one", "the last file is as before");

        let mut third = second;
        third.remove(manual);
        third.insert(readme.to_owned(), b"three".to_vec());
        let kept = (Path::new("/usr/local").join(manual), Done::Kept("kept: not a file"));
        let steps = shared.put(&third).unwrap();
        assert_eq!(steps, [(PathBuf::from("/usr/local/share (2 files)"), Done::Replaced), kept]);

        third.insert(manual.to_owned(), b"manual three".to_vec());
        third.insert(readme.to_owned(), b"four".to_vec());
        shared.put(&third).unwrap_err();
        shared.remove().unwrap();
        assert_eq!(below(system.path()), before, "nothing of ours is left");
    }

    #[test]
    fn a_record_leads_nowhere_else() {
        let sum = sha256(b"");
        assert!(Record::parse(&format!("{HEADING}{FOLDER}share/doc\n{sum}  share/doc/x\n")).is_ok());
        for line in
            [format!("{FOLDER}share/../../etc"), format!("{sum}  share/../../etc/passwd"), "x".to_owned()]
        {
            assert!(Record::parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn a_dry_run_writes_nothing() {
        let system = tempfile::tempdir().unwrap();
        let place = Place::new(system.path(), true);
        let shared = Shared::new(&place, Path::new("/usr/local"));
        shared.put(&files(&[("share/doc/bellwether/README.md", "one")])).unwrap();
        assert_eq!(below(system.path()), Vec::<String>::new());
    }
}
