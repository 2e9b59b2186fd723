//! Simulations with the recipes: of each one, whether its application is installed or not.

use std::process::Command;

use bellwether_tests::binary::bellwether;
use bellwether_tests::compiled;
use bellwether_tests::root::Root;

use super::application::{recipe, recipes};

const SCENARIO: &str = r#"
for = "12m"
start = "stopped"
[[event]]
at = "10s"
command = "start"
[[event]]
at = "1m"
command = "restart"
[[event]]
at = "6m"
command = "stop"
[[expect]]
at = "50s"
ready = true
[[expect]]
at = "5m50s"
ready = true
[[expect]]
at = "11m"
state = "stopped"
"#;

/// With the standard restart script.
#[test]
fn each_recipe_starts_and_stops() {
    let root = Root::default();
    root.write("scenarios/day.toml", SCENARIO);
    compiled::lay_into(root.path());
    for name in recipes() {
        root.write("modules/app.toml", recipe(&name));
        let output = Command::new(bellwether())
            .args(["--root", ".", "simulate", "app", "--scenario", "scenarios/day.toml"])
            .env_remove("BELLWETHER_ROOT")
            .current_dir(root.path())
            .output()
            .expect("the binary starts");
        let said = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
        assert!(output.status.success(), "{name}: {said}");
    }
}
