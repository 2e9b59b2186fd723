//! Compares `host/ARCHITECTURE.md` and `CONTRIBUTING.md` with the tree, where a machine can: crates and their
//! dependencies, which crates compile large libraries, paths, and the location of code for one operating system.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

type Names = BTreeSet<String>;

const ARCHITECTURE: &str = "host/ARCHITECTURE.md";
const CONTRIBUTING: &str = "CONTRIBUTING.md";

/// The crate that only tests use.
const TESTING: &str = "testing";
/// The crate that hides the operating system.
const OS: &str = "os";

/// What shows that a file uses interfaces of one family of operating systems, or is divided by them.
const OF_ONE_SYSTEM: [&str; 13] = [
    "std::os::",
    "rustix::",
    "signal::unix",
    "UnixListener",
    "UnixStream",
    "UnixDatagram",
    "\"/proc",
    "cfg(unix",
    "cfg(windows",
    "cfg!(unix",
    "cfg!(windows",
    "target_os =",
    "\"/dev/",
];
/// Where the unit tests of a file begin. A declaration without a body is followed by more of the file.
const UNIT_TESTS: &str = "#[cfg(test)]\nmod tests {";
/// Folders that the daemon and cargo create, which are not in the repository.
const MADE: [&str; 2] = ["state/", "target/"];

/// The dependencies in a `Cargo.toml`.
struct Manifest {
    /// The dependencies of the crate and of its build script.
    build: Names,
    /// The further dependencies of its tests.
    test: Names,
}

impl Manifest {
    fn read(path: &Path) -> Self {
        let manifest: Table =
            read(path).parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // What only one system needs counts like what every system needs.
        let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
        let tables: Vec<&Table> = targets.filter_map(Value::as_table).chain([&manifest]).collect();
        let packages = |key: &str| -> Names {
            let of_key = |table: &&Table| table.get(key).and_then(Value::as_table).cloned();
            tables.iter().filter_map(of_key).flatten().map(|(key, value)| package((&key, &value))).collect()
        };
        Self {
            build: packages("dependencies").into_iter().chain(packages("build-dependencies")).collect(),
            test: packages("dev-dependencies"),
        }
    }

    /// The crates of `host/` that this crate depends on, by the names of their folders.
    fn crates(&self) -> Names {
        own(&self.build)
    }

    fn names(&self, package: &str) -> bool {
        self.build.contains(package) || self.test.contains(package)
    }
}

/// A dependency may have another name than the package.
fn package((key, value): (&String, &Value)) -> String {
    value.get("package").and_then(Value::as_str).unwrap_or(key).to_owned()
}

