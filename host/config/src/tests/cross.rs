//! Checks across files and components.

use std::fs;

use bellwether_core::id::ComponentName;

use crate::cross_check::{ComponentKind, check_module, check_root};
use crate::read::read_root;

const HTTP: &str = r#"{
    "type": "object",
    "additionalProperties": false,
    "required": ["url"],
    "properties": { "url": { "type": "string" }, "expect-status": { "type": "integer", "minimum": 100 } }
}"#;

fn known(kind: ComponentKind, name: &ComponentName) -> Option<String> {
    match (kind, name.as_str()) {
        (ComponentKind::Checker, "http") => Some(HTTP.to_owned()),
        (ComponentKind::Checker, "broken") => Some("{ \"type\": 7 }".to_owned()),
        (ComponentKind::RestartScript, "command") => Some(String::new()),
        _ => None,
    }
}

fn mistakes(text: &str) -> String {
    let module = super::parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    check_module(&module, &known).expect_err("the text should have a mistake").render(false)
}

#[test]
fn the_example_of_the_design_fits() {
    assert_eq!(check_module(&super::parse(super::GOOD).unwrap(), &known), Ok(()));
}

#[test]
fn components_that_are_not_there() {
    let text = "[restart]\nscript = \"comand\"\n[[checker]]\nname = \"a\"\ncomponent = \"htpp\"\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × no restart script `comand`
      ╭─[modules/web.toml:2:10]
    2 │ script = "comand"
      ·          ────┬───
      ·              ╰── expected the name of a component
      ╰────
     help: there is no file restart-scripts/comand.wasm, and no built-in restart script of this name
     × no checker `htpp`
      ╭─[modules/web.toml:5:13]
    5 │ component = "htpp"
      ·             ───┬──
      ·                ╰── expected the name of a component
      ╰────
     help: there is no file checkers/htpp.wasm, and no built-in checker of this name
    "#);
}

#[test]
fn config_that_does_not_fit_the_components_schema_is_shown_where_it_stands() {
    let text =
        "[[checker]]\nname = \"a\"\ncomponent = \"http\"\nconfig = { urll = \"x\", expect-status = 20 }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `http` needs `url` in `config`
      ╭─[modules/web.toml:4:10]
    4 │ config = { urll = "x", expect-status = 20 }
      ·          ─────────────────┬────────────────
      ·                           ╰── expected `url`
      ╰────
     × `http` takes no `urll` in `config`
      ╭─[modules/web.toml:4:12]
    4 │ config = { urll = "x", expect-status = 20 }
      ·            ──┬─
      ·              ╰── did you mean `url`?
      ╰────
     × `http` cannot take the number `20` as `config.expect-status`
      ╭─[modules/web.toml:4:40]
    4 │ config = { urll = "x", expect-status = 20 }
      ·                                        ─┬
      ·                                         ╰── expected a whole number of at least 100
      ╰────
    "#);
}

#[test]
fn config_in_a_table_of_its_own_is_found_too() {
    let text = "[[checker]]\nname = \"a\"\ncomponent = \"http\"\n\n[checker.config]\nurl = 7\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `http` cannot take the number `7` as `config.url`
      ╭─[modules/web.toml:6:7]
    6 │ url = 7
      ·       ┬
      ·       ╰── expected a text
      ╰────
    "#);
}

#[test]
fn config_for_a_component_that_takes_none() {
    let text = "[restart]\nconfig = { a = 1 }\n[[checker]]\nname = \"a\"\nprocess = { name = \"x\" }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × `command` takes no config
      ╭─[modules/web.toml:2:10]
    2 │ config = { a = 1 }
      ·          ────┬────
      ·              ╰── expected no `config`
      ╰────
    "#);
}

#[test]
fn a_component_whose_schema_is_none() {
    insta::assert_snapshot!(mistakes("[[checker]]\nname = \"a\"\ncomponent = \"broken\"\n"), @r#"
     × the checker `broken` has an invalid config schema: its schema is not one: 7 is not valid under
     │ any of the schemas listed in the 'anyOf' keyword
      ╭─[modules/web.toml:3:13]
    3 │ component = "broken"
      ·             ────────
      ╰────
     help: report this to the component's author
    "#);
}

#[test]
fn an_agent_check_for_a_module_that_is_not_there() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("modules")).unwrap();
    fs::write(root.path().join("modules/web.toml"), "broken").unwrap();
    let node = "[[agent-check]]\nlisten = \"127.0.0.1:1\"\nmodule = \"web\"\n[[agent-check]]\nlisten = \"127.0.0.1:2\"\nmodule = \"wbe\"\n";
    fs::write(root.path().join("bellwether.toml"), node).unwrap();
    let found = check_root(&read_root(root.path()), &known);
    assert_eq!(found.len(), 1);
    insta::assert_snapshot!(found[0].render(false), @r#"
     × no module `wbe`
      ╭─[bellwether.toml:6:10]
    6 │ module = "wbe"
      ·          ──┬──
      ·            ╰── expected the name of a file `modules/wbe.toml`
      ╰────
     help: did you mean `web`?
    "#);
}
