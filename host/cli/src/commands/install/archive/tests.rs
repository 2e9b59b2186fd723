use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, Header};

use super::*;

// Made with minisign and discarded keys, over the checksums below.
pub(crate) const KEY: &str = "RWRG1ECVXm0RkXfNW7cSPVps9EiRYZkdR3VIe7UAQIl3q4PadYq7d4M4";
const OTHER_KEY: &str = "RWRf2VB5n9JCacoz62q5ABh4lnSZ3dgbjJhg2P4Jqt/HisXv9luI0D1/";
const SUMS: &str = "\
50fda23bf0a5115d4f893dc10d122c10a4705f47688f5620e80611c092d4053e  bin/bellwether
1a4f5675191ddeb9deb92d6abefcc683a11e118b46d0ba1f05c5e239163a0cb1  share/doc/bellwether/README.md
789b101a4d96c9e4bdd02830fb7293967d8f6b0c2b2b6b23fc5738b153817c81  share/man/man1/bellwether.1
4780953a98b03d581f2871fb0bd41e7576a2858bb057ce6d5d65ebe49e202261  system/bellwether.service
bb17f4da56a39ec931d3f9dd26a7eaac470e666db9f2d3f57d27e986dd4b3345  system/bellwether.toml
a4ae2473680ace3310b29515181266a32cc5f90c64fc78d5e59e424d28979060  system/example.toml.sample
";
const SIGNED: &str = "untrusted comment: signature of a release of Bellwether
RURG1ECVXm0RkcTPUYYOKAgpY/pzqT4fZTWooY2Fj9c1zQ9cC5O2pJTlVQWb0FZfn+c6hnMuEcGDH1nOahM2NLc+HwvnJ2EylwY=
trusted comment: bellwether 1.2.3 x86_64-linux
LT3aoyQbGvJZZ4Yd2sr/Y1z3N/hmnMt7E2/OhWkarv4fqZXIxRZ1pIsTmocwlCMVayapqAmTS2EvU2U2yQoXBg==
";
const SIGNED_UNNAMED: &str = "untrusted comment: signature
RURG1ECVXm0RkcTPUYYOKAgpY/pzqT4fZTWooY2Fj9c1zQ9cC5O2pJTlVQWb0FZfn+c6hnMuEcGDH1nOahM2NLc+HwvnJ2EylwY=
trusted comment: timestamp:1764500000\tfile:SHA256SUMS\thashed
NqXjhb7hHH66rRwNdKs2gaBqC7GEpJ7rXVbYNJq1HX0Y+ddwzg61JIYQ6CKsn+9ZBx9V4j0r2FUgt7Xj247OAA==
";
// Over the same checksums with one more line, which names `share/../../etc/passwd`.
const ESCAPING: &str =
    "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881  share/../../etc/passwd\n";
const SIGNED_ESCAPING: &str = "untrusted comment: s
RURG1ECVXm0RkXtHkbnF2ZbzzOQnJExOi7LrsINLPDcqKPDtOs6ukeczBLodfp1WDkU+fGfssOBR/16QQrbYukz4JeEqBBECIAI=
trusted comment: bellwether 1.2.3 x86_64-linux
//Lc19pm/UK4dCvgduoRvNWVdDBJmhjGnA0gjNH58zTT4VOpMnD9irVymAEWi/Bvo6JJpYiQD6wHgPdN+NJqCQ==
";

/// The files of the archive that was signed, in their order.
fn files() -> Vec<(&'static str, &'static str)> {
    vec![
        ("SHA256SUMS.minisig", SIGNED),
        ("SHA256SUMS", SUMS),
        ("bin/bellwether", "the program"),
        ("share/doc/bellwether/README.md", "what it does"),
        ("share/man/man1/bellwether.1", "its manual"),
        ("system/bellwether.service", "# Written by bellwether. A unit"),
        ("system/bellwether.toml", "# this node"),
        ("system/example.toml.sample", "# an example"),
    ]
}

fn packed(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

fn tar(files: &[(&str, &str)], kind: EntryType) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = Header::new_ustar();
        // Directly: `set_path` rejects names that a forged archive may contain.
        let name = format!("bellwether-1.2.3-x86_64-linux/{path}");
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        builder.append(&header, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    packed(&tar(files, EntryType::Regular))
}

/// The archive that was signed.
pub(crate) fn signed_archive() -> Vec<u8> {
    archive(&files())
}

fn read_with(key: &str, bytes: &[u8]) -> Result<Release, Failure> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    Release::read(file.path(), &PublicKey::from_base64(key).unwrap())
}

/// Why an archive is rejected.
fn refused(bytes: &[u8]) -> String {
    let failure = read_with(KEY, bytes).unwrap_err();
    assert_eq!(failure.exit(), Exit::Denied);
    failure.said().split_once(" is refused: ").unwrap().1.to_owned()
}

#[test]
fn a_signed_archive_is_read() {
    let mut release = read_with(KEY, &signed_archive()).unwrap();
    assert_eq!((release.version.as_str(), release.arch.as_str(), release.len()), ("1.2.3", "x86_64", 6));
    assert_eq!(release.take("bin/bellwether").unwrap(), b"the program");
    assert_eq!(release.take_text("system/bellwether.toml").unwrap(), "# this node");
    let shared = release.into_shared();
    assert_eq!(
        shared.keys().map(String::as_str).collect::<Vec<_>>(),
        ["share/doc/bellwether/README.md", "share/man/man1/bellwether.1"]
    );
}