fn own(packages: &Names) -> Names {
    packages.iter().filter_map(|package| package.strip_prefix("bellwether-")).map(str::to_owned).collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifests() -> BTreeMap<String, Manifest> {
    let folders = entries(&repository().join("host")).into_iter().filter(|path| path.is_dir());
    folders.map(|folder| (file_name(&folder), Manifest::read(&folder.join("Cargo.toml")))).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// The cells of each row of the first table of a section of the architecture, without its head.
fn table(heading: &str) -> Vec<Vec<String>> {
    let text = read(&repository().join(ARCHITECTURE));
    let section = text.split("\n## ").find(|section| section.lines().next() == Some(heading));
    let section = section.unwrap_or_else(|| panic!("{ARCHITECTURE} has no section \"{heading}\""));
    let lines =
        section.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = lines.skip(2).map(cells).collect();
    assert!(!rows.is_empty(), "the section \"{heading}\" of {ARCHITECTURE} has no table");
    rows
}

fn cells(row: &str) -> Vec<String> {
    row.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
}

/// The texts in back quotes.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

fn all_quoted(text: &str) -> Names {
    quoted(text).map(str::to_owned).collect()
}

/// The rows of the table of crates, in their order: the crate, and its allowed dependencies.
fn table_of_crates() -> Vec<(String, Names)> {
    let row = |cells: Vec<String>| match &cells[..] {
        [name, _, depends] => (quoted(name).collect::<String>(), all_quoted(depends)),
        _ => panic!("the table of crates has three columns, not {cells:?}"),
    };
    table("The crates").into_iter().map(row).collect()
}

/// The other crates that depend on any of these, directly or indirectly.
fn dependents(on: &Names, manifests: &BTreeMap<String, Manifest>) -> Names {
    let mut reached = on.clone();
    loop {
        let depends = |manifest: &Manifest| !manifest.crates().is_disjoint(&reached);
        let more: Names = manifests
            .iter()
            .filter(|(name, manifest)| !reached.contains(*name) && depends(manifest))
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return reached.difference(on).cloned().collect();
        }
        reached.extend(more);
    }
}

/// The paths in a text that do not exist, each with the number of its line. A path is relative to the repository,
/// to the folder of the document, or to a path earlier in the same line. Blocks of code are skipped.
fn missing_paths(text: &str, document: &str) -> (usize, Vec<String>) {
    let top = repository();
    let beside = top.join(document).parent().unwrap().to_owned();
    let (mut checked, mut missing, mut is_code) = (0, Vec::new(), false);
    for (number, line) in (1..).zip(text.lines()) {
        is_code ^= line.trim_start().starts_with("```");
        if is_code {
            continue;
        }
        let mut places = vec![top.clone(), beside.clone()];
        for path in quoted(line).flat_map(str::split_whitespace).filter(|word| is_path(word)) {
            checked += 1;
            let found = places.iter().map(|place| place.join(path)).find(|found| found.exists());
            match found {
                Some(found) if found.is_dir() => places.push(found),
                Some(found) => places.extend(found.parent().map(Path::to_owned)),
                None => missing.push(format!("{document}:{number}: {path}")),
            }
        }
    }
    (checked, missing)
}

/// A path below the repository. `NAME` stands for any name.
fn is_path(word: &str) -> bool {
    let is_plain = word.chars().all(|char| char.is_ascii_alphanumeric() || "_-./".contains(char));
    let is_elsewhere = word.starts_with('/') || MADE.iter().any(|made| word.starts_with(made));
    word.contains('/') && is_plain && !is_elsewhere && !word.contains("NAME")
}

/// Whether the code of a file, without its comments and unit tests, uses interfaces of one family of systems.
fn is_of_one_system(text: &str) -> bool {
    let code = text.split(UNIT_TESTS).next().unwrap_or(text);
    let mut lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.any(|line| OF_ONE_SYSTEM.iter().any(|sign| line.contains(sign)))
}

/// The Rust files below a folder, without files and folders of tests.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in entries(folder) {
        if path.is_dir() && !path.ends_with("tests") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
    found
}

/// In the form `host/CRATE/src/…`.
fn files_of_one_system() -> Names {
    let host = repository().join("host");
    let crates = manifests().into_keys().filter(|name| name != OS);
    let files = crates.flat_map(|name| sources(&host.join(name).join("src")));
    let files = files.filter(|path| is_of_one_system(&read(path)));
    files.map(|path| format!("host/{}", path.strip_prefix(&host).unwrap().display())).collect()
}

#[test]
fn every_crate_depends_on_what_the_table_says() {
    let written: BTreeMap<String, Names> = table_of_crates().into_iter().collect();
    let manifests = manifests();
    let mut differences = Vec::new();
    for name in written.keys().chain(manifests.keys()).collect::<BTreeSet<_>>() {
        let (says, has) = (written.get(name), manifests.get(name).map(Manifest::crates));
        if says != has.as_ref() {
            differences.push(format!("{name}: the table says {says:?}, host/{name}/Cargo.toml says {has:?}"));
        }
    }
    assert!(
        differences.is_empty(),
        "the table \"The crates\" of {ARCHITECTURE} differs from the dependencies:\n{}",
        differences.join("\n")
    );
}

/// A crate may depend only on those in rows above its own, so there can be no cycle.
#[test]
fn a_crate_depends_only_on_crates_above_it() {
    let mut above = Names::new();
    for (name, depends) in table_of_crates() {
        let below: Vec<_> = depends.difference(&above).collect();
        assert!(
            below.is_empty(),
            "`{name}` depends on {below:?}, which are not above it in the table of crates"
        );
        above.insert(name);
    }
}

#[test]
fn only_tests_depend_on_the_crate_for_tests() {
    for (name, manifest) in manifests() {
        assert!(!manifest.crates().contains(TESTING), "host/{name} depends on `{TESTING}` outside its tests");
        let others: Vec<_> = own(&manifest.test).into_iter().filter(|other| other != TESTING).collect();
        assert!(others.is_empty(), "the tests of host/{name} depend on {others:?}: this may hide a cycle");
    }
}

