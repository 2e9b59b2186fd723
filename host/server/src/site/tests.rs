use super::*;
use bellwether_config::parse_node;

fn node(text: &str) -> NodeSpec {
    parse_node(text, "host").unwrap().spec
}

fn shown(text: &str, address: &str, tls: bool) -> String {
    let node = node(text);
    let spec = node.console.clone().unwrap();
    let address = address.parse().unwrap();
    url(address, &spec, &names(&node, &spec, address), tls)
}

#[test]
fn the_url_is_one_that_can_be_opened() {
    assert_eq!(shown("", "127.0.0.1:9013", false), "http://127.0.0.1:9013/");
    assert_eq!(shown("", "[::1]:9013", false), "http://[::1]:9013/");
    assert_eq!(shown("", "192.0.2.7:443", true), "https://192.0.2.7:443/");
    let named = "[console]\nnames = [\"Console.example.org\"]";
    assert_eq!(shown(named, "0.0.0.0:9013", true), "https://console.example.org:9013/");
    let any = shown("", "0.0.0.0:9013", true);
    assert!(!any.contains("0.0.0.0") && any.ends_with(":9013/"), "{any}");
}

#[test]
fn the_names_are_the_files_then_the_nodes_each_once() {
    let node = node("name = \"Web-1\"\n[console]\nnames = [\"a.example\", \"localhost\", \"2001:db8::1\"]");
    let spec = node.console.clone().unwrap();
    let names = names(&node, &spec, "192.0.2.7:9013".parse().unwrap());
    assert_eq!(names[..3], ["a.example", "localhost", "2001:db8::1"]);
    for name in ["web-1", "192.0.2.7", "127.0.0.1", "::1", "localhost"] {
        assert_eq!(names.iter().filter(|found| *found == name).count(), 1, "{name}: {names:?}");
    }
}

#[test]
fn a_mapped_loopback_is_one() {
    for (address, loopback) in [
        ("127.0.0.1", true),
        ("127.8.0.1", true),
        ("::1", true),
        ("::ffff:127.0.0.1", true),
        ("0.0.0.0", false),
        ("::", false),
    ] {
        assert_eq!(is_loopback(address.parse().unwrap()), loopback, "{address}");
    }
}

async fn open(text: &str, root: &Path) -> Result<Site, NotOpened> {
    let node = node(text);
    Site::open(root, &node, node.console.as_ref().unwrap()).await
}

#[tokio::test]
async fn off_the_loopback_there_is_always_a_certificate_and_on_it_none() {
    let root = tempfile::tempdir().unwrap();
    let here = open("[console]\nlisten = \"127.0.0.1:0\"", root.path()).await.unwrap();
    assert!(here.certificates().is_none());
    assert!(!root.path().join(OWN_CERTIFICATE).exists());
    let everywhere = open("[console]\nlisten = \"0.0.0.0:0\"", root.path()).await.unwrap();
    let status = everywhere.console_address().status().unwrap();
    assert!(status.url.starts_with("https://"), "{status:?}");
    let again = open("[console]\nlisten = \"0.0.0.0:0\"", root.path()).await.unwrap();
    let again = again.console_address().status().unwrap();
    assert_eq!(again.fingerprint, status.fingerprint);
    assert!(again.certificate_ends.is_some());
}

#[tokio::test]
async fn without_a_place_to_keep_its_key_nobody_is_answered_off_the_loopback() {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("state"), "a file").unwrap();
    let error = open("[console]\nlisten = \"0.0.0.0:0\"", root.path()).await.unwrap_err();
    assert!(matches!(error, NotOpened::NoCertificate(_)), "{error}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_to_be() {
    let root = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = open(&format!("[console]\nlisten = \"{address}\""), root.path()).await.unwrap_err();
    assert!(matches!(error, NotOpened::InUse(found) if found == address), "{error}");
}
