//! The examples of the reference are valid: each is read in a small file that has the required context.

use toml::{Table, Value};

use super::parse;
use crate::read::parse_node;
use crate::reference::reference;

const MODULE: &str = r#"
[commands]
start = { run = ["/app"], keep = true }
probe = { run = ["/probe"] }
announce-yes = { run = ["/yes"] }
announce-no = { run = ["/no"] }
"#;

/// The context of a key of a module's file.
fn beside_in_module(section: &str, key: &str) -> &'static str {
    match (section, key) {
        ("[[checker]]" | "[checker.grant]" | "[checker.limits]", _) => {
            "[[checker]]\nname = \"x\"\ncomponent = \"tcp\"\n"
        }
        ("[checker.process]", "arguments" | "pid-file" | "unit" | "kept") => {
            "[[checker]]\nname = \"x\"\nprocess = {}\n"
        }
        ("[checker.process]", _) => "[[checker]]\nname = \"x\"\nprocess = { name = \"nginx\" }\n",
        ("[commands.NAME]", "notify" | "watchdog") => {
            "[commands.NAME]\nrun = [\"/x\"]\nkeep = true\nnotify = true\n"
        }
        ("[commands.NAME]" | "[commands.NAME.limits]", _) => "[commands.NAME]\nrun = [\"/x\"]\n",
        _ => "",
    }
}

/// The context of a key of the node's file.
fn beside_in_node(section: &str, key: &str) -> &'static str {
    match (section, key) {
        ("[[agent-check]]", _) => "[[agent-check]]\nlisten = \"127.0.0.1:9\"\n",
        ("[console]", "certificate" | "key") => "[console]\ncertificate = \"c\"\nkey = \"k\"\n",
        ("[health]", "certificate" | "key") => "[health]\ncertificate = \"c\"\nkey = \"k\"\n",
        ("[[notify]]", _) => "[[notify]]\nname = \"x\"\ncommand = [\"/page\"]\n",
        ("[notify.email]", _) => {
            "[[notify]]\nname = \"x\"\n[notify.email]\nto = [\"a@example.org\"]\nfrom = \"b@example.org\"\n\
             server = \"smtp.example.org\"\nuser = \"x\"\npassword-file = \"p\"\n"
        }
        ("[notify.webhook]", "url-file") => "[[notify]]\nname = \"x\"\nwebhook = {}\n",
        ("[notify.webhook]", _) => {
            "[[notify]]\nname = \"x\"\nwebhook = { url = \"https://chat.example.org/\" }\n"
        }
        ("[telemetry]", _) => "[telemetry]\nendpoint = \"http://127.0.0.1:4318\"\n",
        ("[trust]", "require-signature") => {
            "[trust]\nkeys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]\n"
        }
        _ => "",
    }
}

/// Sets the keys in the table at `path`; for a list of tables, in the last one.
fn put(table: &mut Table, path: &[&str], example: Table) {
    let Some((first, rest)) = path.split_first() else {
        for (key, value) in example {
            table.insert(key, value);
        }
        return;
    };
    let inner = match table.entry(*first).or_insert_with(|| Value::Table(Table::new())) {
        Value::Array(items) => items.last_mut().expect("a list has a table"),
        other => other,
    };
    put(inner.as_table_mut().expect("it is a table"), rest, example);
}

fn assert_read(node: bool, section: &str, line: &str) {
    let example = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
    let example = example.trim_matches('`').replace("\\|", "|");
    let example: Table = example.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    let key = example.keys().next().cloned().unwrap_or_default();
    let beside = if node {
        beside_in_node(section, &key).to_owned()
    } else {
        format!("{MODULE}{}", beside_in_module(section, &key))
    };
    let mut file: Table = beside.parse().unwrap_or_else(|error| panic!("{beside}: {error}"));
    let path: Vec<&str> =
        section.trim_matches(['[', ']']).split('.').filter(|name| !name.is_empty()).collect();
    put(&mut file, &path, example);
    let text = toml::to_string(&file).unwrap();
    let mistakes = if node { parse_node(&text, "host").err() } else { parse(&text).err() };
    if let Some(mistakes) = mistakes {
        panic!("{line}\n\n{text}\n{}", mistakes.render(false));
    }
}

#[test]
fn the_reader_takes_every_example_of_the_reference() {
    let page = reference();
    let (mut node, mut section, mut read) = (false, "", 0);
    for line in page.lines() {
        if line.starts_with("## ") {
            (node, section) = (line.contains("bellwether.toml"), "");
        } else if let Some(title) = line.strip_prefix("### ") {
            section = title.trim_matches('`');
        } else if line.starts_with("| `") {
            assert_read(node, section, line);
            read += 1;
        }
    }
    assert!(read > 100, "only {read} examples were read");
}

#[test]
fn a_key_of_the_node_alone_stands_in_its_own_file() {
    let page = reference();
    let (module, node) = page.split_once("## The node's file").expect("both files are described");
    assert!(!module.contains("| `concurrent-runs` |"));
    assert!(node.contains("| `concurrent-runs` |"));
}
