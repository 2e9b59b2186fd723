//! Syntax, keys and types.

use super::mistakes;

/// A checker without any errors.
const CHECKER: &str = "[[checker]]\nname = \"a\"\nprocess = { name = \"nginx\" }\n";

#[test]
fn an_empty_file_watches_nothing() {
    insta::assert_snapshot!(mistakes(""), @r#"
    × modules/web.toml: nothing would be monitored: the module has no checker
    help: expected a `[[checker]]`, or a command with `keep = true`; a kept command is monitored
          automatically: `[commands]` and `start = { run = ["/path/to/app"], keep = true }`
    "#);
}

#[test]
fn a_syntax_error_in_the_middle_leaves_the_rest_checked() {
    let text = format!("[restart]\nscrpt = \"command\"\nstart-within = \n\n{CHECKER}intreval = \"2s\"\n");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `[restart]` has no key `scrpt`
      ╭─[modules/web.toml:2:1]
    2 │ scrpt = "command"
      · ──┬──
      ·   ╰── did you mean `script`?
      ╰────
     × this is not a value
      ╭─[modules/web.toml:3:1]
    3 │ start-within = 
      · ───────┬──────
      ·        ╰── expected a value: a number, `true`, `false`, or a quoted string
      ╰────
     × `[[checker]]` has no key `intreval`
      ╭─[modules/web.toml:8:1]
    8 │ intreval = "2s"
      · ────┬───
      ·     ╰── did you mean `interval`?
      ╰────
    "#);
}

#[test]
fn a_quote_that_is_not_closed() {
    insta::assert_snapshot!(mistakes("[restart]\nscript = \"command\n"), @r#"
     × this string is not terminated, or contains invalid characters
      ╭─[modules/web.toml:2:1]
    2 │ script = "command
      · ────────┬────────
      ·         ╰── expected `"`
      ╰────
    "#);
}

#[test]
fn a_broken_header_does_not_put_its_keys_elsewhere() {
    let text =
        "[restart]\nscript = \"command\"\n\n[[checker]\nname = \"a\"\nprocess = { name = \"nginx\" }\n";
    insta::assert_snapshot!(mistakes(text), @r#"
     × unclosed array table
      ╭─[modules/web.toml:4:1]
    4 │ [[checker]
      · ─────┬────
      ·      ╰── expected `]`
      ╰────
    "#);
}

#[test]
fn a_key_that_stands_twice() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}name = \"b\"\n")), @r#"
     × duplicate key
      ╭─[modules/web.toml:4:1]
    4 │ name = "b"
      · ────
      ╰────
     help: remove one of the two; the first is further up
    "#);
}

#[test]
fn an_unknown_key_with_a_near_one() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}intreval = \"2s\"\n")), @r#"
     × `[[checker]]` has no key `intreval`
      ╭─[modules/web.toml:4:1]
    4 │ intreval = "2s"
      · ────┬───
      ·     ╰── did you mean `interval`?
      ╰────
    "#);
}

#[test]
fn an_unknown_key_without_a_near_one_lists_at_most_five() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}every = \"2s\"\n")), @r#"
     × `[[checker]]` has no key `every`
      ╭─[modules/web.toml:4:1]
    4 │ every = "2s"
      · ──┬──
      ·   ╰── expected `component`, `config`, `fall`, `grace`, `grant`, …
      ╰────
     help: the settings of a component go into `config = { … }`
    "#);
}

#[test]
fn an_unknown_key_in_the_second_checker_is_shown_there() {
    let text = format!("{CHECKER}\n[[checker]]\nname = \"b\"\nprocess = {{ name = \"x\", atleast = 1 }}\n");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `checker.process` has no key `atleast`
      ╭─[modules/web.toml:7:25]
    7 │ process = { name = "x", atleast = 1 }
      ·                         ───┬───
      ·                            ╰── did you mean `at-least`?
      ╰────
    "#);
}

#[test]
fn a_key_that_belongs_elsewhere() {
    insta::assert_snapshot!(mistakes(&format!("drain = \"5s\"\n{CHECKER}at-least = 2\n")), @r#"
     × this file has no key `drain`
      ╭─[modules/web.toml:1:1]
    1 │ drain = "5s"
      · ──┬──
      ·   ╰── `drain` belongs in `[health]`
      ╰────
     × `[[checker]]` has no key `at-least`
      ╭─[modules/web.toml:5:1]
    5 │ at-least = 2
      · ────┬───
      ·     ╰── `at-least` belongs in `checker.process`
      ╰────
    "#);
}

#[test]
fn an_unknown_table() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}[[checkers]]\nname = \"b\"\n[notify]\n")), @r#"
     × this file has no key `checkers`
      ╭─[modules/web.toml:4:3]
    4 │ [[checkers]]
      ·   ────┬───
      ·       ╰── did you mean `checker`?
      ╰────
     × this file has no key `notify`
      ╭─[modules/web.toml:6:2]
    6 │ [notify]
      ·  ───┬──
      ·     ╰── expected `checker`, `commands`, `health` or `restart`
      ╰────
    "#);
}

