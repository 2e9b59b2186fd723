//! Syntax, keys and types.

use super::mistakes;

/// A checker that would be right.
const CHECKER: &str = "[[checker]]\nname = \"a\"\nprocess = { name = \"nginx\" }\n";

#[test]
fn an_empty_file_watches_nothing() {
    insta::assert_snapshot!(mistakes(""), @"");
}

#[test]
fn a_syntax_error_in_the_middle_leaves_the_rest_checked() {
    let text = format!("[restart]\nscrpt = \"command\"\nstart-within = \n\n{CHECKER}intreval = \"2s\"\n");
    insta::assert_snapshot!(mistakes(&text), @"");
}

#[test]
fn a_quote_that_is_not_closed() {
    insta::assert_snapshot!(mistakes("[restart]\nscript = \"command\n"), @"");
}

#[test]
fn a_broken_header_does_not_put_its_keys_elsewhere() {
    let text = "[restart]\nscript = \"command\"\n\n[[checker]\nname = \"a\"\nprocess = { name = \"nginx\" }\n";
    insta::assert_snapshot!(mistakes(text), @"");
}

#[test]
fn a_key_that_stands_twice() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}name = \"b\"\n")), @"");
}

#[test]
fn an_unknown_key_with_a_near_one() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}intreval = \"2s\"\n")), @"");
}

#[test]
fn an_unknown_key_without_a_near_one_lists_at_most_five() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}every = \"2s\"\n")), @"");
}

#[test]
fn an_unknown_key_in_the_second_checker_is_shown_there() {
    let text = format!("{CHECKER}\n[[checker]]\nname = \"b\"\nprocess = {{ name = \"x\", atleast = 1 }}\n");
    insta::assert_snapshot!(mistakes(&text), @"");
}

#[test]
fn a_key_that_belongs_elsewhere() {
    insta::assert_snapshot!(mistakes(&format!("drain = \"5s\"\n{CHECKER}at-least = 2\n")), @"");
}

#[test]
fn an_unknown_table() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}[[checkers]]\nname = \"b\"\n[notify]\n")), @"");
}

#[test]
fn a_duration_as_a_number() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}interval = 2\n")), @"");
}

#[test]
fn a_text_where_a_number_belongs() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = \"two\"\n")), @"");
}

#[test]
fn a_text_where_a_list_belongs() {
    insta::assert_snapshot!(mistakes("[commands]\nstart = { run = \"/bin/app -d\", keep = \"yes\" }\n"), @"");
}

#[test]
fn a_text_where_a_table_belongs() {
    insta::assert_snapshot!(mistakes("[[checker]]\nname = \"a\"\nprocess = \"nginx\"\n"), @"");
}

#[test]
fn a_number_out_of_its_bounds() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = 0\nfall = 1000\n")), @"");
}

#[test]
fn a_number_larger_than_any() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}rise = 99999999999999999999\n")), @"");
}

#[test]
fn an_unknown_word_with_a_near_one() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}on-down = \"restrat\"\nunknown = \"alarm\"\n")), @"");
}

#[test]
fn a_word_of_another_type() {
    insta::assert_snapshot!(mistakes(&format!("{CHECKER}on-down = true\n")), @"");
}

#[test]
fn an_empty_list() {
    insta::assert_snapshot!(mistakes("[commands]\nstart = { run = [], keep = true }\n"), @"");
}

#[test]
fn a_very_long_line_is_shown_in_part() {
    let text = format!("[commands]\nstart = {{ run = [\"{}\"], keeep = true }}\n", "é".repeat(5000));
    let shown = mistakes(&text);
    assert!(shown.contains("keeep = true"), "{shown}");
    assert!(shown.len() < 2000, "{shown}");
}
