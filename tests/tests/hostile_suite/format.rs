//! Files that are not components, written over a good one in the folder.

use std::fs::{self, File};
use std::os::unix::fs::symlink;

use bellwether_tests::answers::{Component, Outcome};
use bellwether_tests::composed::{Guest, WELL, WITNESS, witness};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::{PATIENCE, eventually, wait, within};
use bellwether_tests::guest::{self, versioned};
use bellwether_tests::long;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::family;

/// A file, and the message of its rejection.
struct Broken {
    name: String,
    bytes: Vec<u8>,
    word: &'static str,
}

fn broken(name: &str, bytes: impl Into<Vec<u8>>, word: &'static str) -> Broken {
    Broken { name: name.to_owned(), bytes: bytes.into(), word }
}

/// A daemon with a module that serves and a witness, and a good component with each name.
fn with_good_ones(names: &[&str]) -> (Root, Daemon, Vec<String>) {
    let root = Root::default();
    root.write("checkers/witness.wasm", witness(1));
    Web::lay_out(&root).write(&root, WITNESS);
    let good = Guest::default().build();
    for name in names {
        root.write(&format!("checkers/{name}.wasm"), &good);
    }
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let digests = names.iter().map(|name| in_force(&daemon, name).digest);
    let digests = digests.collect();
    (root, daemon, digests)
}

/// Waits until the file with that name is active.
fn in_force(daemon: &Daemon, name: &str) -> Component {
    within(2 * PATIENCE, &format!("{name} is in force"), || {
        daemon.component(name).filter(|found| found.error.is_none())
    })
}

/// Waits until the file with that name is rejected.
fn refused(daemon: &Daemon, name: &str) -> (Component, String) {
    let refused = wait(2 * PATIENCE, || {
        let found = daemon.component(name)?;
        let error = found.error.clone()?;
        Some((found, error))
    });
    refused.unwrap_or_else(|| panic!("{name} is not refused: {:?}", daemon.component(name)))
}

#[test]
fn what_is_no_component_is_refused_with_its_word_and_the_good_one_stays_in_force() {
    let kinds = [not_webassembly(), of_another_kind(), misshapen(), cut_short()];
    let all: Vec<Broken> =
        kinds.into_iter().flat_map(|kind| long::one_of_each(kind, |broken| broken.word)).collect();
    let names: Vec<&str> = all.iter().map(|broken| broken.name.as_str()).collect();
    let (root, daemon, digests) = with_good_ones(&names);
    for Broken { name, bytes, .. } in &all {
        root.write(&format!("checkers/{name}.wasm"), bytes);
    }
    let mut wrong = Vec::new();
    for (Broken { name, word, .. }, digest) in all.iter().zip(digests) {
        let (found, error) = refused(&daemon, name);
        if !error.contains(word) {
            wrong.push(format!("{name}: {error}"));
        }
        assert_eq!((&found.digest, found.origin.as_str()), (&digest, "file"), "{name}: {found:?}");
    }
    assert_eq!(wrong, Vec::<String>::new());
    println!("{} files refused", all.len());
    family::no_run_missed(&daemon);
    assert!(daemon.module("web").ready);
}

fn not_webassembly() -> Vec<Broken> {
    let alien = "not a component: the file is not WebAssembly";
    let component = Guest::default().build();
    let turned: Vec<u8> = component.iter().rev().copied().collect();
    let marked = [b"\xef\xbb\xbf", component.as_slice()].concat();
    vec![
        broken("empty", "", "not a component: the file is empty"),
        broken("one-byte", [0], alien),
        broken("half-a-magic", *b"\0as", alien),
        broken("text", "(component)", alien),
        broken("script", "#!/bin/sh\nexit 0\n", alien),
        broken(
            "native",
            fs::read("/proc/self/exe").expect("this test is a program")[..65_536].to_vec(),
            alien,
        ),
        broken("packed", *b"\x1f\x8b\x08\0\0\0\0\0", alien),
        broken("zeros", vec![0; 100_000], alien),
        broken("backwards", turned, alien),
        broken("byte-order-mark", marked, alien),
    ]
}