#[test]
fn a_duration_as_a_number() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}interval = 2\n")), @r#"
     × `interval` is a whole number
      ╭─[modules/web.toml:4:12]
    4 │ interval = 2
      ·            ┬
      ·            ╰── expected a duration such as "2s"
      ╰────
    "#);
}

#[test]
fn a_text_where_a_number_belongs() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = \"two\"\n")), @r#"
     × `rise` is a string
      ╭─[modules/web.toml:4:8]
    4 │ rise = "two"
      ·        ──┬──
      ·          ╰── expected a whole number
      ╰────
    "#);
}

#[test]
fn a_text_where_a_list_belongs() {
    insta::assert_snapshot!(mistakes("[commands]\nstart = { run = \"/bin/app -d\", keep = \"yes\" }\n"), @r#"
     × `run` is a string
      ╭─[modules/web.toml:2:17]
    2 │ start = { run = "/bin/app -d", keep = "yes" }
      ·                 ──────┬──────
      ·                       ╰── expected a list: `[…]`
      ╰────
     × `keep` is a string
      ╭─[modules/web.toml:2:39]
    2 │ start = { run = "/bin/app -d", keep = "yes" }
      ·                                       ──┬──
      ·                                         ╰── expected `true` or `false`
      ╰────
    "#);
}

#[test]
fn a_text_where_a_table_belongs() {
    insta::assert_snapshot!(mistakes("[[checker]]\nname = \"a\"\nprocess = \"nginx\"\n"), @r#"
     × `process` is a string
      ╭─[modules/web.toml:3:11]
    3 │ process = "nginx"
      ·           ───┬───
      ·              ╰── expected a table: `{ … }`
      ╰────
    "#);
}

#[test]
fn a_number_out_of_its_bounds() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = 0\nfall = 1000\n")), @r#"
     × `rise` is out of range
      ╭─[modules/web.toml:4:8]
    4 │ rise = 0
      ·        ┬
      ·        ╰── expected a number from 1 to 100
      ╰────
     × `fall` is out of range
      ╭─[modules/web.toml:5:8]
    5 │ fall = 1000
      ·        ──┬─
      ·          ╰── expected a number from 1 to 100
      ╰────
    "#);
}

#[test]
fn a_number_larger_than_any() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = 99999999999999999999\n")), @r#"
     × `rise` is out of range
      ╭─[modules/web.toml:4:8]
    4 │ rise = 99999999999999999999
      ·        ──────────┬─────────
      ·                  ╰── expected a number from 1 to 100
      ╰────
    "#);
}

#[test]
fn an_unknown_word_with_a_near_one() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}on-down = \"restrat\"\nunknown = \"alarm\"\n")), @r#"
     × `restrat` is not a valid value for `on-down`
      ╭─[modules/web.toml:4:11]
    4 │ on-down = "restrat"
      ·           ────┬────
      ·               ╰── expected `restart`, `stop`, `wait`, `out` or `notify`
      ╰────
     help: did you mean `restart`?
     × `alarm` is not a valid value for `unknown`
      ╭─[modules/web.toml:5:11]
    5 │ unknown = "alarm"
      ·           ───┬───
      ·              ╰── expected `ignore` or `fail`
      ╰────
    "#);
}

#[test]
fn a_word_of_another_type() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}on-down = true\n")), @r#"
     × `on-down` is `true`
      ╭─[modules/web.toml:4:11]
    4 │ on-down = true
      ·           ──┬─
      ·             ╰── expected `restart`, `stop`, `wait`, `out` or `notify`
      ╰────
    "#);
}

#[test]
fn an_empty_list() {
    insta::assert_snapshot!(mistakes("[commands]\nstart = { run = [], keep = true }\n"), @r#"
     × `run` is empty
      ╭─[modules/web.toml:2:17]
    2 │ start = { run = [], keep = true }
      ·                 ─┬
      ·                  ╰── expected at least 1 of them
      ╰────
    "#);
}

#[test]
fn a_very_long_line_is_shown_in_part() {
    let text = format!("[commands]\nstart = {{ run = [\"{}\"], keeep = true }}\n", "é".repeat(5000));
    let shown = mistakes(&text);
    assert!(shown.contains("keeep = true"), "{shown}");
    assert!(shown.len() < 2000, "{shown}");
}

#[test]
fn a_misspelled_table_beside_the_right_one_is_recognized() {
    let said = mistakes(&format!("[health]\ndrain = \"5s\"\n\n[helth]\ndrain = \"45s\"\n\n{CHECKER}"));
    assert!(said.contains("did you mean `health`?"), "{said}");
    assert!(said.contains("`health` exists already"), "{said}");
    let said = mistakes(&format!("{CHECKER}procesS = {{ name = \"apache2\" }}\n"));
    assert!(said.contains("did you mean `process`?"), "{said}");
    assert!(said.contains("remove one of the two") || said.contains("put the key there"), "{said}");
}