#[test]
fn large_libraries_are_named_only_where_the_table_says() {
    let manifests = manifests();
    let rows = table("Large libraries");
    let libraries: Names = rows.iter().flat_map(|row| all_quoted(&row[0])).collect();
    for library in ["wasmtime", "axum", "askama", "rusqlite"] {
        assert!(libraries.contains(library), "the table \"Large libraries\" has no row for {library}");
    }
    // `wasmtime-wasi` belongs to `wasmtime`, unless it has a row of its own.
    let belongs = |package: &str, library: &str| {
        let is_part = package.strip_prefix(library).is_some_and(|rest| rest.starts_with('-'));
        package == library || (is_part && !libraries.contains(package))
    };
    for row in &rows {
        let [library, named, compiled] = &row[..] else { panic!("a row of three cells: {row:?}") };
        let (named, compiled) = (all_quoted(named), all_quoted(compiled));
        let library = quoted(library).next().unwrap();
        let packages: Names = manifests.values().flat_map(|of| of.build.union(&of.test)).cloned().collect();
        let packages: Names = packages.into_iter().filter(|package| belongs(package, library)).collect();
        let has_one = |manifest: &Manifest| packages.iter().any(|package| manifest.names(package));
        let by: Names =
            manifests.iter().filter(|(_, of)| has_one(of)).map(|(name, _)| name.clone()).collect();
        assert_eq!(named, by, "crates of host/ whose Cargo.toml names {library} (left: the table)");
        let through = dependents(&by, &manifests);
        assert_eq!(
            compiled, through,
            "crates of host/ that compile {library} through others (left: the table)"
        );
    }
}

#[test]
fn every_path_in_the_documents_is_there() {
    for document in [ARCHITECTURE, CONTRIBUTING] {
        let (checked, missing) = missing_paths(&read(&repository().join(document)), document);
        assert!(missing.is_empty(), "these paths are not there:\n{}", missing.join("\n"));
        assert!(checked > 40, "{document} has only {checked} paths in back quotes: are they found?");
    }
}

#[test]
fn a_path_that_is_not_there_is_found() {
    let text = "`core/src/verdict.rs`, `host/core/src/no.rs`\n```text\n`host/none/`\n```\n`state/x.json`, \
                `host/NAME/src`, `BELLWETHER_LONG=1 .ci/none`, `host/core/src/` and `grant/http.rs`";
    let (checked, missing) = missing_paths(text, ARCHITECTURE);
    let expected = ["host/core/src/no.rs", ".ci/none"].into_iter().zip([1, 5]);
    let expected: Vec<_> = expected.map(|(path, line)| format!("{ARCHITECTURE}:{line}: {path}")).collect();
    assert_eq!((checked, missing), (5, expected));
}

#[test]
fn code_for_one_system_is_only_where_the_list_says() {
    let rows = table("Code for one operating system");
    let written = rows.iter().flat_map(|row| {
        let folder = quoted(&row[0]).next().unwrap_or_default();
        quoted(&row[1]).map(move |file| format!("host/{folder}{file}"))
    });
    let (written, found) = (written.collect::<Names>(), files_of_one_system());
    let new: Vec<_> = found.difference(&written).collect();
    assert!(new.is_empty(), "these files use {OF_ONE_SYSTEM:?}; give host/os an interface for it: {new:#?}");
    let gone: Vec<_> = written.difference(&found).collect();
    assert!(gone.is_empty(), "these files use none of {OF_ONE_SYSTEM:?}; take them off the list: {gone:#?}");
}

#[test]
fn comments_and_unit_tests_are_no_code_for_one_system() {
    assert!(is_of_one_system("use std::os::unix::fs::MetadataExt as _;\n"));
    assert!(is_of_one_system("#[cfg(test)]\nmod tests;\n\nlet page = rustix::param::page_size();\n"));
    assert!(is_of_one_system("use tokio::net::{TcpListener, UnixListener};\n"));
    assert!(is_of_one_system("let limits = fs::read_to_string(\"/proc/self/limits\");\n"));
    assert!(is_of_one_system("#[cfg(not(target_os = \"linux\"))]\n"));
    assert!(!is_of_one_system("// rustix::fs would do\nlet a = 1;\n"));
    assert!(!is_of_one_system("let a = 1;\n#[cfg(test)]\nmod tests {\n    use std::os::fd::AsFd;\n}\n"));
}
