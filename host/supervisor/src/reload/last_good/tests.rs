use bellwether_core::moment::Moment;
use bellwether_core::reload::GoodVersion;
use tempfile::TempDir;

use super::*;
use crate::reload::content::module_file;
use bellwether_config::parse_module_of_any_host;

const MODULE: &str =
    "[restart]\nscript = \"s\"\n[commands]\nstart = { run = [\"/bin/true\"], keep = true }\n";

struct Bench {
    root: TempDir,
    shelf: Shelf,
    modules: Vec<(FileKey, ModuleContent)>,
    versions: BTreeMap<String, GoodVersion>,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["state", "checkers", "modules"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        let shelf = Shelf::new(root.path().to_owned(), LastGood::default());
        Self { root, shelf, modules: Vec::new(), versions: BTreeMap::new() }
    }

    fn write(&self, file: &str, content: &[u8]) {
        fs::write(self.root.path().join(file), content).unwrap();
    }

    /// This content of the file is active.
    fn is_active(&mut self, file: &str, content: &[u8]) {
        let since = Moment::from_micros(7);
        let version = GoodVersion { digest: digest_of(content), since, replaced: None, before: None };
        self.versions.insert(file.to_owned(), version);
    }

    fn module_is_active(&mut self, text: &str) {
        let name = "m".parse().unwrap();
        let module = parse_module_of_any_host(self.root.path(), name, "modules/m.toml", text).unwrap();
        let content = module_file(module).content;
        self.modules = vec![(FileKey::named("modules/m.toml").unwrap(), content)];
        self.is_active("modules/m.toml", text.as_bytes());
    }

    fn store(&mut self) -> Vec<String> {
        let last_good = Some(Arc::new(LastGood::from(self.versions.clone())));
        let modules = Arc::new(self.modules.iter().cloned().collect());
        self.shelf.store(&Wanted { last_good, modules, quarantine: None })
    }

