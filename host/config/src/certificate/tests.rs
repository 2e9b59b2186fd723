use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn an_own_certificate_is_kept_until_its_names_change_or_its_end_is_near() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("state/console");
    let now: Timestamp = "2026-11-22T21:30:00Z".parse().unwrap();
    let first = Own::keep_in(&folder, &names(&["node-1", "127.0.0.1"]), now).unwrap();
    assert_eq!(first.pair.ends.unwrap().to_string(), "2029-02-24T00:00:00Z");

    let mode = |file: &str| fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("key.pem"), mode("")), (0o600, 0o700));

    let later: Timestamp = "2029-01-20T00:00:00Z".parse().unwrap();
    for now in [now, later] {
        let kept = Own::keep_in(&folder, &names(&["node-1", "127.0.0.1"]), now).unwrap();
        assert_eq!(kept.pair.fingerprint, first.pair.fingerprint);
    }
    let near: Timestamp = "2029-01-26T00:00:00Z".parse().unwrap();
    let renewed = Own::keep_in(&folder, &names(&["node-1", "127.0.0.1"]), near).unwrap();
    assert!(renewed.pair.fingerprint != first.pair.fingerprint);
    let named = Own::keep_in(&folder, &names(&["node-2"]), near).unwrap();
    assert!(named.pair.fingerprint != renewed.pair.fingerprint);

    fs::write(folder.join("key.pem"), "no key").unwrap();
    let mended = Own::keep_in(&folder, &names(&["node-2"]), near).unwrap();
    assert!(mended.pair.fingerprint != named.pair.fingerprint, "a damaged one is made anew");
}

#[test]
fn a_key_of_another_certificate_is_told_from_a_file_that_is_none() {
    let root = tempfile::tempdir().unwrap();
    let now = Timestamp::now();
    let [one, other] = ["one", "other"].map(|name| root.path().join(name));
    for folder in [&one, &other] {
        Own::keep_in(folder, &names(&["node-1"]), now).unwrap();
    }
    let why = |certificate: PathBuf, key: PathBuf| Pair::read(&PairFiles { certificate, key }).unwrap_err();
    let (certificate, key) = (one.join("certificate.pem"), other.join("key.pem"));
    assert_eq!(
        why(certificate.clone(), key.clone()),
        PairError::Key("does not belong to the certificate".into())
    );
    assert_eq!(why(key, certificate.clone()), PairError::Certificate("contains no certificate".into()));
    assert!(matches!(why(certificate.clone(), certificate.clone()), PairError::Key(_)));
    assert!(
        matches!(why(certificate, one.join("none")), PairError::Key(why) if why.starts_with("cannot be read"))
    );
}

#[test]
fn a_fingerprint_is_read_as_people_copy_it() {
    let shown = Fingerprint([0xab; 32]).to_string();
    assert_eq!(shown.len(), 95);
    let plain = shown.replace(':', "").to_lowercase();
    for text in [shown.clone(), plain.clone(), format!("SHA256:{plain}"), format!(" {shown}\n")] {
        assert_eq!(Fingerprint::parse(&text), Some(Fingerprint([0xab; 32])), "{text}");
    }
    for text in ["", "ab", &plain[1..], &format!("{plain}0"), &plain.replace('a', "g")] {
        assert_eq!(Fingerprint::parse(text), None, "{text}");
    }
}
