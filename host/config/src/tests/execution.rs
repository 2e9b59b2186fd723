//! The user and the limits that a command runs with.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::{mistakes, parse};
use crate::effective::Origin;
use crate::host_files::ThisHost;
use crate::mistake::Mistakes;
use crate::read::parse_module;
use crate::spec::ModuleSpec;
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::execution::{Bound, Execution, Notifies, ResourceLimits};

const GUIDE: &str = include_str!("../../../../docs/commands.md");
const FULL: &str = r#"
[commands.start]
run = ["/app"]
keep = true
user = "postgres"
group = "db"
supplementary-groups = ["ssl-cert", "4711"]
env-file = "app.env"
umask = "027"
limits = { open-files = 65536, core = "infinity", memory = "8GiB", processes = 4096 }
nice = -5
oom-score = -900
capabilities = ["CAP_NET_BIND_SERVICE", "CAP_KILL"]
notify = true
watchdog = "1m30s"
"#;

fn start(text: &str) -> CommandSpec {
    let module = parse(text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    module.spec.commands["start"].clone()
}

/// On this host, with the given root.
fn on_this_host(root: &std::path::Path, text: &str) -> Result<ModuleSpec, Mistakes> {
    let name = "web".parse().unwrap();
    parse_module(name, "modules/web.toml", text, &ThisHost::new(root)).map(|module| module.spec)
}

#[test]
fn all_that_a_file_says_is_in_the_specification_and_is_shown() {
    let groups = vec!["ssl-cert".to_owned(), "4711".to_owned()];
    let expected = Execution {
        user: Some("postgres".to_owned()),
        group: Some("db".to_owned()),
        supplementary_groups: groups,
        env_file: Some("app.env".into()),
        umask: Some(0o27),
        limits: ResourceLimits {
            open_files: Some(65536),
            core: Some(Bound::Infinity),
            memory: Some(Bound::Bytes(8 << 30)),
            processes: Some(4096),
        },
        nice: Some(-5),
        oom_score: Some(-900),
        capabilities: Some(vec!["CAP_NET_BIND_SERVICE".to_owned(), "CAP_KILL".to_owned()]),
        notifies: Some(Notifies { watchdog: Some(Duration::from_secs(90)) }),
    };
    assert_eq!(start(FULL).execution, expected);
    let shown = parse(FULL).unwrap().effective();
    let shown: Vec<String> = shown
        .iter()
        .filter(|value| value.source == Origin::File)
        .filter_map(|value| Some(format!("{} = {}", value.key.strip_prefix("commands.start.")?, value.value)))
        .collect();
    let lines = [
        "run = [\"/app\"]",
        "keep = true",
        "user = \"postgres\"",
        "group = \"db\"",
        "supplementary-groups = [\"ssl-cert\", \"4711\"]",
        "env-file = \"app.env\"",
        "capabilities = [\"CAP_NET_BIND_SERVICE\", \"CAP_KILL\"]",
        "umask = \"0027\"",
        "nice = -5",
        "oom-score = -900",
        "notify = true",
        "watchdog = \"1m30s\"",
        "limits.open-files = 65536",
        "limits.core = \"infinity\"",
        "limits.memory = \"8GiB\"",
        "limits.processes = 4096",
    ];
    assert_eq!(shown, lines);
}

#[test]
fn a_file_that_says_nothing_of_it_is_what_it_was() {
    let plain = start("[commands]\nstart = { run = [\"/app\"], keep = true }\n");
    assert_eq!(plain.execution, Execution::default());
    assert!(!plain.execution.changes_the_process());
}

#[test]
fn what_this_host_does_not_have_is_refused_where_it_stands() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("bad.env"), "A=1\nexport B=2\n").unwrap();
    fs::set_permissions(root.path().join("bad.env"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(root.path().join("open.env"), "A=1\n").unwrap();
    fs::set_permissions(root.path().join("open.env"), fs::Permissions::from_mode(0o666)).unwrap();
    std::os::unix::fs::symlink("bad.env", root.path().join("link.env")).unwrap();
    let text = "[commands]\na = { run = [\"sh\"], keep = true, user = \"no-such-user\", group = \"no-such-group\" }\n\
        b = { run = [\"sh\"], env-file = \"none.env\" }\nc = { run = [\"sh\"], env-file = \"bad.env\" }\n\
        d = { run = [\"sh\"], env-file = \"open.env\" }\nl = { run = [\"sh\"], env-file = \"link.env\" }\ne = { run = [\"sh\"], user = \"4000000\" }\n";
    insta::assert_snapshot!(on_this_host(root.path(), text).unwrap_err().render(false));
}

#[test]
fn values_that_make_no_sense_are_refused_where_they_stand() {
    let text = "[commands.start]\nrun = [\"/app\"]\nkeep = true\numask = \"0888\"\nnice = 20\noom-score = -1001\n\
        limits = { open-files = 3, core = \"lots\", memory = \"1kB\", processes = 0, files = 1 }\n\
        supplementary-groups = \"a\"\nenv-file = \"\"\n\
        capabilities = [\"CAP_KILLS\", \"net_raw\"]\nwatchdog = \"10ms\"\n\
        [commands.check]\nrun = [\"/check\"]\nnotify = true\n";
    insta::assert_snapshot!(mistakes(text));
}

#[test]
fn the_examples_of_the_guide_are_right() {
    let examples: Vec<&str> = GUIDE.split("```toml\n").skip(1).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let example = example.split("```").next().unwrap_or_default();
        assert!(start(example).keep, "{example}");
    }
}

#[test]
fn the_recipes_are_right() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/recipes");
    let mut recipes = 0;
    for recipe in fs::read_dir(folder).unwrap() {
        let path = recipe.unwrap().path();
        assert!(start(&fs::read_to_string(&path).unwrap()).keep, "{}", path.display());
        recipes += 1;
    }
    assert!(recipes > 0);
}