    /// The next daemon, and the digests that it finds.
    fn next(&mut self) -> BTreeMap<String, String> {
        let mut damaged = Vec::new();
        let stored = read(self.root.path(), &mut damaged);
        assert_eq!(damaged, Vec::<String>::new());
        self.shelf = Shelf::new(self.root.path().to_owned(), stored.last_good.clone());
        let versions = BTreeMap::from(stored.last_good);
        versions.into_iter().map(|(file, version)| (file, version.digest)).collect()
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(folder(self.root.path())).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    fn content(&self, file: &str, digest: &str) -> Option<Vec<u8>> {
        fs::read(stored_content(self.root.path(), &FileKey::named(file).unwrap(), digest)).ok()
    }
}

const NONE: Vec<String> = Vec::new();

#[test]
fn what_is_active_is_found_by_the_next_daemon_and_nothing_else_is_left() {
    let mut bench = Bench::new();
    for round in 0..3 {
        let (text, component) = (format!("{MODULE}# {round}\n"), format!("component {round}").into_bytes());
        bench.write("checkers/c.wasm", &component);
        bench.write("checkers/c.wasm.minisig", format!("signature {round}").as_bytes());
        bench.module_is_active(&text);
        bench.is_active("checkers/c.wasm", &component);
        assert_eq!(bench.store(), NONE);
        // Whatever becomes of the files.
        bench.write("checkers/c.wasm", b"garbage");
        bench.write("checkers/c.wasm.minisig", b"garbage");
        assert_eq!(bench.store(), NONE);
        let found = bench.next();
        assert_eq!(found["modules/m.toml"], digest_of(text.as_bytes()));
        assert_eq!(bench.content("modules/m.toml", &found["modules/m.toml"]), Some(text.into_bytes()));
        assert_eq!(bench.content("checkers/c.wasm", &found["checkers/c.wasm"]), Some(component));
        let names = bench.names();
        let signature = format!("{}.wasm.minisig", found["checkers/c.wasm"]);
        assert_eq!((names.len(), names.contains(&signature)), (4, true), "{names:?}");
        let stored = folder(bench.root.path()).join(signature);
        assert_eq!(fs::read_to_string(stored).unwrap(), format!("signature {round}"));
    }
    bench.versions.clear();
    assert_eq!(bench.store(), NONE);
    assert_eq!(bench.names(), BTreeSet::from(["index.json".to_owned()]));
}

#[test]
fn a_new_signature_of_the_same_version_is_stored_as_well() {
    let mut bench = Bench::new();
    bench.write("checkers/c.wasm", b"c");
    bench.is_active("checkers/c.wasm", b"c");
    assert_eq!(bench.store(), NONE);
    let stored = folder(bench.root.path()).join(format!("{}.wasm.minisig", digest_of(b"c")));
    assert!(!stored.exists());
    for signature in ["of a key", "of another key"] {
        bench.write("checkers/c.wasm.minisig", signature.as_bytes());
        assert_eq!(bench.store(), NONE);
        assert_eq!(fs::read_to_string(&stored).unwrap(), signature);
    }
}

#[test]
fn a_version_that_can_no_longer_be_copied_leaves_the_one_before_it() {
    let mut bench = Bench::new();
    bench.write("checkers/c.wasm", b"1");
    bench.is_active("checkers/c.wasm", b"1");
    assert_eq!(bench.store(), NONE);
    bench.is_active("checkers/c.wasm", b"2");
    bench.write("checkers/c.wasm", b"3");
    let told = bench.store();
    assert!(told.len() == 1 && told[0].contains("has been replaced since it became active"), "{told:?}");
    assert_eq!(bench.next()["checkers/c.wasm"], digest_of(b"1"));
    bench.write("checkers/c.wasm", b"2");
    assert_eq!(bench.store(), NONE);
    assert_eq!(bench.next()["checkers/c.wasm"], digest_of(b"2"));
}

#[test]
fn what_cannot_be_written_is_said_and_written_later() {
    let mut bench = Bench::new();
    bench.write("checkers/c.wasm", b"1");
    bench.is_active("checkers/c.wasm", b"1");
    // A file in place of the folder cannot be written to, not even by root.
    let folder = folder(bench.root.path());
    fs::write(&folder, "").unwrap();
    let told = bench.store();
    assert!(told.len() == 1 && told[0].contains("cannot be stored in state/last-good"), "{told:?}");
    fs::remove_file(&folder).unwrap();
    assert_eq!(bench.store(), NONE);
    assert_eq!(bench.next().len(), 1);
    // The same for the index alone.
    bench.write("checkers/c.wasm", b"2");
    bench.is_active("checkers/c.wasm", b"2");
    fs::rename(index(bench.root.path()), folder.join("away")).unwrap();
    fs::create_dir(index(bench.root.path())).unwrap();
    assert_eq!(bench.store().len(), 1);
    assert!(bench.content("checkers/c.wasm", &digest_of(b"1")).is_some(), "it is still promised");
    fs::remove_dir(index(bench.root.path())).unwrap();
    assert_eq!(bench.store(), NONE);
    assert_eq!(bench.next()["checkers/c.wasm"], digest_of(b"2"));
}

#[test]
fn what_somebody_removes_or_damages_is_stored_again() {
    let mut bench = Bench::new();
    bench.write("checkers/c.wasm", b"1");
    bench.is_active("checkers/c.wasm", b"1");
    bench.module_is_active(MODULE);
    assert_eq!(bench.store(), NONE);
    for digest in [digest_of(b"1"), digest_of(MODULE.as_bytes())] {
        for file in ["checkers/c.wasm", "modules/m.toml"] {
            let path = stored_content(bench.root.path(), &FileKey::named(file).unwrap(), &digest);
            let Ok(content) = fs::read(&path) else { continue };
            fs::remove_file(&path).unwrap();
            assert_eq!(bench.store(), NONE);
            assert_eq!(fs::read(&path).unwrap(), content);
            // A daemon that has not seen it compares it.
            fs::write(&path, "damaged").unwrap();
            bench.next();
            assert_eq!(bench.store(), NONE);
            assert_eq!(fs::read(&path).unwrap(), content);
        }
    }
}

#[test]
fn a_damaged_index_or_quarantine_is_moved_aside_and_foreign_digests_are_left_out() {
    let bench = Bench::new();
    fs::create_dir(folder(bench.root.path())).unwrap();
    fs::write(index(bench.root.path()), "{").unwrap();
    fs::write(quarantine(bench.root.path()), "{").unwrap();
    let mut damaged = Vec::new();
    let stored = read(bench.root.path(), &mut damaged);
    assert_eq!((stored.last_good, stored.quarantine), (LastGood::default(), Quarantine::default()));
    assert!(damaged[0].starts_with("state/last-good/index.json was moved aside"), "{damaged:?}");
    assert!(damaged[1].starts_with("state/quarantine.json was moved aside"), "{damaged:?}");
    for digest in ["../../etc/passwd", "", &"G".repeat(64), &"a".repeat(63)] {
        let text = format!(r#"{{"checkers/c.wasm":{{"digest":"{digest}","since":0}}}}"#);
        fs::write(index(bench.root.path()), text).unwrap();
        assert_eq!(read(bench.root.path(), &mut damaged).last_good, LastGood::default(), "{digest}");
    }
    assert_eq!(damaged.len(), 2);
}

#[test]
fn the_quarantine_is_found_by_the_next_daemon() {
    let mut bench = Bench::new();
    let mut quarantine = Quarantine::default();
    quarantine.put("checkers/c.wasm", "d", "trapped", Moment::from_micros(1));
    let wanted = Wanted { quarantine: Some(Arc::new(quarantine.clone())), ..Wanted::default() };
    assert_eq!(bench.shelf.store(&wanted), NONE);
    assert_eq!(read(bench.root.path(), &mut Vec::new()).quarantine, quarantine);
}
