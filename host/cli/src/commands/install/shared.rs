//! What an archive brings besides the program: documents, the manual page, completions. A record below the prefix
//! lists them, so that an upgrade and an uninstallation remove what was installed and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::Steps;
use super::archive::{is_path, parse_checksums, sha256};
use super::place::{Done, Place};

/// The record, below the prefix; `sha256sum -c` understands it.
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

#[derive(Debug, Default)]
struct Record {
    /// Digests by path.
    files: BTreeMap<String, String>,
    /// Folders that did not exist before.
    folders: BTreeSet<String>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(place: &'a Place, prefix: &'a Path) -> Self {
        Self { place, prefix }
    }

    /// Writes these files, and removes what an earlier version had besides.
    pub(super) fn put(&self, files: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Steps> {
        let before = self.record()?;
        let mut record = Record { files: BTreeMap::new(), folders: before.folders };
        for (path, bytes) in files {
            record.files.insert(path.clone(), sha256(bytes));
            record.folders.extend(self.missing_folders(path));
        }
        record.folders.extend(self.missing_folders(RECORD));
        let old: BTreeMap<_, _> =
            before.files.into_iter().filter(|(path, _)| !files.contains_key(path)).collect();
        // The record comes first, so that an installation that is interrupted can be removed.
        self.write(&record, &old)?;
        let mut all = Done::AsItShouldBe;
        for (path, bytes) in files {
            match self.place.put(&self.prefix.join(path), bytes, 0o644)? {
                Done::Made if all == Done::AsItShouldBe => all = Done::Made,
                Done::Replaced => all = Done::Replaced,
                _ => {}
            }
        }
        let mut steps = vec![(self.row(files.len()), all)];
        steps.extend(self.remove_unedited(&old)?.1);
        self.write(&record, &BTreeMap::new())?;
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
        // A folder sorts before what is in it.
        for folder in record.folders.iter().rev() {
            self.place.remove_folder(&self.prefix.join(folder))?;
        }
        Ok(steps)
    }

    /// How many files were removed, and a row for each that was kept because it differs from what was installed.
    fn remove_unedited(&self, files: &BTreeMap<String, String>) -> anyhow::Result<(usize, Steps)> {
        let mut removed = 0;
        let mut kept = Vec::new();
        for (path, digest) in files {
            let path = self.prefix.join(path);
            match self.place.remove_if(&path, |bytes| sha256(bytes) == *digest)? {
                Done::Removed => removed += 1,
                Done::NotThere => {}
                done => kept.push((path, done)),
            }
        }
        Ok((removed, kept))
    }

    fn row(&self, files: usize) -> PathBuf {
        self.prefix.join(format!("share ({files} files)"))
    }

    /// The folders that this path needs below the prefix and that do not exist.
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

    fn write(&self, record: &Record, besides: &BTreeMap<String, String>) -> anyhow::Result<()> {
        let mut text = HEADING.to_owned();
        for folder in &record.folders {
            writeln!(text, "{FOLDER}{folder}")?;
        }
        for (path, digest) in record.files.iter().chain(besides) {
            writeln!(text, "{digest}  {path}")?;
        }
        self.place.put(&self.prefix.join(RECORD), text.as_bytes(), 0o644)?;
        Ok(())
    }
}

impl Record {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut folders = BTreeSet::new();
        let mut sums = String::new();
        for line in text.lines() {
            if let Some(folder) = line.strip_prefix(FOLDER) {
                ensure!(folder == "share" || is_path(folder), "not a folder of a release: {folder:?}");
                folders.insert(folder.to_owned());
            } else if !line.starts_with('#') {
                writeln!(sums, "{line}")?;
            }
        }
        Ok(Self { files: parse_checksums(&sums)?, folders })
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
        // A folder of the system that is empty is not one of ours.
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