fn of_another_kind() -> Vec<Broken> {
    let core = wat::parse_str("(module (func (export \"check\")))").expect("a module");
    let alien = wat::parse_str("(component)").expect("a component");
    let of = |world| Guest { world, ..Guest::default() };
    let calling = |world, call: &str| Guest { check: format!("{call} {WELL}"), ..of(world) }.build();
    let fits_not = "does not fit this host: ";
    let mut next_layer = Guest::default().build();
    next_layer[6] = 2;
    let mut next_version = Guest::default().build();
    next_version[4] += 1;
    vec![
        broken("core", core, "it is a core WebAssembly module; build it for wasm32-wasip2"),
        broken("hollow", alien, "it exports neither bellwether:guest/check nor"),
        broken("other-world", of("neither").build(), "it exports neither bellwether:guest/check nor"),
        broken("stranger", calling("stranger", "(call $brew)"), "`wasi:http/types@0.9.0`"),
        broken(
            "of-tomorrow",
            calling("tomorrow", "(drop (call $foresee))"),
            "`bellwether:guest/oracle@1.99.0`",
        ),
        broken("script-as-checker", Guest::planning("unreachable").build(), "it belongs in the other folder"),
        broken("next-layer", next_layer, "not a component: "),
        broken("next-version", next_version, "not a component: "),
        broken("memory-of-64-bits", raw("(core module $m (memory i64 1))"), "not a component: "),
        broken(
            "a-thousand-memories",
            raw(&format!("(core module $m {})", "(memory 1)".repeat(1000))),
            "not a component: ",
        ),
        broken(
            "endless-function",
            raw(&format!("(core module $m (func {}))", "nop ".repeat(8_000_000))),
            "not a component: ",
        ),
        broken("nothing-but-core", raw("(core module $m (func (export \"check\")))"), fits_not),
    ]
}

/// A component from its own text.
fn raw(text: &str) -> Vec<u8> {
    wat::parse_str(format!("(component {text})")).expect("the text is a component")
}

