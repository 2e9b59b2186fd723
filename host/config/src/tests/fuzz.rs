//! Any text is a specification or a list of errors, each at a position inside the file.

use super::{GOOD, parse};
use crate::mistake::Mistakes;
use crate::read::parse_node;

/// Every error names the file; its position is inside the file.
fn within(mistakes: &Mistakes, file: &str, text: &str) {
    let lines = text.split('\n').count();
    assert!(mistakes.iter().count() > 0);
    for mistake in mistakes {
        let shown = mistake.to_string();
        let rest = shown.strip_prefix(file).unwrap_or_else(|| panic!("{shown}"));
        let mut numbers =
            rest.trim_start_matches(':').split(':').map_while(|part| part.parse::<usize>().ok());
        // An error of the file as a whole has no position.
        if let (Some(line), Some(column)) = (numbers.next(), numbers.next()) {
            let length =
                text.split('\n').nth(line - 1).unwrap_or_else(|| panic!("{shown}: {lines} lines")).len();
            assert!((1..=length + 1).contains(&column), "{shown}: the line has {length} bytes");
        }
    }
    assert!(!mistakes.render(false).is_empty() && !mistakes.render(true).is_empty());
}

fn module_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(mistakes) = parse(&text) {
        within(&mistakes, "modules/web.toml", &text);
    }
}

fn node_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Err(mistakes) = parse_node(&text, "node-1") {
        within(&mistakes, "bellwether.toml", &text);
    }
}

#[test]
fn any_module_file_is_understood_or_its_mistakes_are_shown_in_place() {
    let grants = GOOD.replace(
        "grant = { connect = [\"127.0.0.1:8080\"] }",
        "limits = { memory = \"8MiB\", cpu = \"1s\", host-calls = 1000 }\n\
         grant = { connect = [\"10.0.0.0/8:443\", \"udp:[::1]:53\"], resolve = [\"*.internal\"], \
         http = [\"GET,POST http://a:80\"], read = [\"/etc/app\"], env = [\"LANG\"], \
         secrets = { a = \"/etc/a\" }, processes = true, ping = [\"10.0.0.1\"] }",
    );
    bellwether_testing::fuzz::run("module files", &[GOOD.into(), grants.into(), Vec::new()], module_file);
}

#[test]
fn any_node_file_is_understood_or_its_mistakes_are_shown_in_place() {
    let seed = "name = \"node-1\"\n[health]\nlisten = \"127.0.0.1:8100\"\n\
                [[agent-check]]\nlisten = \"127.0.0.1:8101\"\nmodule = \"web\"\n\
                [limits]\nmemory = \"64MiB\"\nconcurrent-runs = 8\n\
                [trust]\nrequire-signature = false\nkeys = []\n\
                [farm]\nlisten = \"0.0.0.0:9014\"\naddress = \"[::1]:9014\"\nzone = \"a\"\n";
    bellwether_testing::fuzz::run("node files", &[seed.into(), Vec::new()], node_file);
}
