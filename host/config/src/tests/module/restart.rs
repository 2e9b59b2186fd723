//! `[restart]`

use super::super::mistakes;
use super::{PROCESS, module};

#[test]
fn a_backoff_that_shrinks() {
    let text = format!("[restart]\nbackoff = {{ first = \"10s\", max = \"5s\" }}\n{PROCESS}");
    insta::assert_snapshot!(mistakes(&text), @r#"
     × `max` is shorter than `first`
      ╭─[modules/web.toml:2:34]
    2 │ backoff = { first = "10s", max = "5s" }
      ·                                  ──┬─
      ·                                    ╰── expected the longest delay
      ╰────
     help: the delay begins with `first` and doubles with each attempt up to `max`
    "#);
}

#[test]
fn a_start_gets_the_time_that_the_file_gives_it() {
    let restart = |head: &str, grace: &str| {
        let text = format!("{head}\n[[checker]]\nname = \"a\"\ncomponent = \"http\"\n{grace}\n");
        let restart = module(&text).restart;
        (restart.start_within.as_secs(), restart.appear_within.as_secs(), restart.keep_trying.as_secs())
    };
    let day = 86_400;
    assert_eq!(restart("", ""), (900, 90, day));
    assert_eq!(restart("", "grace = \"1h\""), (3600, 90, day), "no start ends within a grace");
    assert_eq!(restart("[restart]\nstart-within = \"20s\"", "grace = \"1h\""), (20, 20, day), "as it says");
    assert_eq!(restart("[restart]\nstart-within = \"2h\"", ""), (7200, 7200, day));
    assert_eq!(restart("[restart]\nbudget = { restarts = 5 }", ""), (900, 90, 0), "each try counts");
    assert_eq!(restart("[restart]\nkeep-trying = \"1h\"\nbudget = {}", ""), (900, 90, 3600));
}
