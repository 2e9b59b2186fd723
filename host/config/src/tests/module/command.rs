//! `[commands]`

use bellwether_core::id::ModuleName;

use super::super::mistakes;
use super::PROCESS;
use crate::host_files::ThisHost;
use crate::read::parse_module;

#[test]
fn a_command_without_a_program() {
    insta::assert_snapshot!(mistakes(&format!("[commands]\nstop = {{ timeout = \"1s\" }}\n{PROCESS}")), @r#"
     × command `stop` has no `run`
      ╭─[modules/web.toml:2:1]
    2 │ stop = { timeout = "1s" }
      · ──┬─
      ·   ╰── expected `run = ["/path/to/program", "argument"]`
      ╰────
    "#);
}

fn real_host(text: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    let name = ModuleName::new("web").unwrap();
    let result = parse_module(name, "modules/web.toml", text, &ThisHost::new(root.path()));
    result.expect_err("the text should have a mistake").render(false)
}

#[test]
fn a_program_that_is_not_there() {
    let text = "[commands]\nstart = { run = [\"/no/such/app\"], keep = true }\nstop = { run = [\"no-such-program\"] }\n";
    insta::assert_snapshot!(real_host(text), @r#"
     × no such program: /no/such/app
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/no/such/app"], keep = true }
      ·                  ───────┬──────
      ·                         ╰── expected a file that exists
      ╰────
     help: install it, or correct the path (a relative one is relative to the root)
     × no such program: no-such-program
      ╭─[modules/web.toml:3:17]
    3 │ stop = { run = ["no-such-program"] }
      ·                 ────────┬────────
      ·                         ╰── expected one in a folder of the system, such as /usr/bin
      ╰────
     help: install it, or write its path (with a slash: ./NAME is relative to the root)
    "#);
}

#[test]
fn a_whole_command_line_as_the_program() {
    insta::assert_snapshot!(real_host("[commands]\nstart = { run = [\"/bin/sleep 10\"], keep = true }\n"), @r#"
     × no such program: /bin/sleep 10
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/bin/sleep 10"], keep = true }
      ·                  ───────┬───────
      ·                         ╰── expected a file that exists
      ╰────
     help: one text for each argument: ["/bin/sleep", "10"]
    "#);
}

#[test]
fn a_folder_as_the_program() {
    insta::assert_snapshot!(real_host("[commands]\nstart = { run = [\"/\"], dir = \"none\", keep = true }\n"), @r#"
     × not a program that can be run: /
      ╭─[modules/web.toml:2:18]
    2 │ start = { run = ["/"], dir = "none", keep = true }
      ·                  ─┬─
      ·                   ╰── expected an executable file
      ╰────
     help: `chmod +x` makes a file executable
     × no such folder: none
      ╭─[modules/web.toml:2:30]
    2 │ start = { run = ["/"], dir = "none", keep = true }
      ·                              ───┬──
      ·                                 ╰── expected a folder that exists, absolute or relative to the root
      ╰────
    "#);
}