#[test]
fn an_archive_is_read_only_with_the_key_that_signed_it() {
    let failure = read_with(OTHER_KEY, &signed_archive()).unwrap_err();
    assert!(failure.said().contains("signed with another key"), "{failure}");
    let unsigned = archive(&files()[1..]);
    assert_eq!(
        refused(&unsigned),
        "it has no SHA256SUMS.minisig where one belongs: it is not a signed release of Bellwether"
    );
    let mut nonsense = files();
    nonsense[0].1 = "trust me\n";
    assert_eq!(refused(&archive(&nonsense)), "its signature is not one that minisign makes");
}

#[test]
fn a_key_signs_more_than_releases() {
    let mut other = files();
    other[0].1 = SIGNED_UNNAMED;
    let said = refused(&archive(&other));
    assert!(said.starts_with("what was signed is not a release of Bellwether"), "{said}");
    // The comment is signed as well.
    let renamed = SIGNED.replace("1.2.3", "1.2.4");
    other[0].1 = &renamed;
    assert_eq!(refused(&archive(&other)), "its signature does not belong to its checksums");
}

#[test]
fn what_was_not_signed_is_refused() {
    let changed = |index: usize, path: &'static str, text: &'static str| {
        let mut files = files();
        files[index] = (path, text);
        refused(&archive(&files))
    };
    assert_eq!(
        changed(2, "bin/bellwether", "the tampered program"),
        "\"bin/bellwether\" was changed: its checksum is not the one that was signed"
    );
    assert_eq!(changed(2, "bin/other", "the program"), "\"bin/other\" is not among its checksums");
    let sums = SUMS.replace("50fda23b", "50fda23c");
    let mut tampered = files();
    tampered[1].1 = &sums;
    assert_eq!(refused(&archive(&tampered)), "its signature does not belong to its checksums");
    let mut missing = files();
    missing.remove(4);
    assert_eq!(refused(&archive(&missing)), "\"share/man/man1/bellwether.1\" is missing");
    let mut twice = files();
    twice.push(twice[2]);
    assert_eq!(refused(&archive(&twice)), "\"bin/bellwether\" is not among its checksums");
}

#[test]
fn a_changed_byte_is_noticed_unless_it_changes_nothing() {
    let good = signed_archive();
    let expected = read_with(KEY, &good).unwrap();
    let (mut tried, mut noticed) = (0, 0);
    // Verifying a signature takes long without optimisation.
    for index in (0..good.len()).step_by(11) {
        tried += 1;
        let mut bad = good.clone();
        bad[index] ^= 0x01;
        match read_with(KEY, &bad) {
            Err(_) => noticed += 1,
            // The time at which the archive was packed, or another way to pack the same bytes.
            Ok(same) => {
                assert_eq!((same.version, same.files), (expected.version.clone(), expected.files.clone()));
            }
        }
    }
    assert!(noticed > tried / 2, "{noticed} of {tried}");
    for length in (0..good.len()).step_by(23).chain([good.len() - 1]) {
        assert!(read_with(KEY, &good[..length]).is_err(), "the first {length} bytes");
    }
}

#[test]
fn a_path_leads_nowhere_else_even_if_it_is_signed() {
    let sums = format!("{SUMS}{ESCAPING}");
    let mut files = files();
    files[0].1 = SIGNED_ESCAPING;
    files[1].1 = &sums;
    files.push(("share/../../etc/passwd", "x"));
    assert_eq!(refused(&archive(&files)), "not a path of a release: \"share/../../etc/passwd\"");
    for path in
        ["/etc/passwd", "bin", "bin/", "bin//x", "share/./x", "etc/x", "share/a b", "share/\u{1b}[2J", ""]
    {
        assert!(!is_path(path), "{path:?}");
    }
    assert!(is_path("share/zsh/site-functions/_bellwether"));
}

#[test]
fn links_and_what_follows_the_end_are_refused() {
    let link = packed(&tar(&files(), EntryType::Symlink));
    assert_eq!(refused(&link), "something in it is not a file");
    let mut longer = signed_archive();
    longer.push(0);
    assert_eq!(refused(&longer), "something follows its end");
    let mut hidden = tar(&files(), EntryType::Regular);
    hidden.extend([1; 512]);
    assert_eq!(refused(&packed(&hidden)), "something follows its last file");
}

#[test]
fn what_is_read_before_it_is_verified_is_bounded() {
    let large = "x".repeat(usize::try_from(MAX_UNVERIFIED).unwrap() + 1);
    let mut files = files();
    files[0].1 = &large;
    assert_eq!(refused(&archive(&files)), "\"SHA256SUMS.minisig\" is too large");
}

#[test]
fn a_message_about_an_archive_has_no_escapes() {
    let said =
        refused(&archive(&[("SHA256SUMS.minisig", SIGNED), ("SHA256SUMS", SUMS), ("bin/\u{1b}[2J", "x")]));
    assert_eq!(said, "\"bin/\\u{1b}[2J\" is not among its checksums");
}