fn misshapen() -> Vec<Broken> {
    // An export with the right name and the wrong type.
    let exporting = |interfaces: &[&str]| {
        let exports: Vec<_> = interfaces
            .iter()
            .map(|interface| {
                let function = interface.rsplit('/').next().and_then(|name| name.split('@').next());
                let function = function.expect("a function of the same name");
                format!(
                    "(instance ${function} (export \"{function}\" (func $number)))
                     (export \"{interface}\" (instance ${function}))\n"
                )
            })
            .collect();
        let exports = exports.concat();
        raw(&format!(
            "(core module $m (func (export \"number\") (result i32) (i32.const 1)))
             (core instance $m (instantiate $m))
             (func $number (result u32) (canon lift (core func $m \"number\"))) {exports}"
        ))
    };
    let (check, plan, describe) =
        ("bellwether:guest/check@1.0.0", "bellwether:guest/plan@1.0.0", "bellwether:guest/describe@1.0.0");
    let later = ["bellwether:guest/check@2.0.0", "bellwether:guest/describe@2.0.0"];
    let with_section = |id: u8, bytes: &[u8]| {
        let length = u8::try_from(bytes.len()).expect("a short section");
        [Guest::default().build().as_slice(), &[id, length], bytes].concat()
    };
    let lying = [Guest::default().build().as_slice(), &[0, 0xff, 0xff, 0xff, 0xff, 0x0f]].concat();
    let not_utf8 = Guest::default().with(r#"(data (i32.const 32) "\ff\fe")"#).build();
    vec![
        broken(
            "no-description",
            exporting(&[check]),
            "no exported instance named `bellwether:guest/describe@1.",
        ),
        broken("wrong-shape", exporting(&[check, describe]), "does not fit this host: "),
        broken(
            "both-kinds",
            exporting(&[check, plan, describe]),
            "a component is either a checker or a restart script",
        ),
        broken("of-another-major", exporting(&later), "does not fit this host: "),
        broken("unknown-section", with_section(99, b"x"), "not a component: "),
        broken("section-too-long", lying, "not a component: "),
        broken("section-garbage", with_section(1, b"garbage"), "not a component: "),
        broken("describes-garbage", not_utf8, "its describe() gave no answer: "),
    ]
}

/// A component of the SDK, truncated at many places, and once at each end of a small one.
fn cut_short() -> Vec<Broken> {
    let (large, small) = (guest::TCP, Guest::default().build());
    let step = large.len() / 16;
    let many = (1..16).map(|n| broken(&format!("cut-at-{n}-of-16"), &large[..n * step], ""));
    let ends = [8, 9, 16, small.len() / 2, small.len() - 1];
    many.chain(ends.map(|end| broken(&format!("small-cut-at-{end}"), &small[..end], ""))).collect()
}

#[test]
fn a_component_with_one_bit_flipped_is_refused_or_runs_and_hurts_nobody() {
    let good = Guest::default().build();
    let names: Vec<String> = (0..long::part(8, 32)).map(|n| format!("flip-{n}")).collect();
    let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
    let (root, daemon, digests) = with_good_ones(&borrowed);
    for (n, name) in names.iter().enumerate() {
        let mut flipped = good.clone();
        flipped[n * good.len() / names.len()] ^= 1 << (n % 8);
        root.write(&format!("checkers/{name}.wasm"), flipped);
    }
    let mut refused = 0;
    for (name, digest) in names.iter().zip(digests) {
        let found = within(2 * PATIENCE, &format!("{name} is refused or in force"), || {
            daemon.component(name).filter(|now| now.error.is_some() || now.digest != digest)
        });
        refused += usize::from(found.error.is_some());
    }
    println!("{refused} of {} refused", names.len());
    assert!(refused > 0);
    family::no_run_missed(&daemon);
    assert!(daemon.module("web").ready);
}

#[test]
fn what_is_no_file_or_far_too_large_is_never_read() {
    let (root, daemon, digests) = with_good_ones(&["sparse", "huge"]);
    let folder = root.path().join("checkers");
    let new = |name: &str| folder.join(format!("{name}.wasm"));
    mknodat(CWD, new("pipe"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a FIFO can be made");
    fs::create_dir(new("folder")).expect("a folder can be made");
    symlink("nowhere", new("nowhere")).expect("a link can be made");
    symlink("circle.wasm", new("circle")).expect("a link can be made");
    symlink("/dev/zero", new("device")).expect("a link can be made");
    fs::write(folder.join(".hidden.wasm"), "x").expect("a file can be written");
    root.write("checkers/Not A Name.wasm", Guest::default().build());

    let sparse = File::create(folder.join("sparse.new")).expect("a file can be made");
    sparse.set_len(500 << 20).expect("it costs nothing");
    fs::rename(folder.join("sparse.new"), new("sparse")).expect("it can be renamed");
    let huge = File::create(folder.join("huge.new")).expect("a file can be made");
    fs::write(folder.join("huge.new"), Guest::default().build()).expect("it can be written");
    huge.set_len(500 << 20).expect("it costs nothing");
    fs::rename(folder.join("huge.new"), new("huge")).expect("it can be renamed");

    for (name, digest) in ["sparse", "huge"].into_iter().zip(digests) {
        let (found, error) = refused(&daemon, name);
        assert!(error.contains("a component has at most 67108864"), "{error}");
        assert_eq!(found.digest, digest);
    }
    eventually("a name that is none is told", || daemon.problems().contains("Not A Name").then_some(()));
    for name in ["pipe", "folder", "nowhere", "circle", "device", ".hidden"] {
        assert_eq!(daemon.component(name), None, "{name}");
    }
    // And the folder is still being scanned.
    root.write("checkers/sparse.wasm", versioned(&Guest::default().build(), "mended"));
    in_force(&daemon, "sparse");
    family::no_run_missed(&daemon);
}

#[test]
fn compiled_code_that_was_tampered_with_is_never_run_and_keeps_no_daemon_from_starting() {
    let (root, mut daemon, _) = with_good_ones(&["kept"]);
    daemon.end();
    let folder = root.path().join("state/compiled");
    let mut entries: Vec<_> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| entry.expect("it can be read").path())
        .filter(|path| path.extension().is_some_and(|end| end == "code"))
        .collect();
    entries.sort();
    assert!(entries.len() >= 2, "{entries:?}");
    // One replaces another; the others are truncated, extended, emptied, changed.
    let first = fs::read(&entries[0]).expect("it can be read");
    for (n, entry) in entries.iter().enumerate() {
        let mut code = fs::read(entry).expect("it can be read");
        match n % 5 {
            0 => *code.last_mut().expect("it is not empty") ^= 1,
            1 => code.clone_from(&first),
            2 => code.truncate(code.len() / 2),
            3 => code.clear(),
            _ => code.extend([0; 100]),
        }
        fs::write(entry, code).expect("it can be written");
    }
    daemon.run_again();
    daemon.until_ready("web");
    daemon.until_outcome("web", "witness", Outcome::Pass);
    let found = daemon.component("kept").expect("it is loaded");
    assert_eq!(found.error, None);
}
