//! The reported history of an application matches what happened: how it ended, the effect of an edit, and changes
//! while no daemon ran.

use bellwether_tests::answers::{Event, Module, Outcome, Verdict};
use bellwether_tests::binary::bellwether;
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::http;
use bellwether_tests::invocation::bellwether_ends;
use bellwether_tests::process::{is_alive, signal};
use bellwether_tests::root::{Root, free_address};
use bellwether_tests::web::Web;
use rustix::process::Signal;

/// A daemon with the module `web`, which serves.
fn serving() -> (Root, Web, Daemon) {
    let root = Root::default();
    let web = Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    (root, web, daemon)
}

/// A checker of an address without a listener.
fn wrong_page(on_down: &str) -> String {
    let address = free_address();
    format!(
        "[[checker]]\nname = \"extra\"\ncomponent = \"http\"\ninterval = \"100ms\"\ntimeout = \"10s\"\nfall = 2\n\
         rise = 1\ngrace = \"0s\"\non-down = \"{on_down}\"\nconfig = {{ url = \"http://{address}/\" }}\n\
         grant = {{ connect = [\"{address}\"] }}\n"
    )
}

/// The module's records, from this number on.
fn since(daemon: &Daemon, seq: u64) -> Vec<Event> {
    daemon.events().into_iter().filter(|event| event.seq > seq && event.module.is_some()).collect()
}

fn last_seq(daemon: &Daemon) -> u64 {
    daemon.events().last().map_or(0, |event| event.seq)
}

fn until_told(daemon: &Daemon, words: &str) -> Event {
    eventually(words, || daemon.events().into_iter().find(|event| event.text.contains(words)))
}

/// An application that ends in the way that is written to the file `end`, with two processes that write.
fn ending(root: &Root) -> Daemon {
    root.write("app.sh", "echo 'LOG:  ready to serve'\nwhile ! [ -s end ]; do sleep 0.05; done\n. ./end\n");
    root.write(
        "modules/app.toml",
        "[restart]\nbackoff = { first = \"10ms\", max = \"20ms\" }\nbudget = { restarts = 50, within = \"1h\" }\n\
         [commands]\nstart = { run = [\"/bin/sh\", \"app.sh\"], keep = true, timeout = \"30s\" }\n",
    );
    Daemon::run(root.path(), root.health)
}

fn ends_with(root: &Root, daemon: &Daemon, script: &str, words: &str) -> Event {
    daemon.until_ready("app");
    let before = last_seq(daemon);
    root.write("end", format!("rm end\n{script}\n"));
    eventually(words, || {
        since(daemon, before).into_iter().find(|event| event.kind == "incident" && event.text.contains(words))
    })
}

#[test]
fn an_exit_code_of_0_that_nobody_asked_for_is_an_incident_and_told_as_one() {
    let root = Root::default();
    let daemon = ending(&root);
    ends_with(
        &root,
        &daemon,
        "exit 0",
        "ended by itself with exit code 0; its log says: LOG: ready to serve",
    );
    daemon.until_ready("app");
    assert!(daemon.module("app").restarts >= 1, "it is restarted, and counted");
    // An exit on request is not an incident.
    let before = last_seq(&daemon);
    root.write("end", "");
    daemon.tell(&["stop", "app", "--wait"]);
    let told: Vec<Event> = since(&daemon, before);
    assert!(!told.iter().any(|event| event.text.contains("by itself")), "{told:#?}");
}

#[test]
fn what_the_log_says_of_an_end_is_its_error_and_not_its_last_line() {
    let root = Root::default();
    let daemon = ending(&root);
    ends_with(
        &root,
        &daemon,
        "echo 'FATAL:  the lock is taken'\necho 'HINT:  Is another one running?'\n\
         /bin/sh -c 'echo \"LOG:  a worker is done\"'\nexit 1",
        "exited with 1; its log says: FATAL: the lock is taken; HINT: Is another one running?",
    );
    // Output from before this start is not quoted.
    let event = ends_with(&root, &daemon, "exit 3", "exited with 3");
    assert!(event.text.ends_with("; its log says: LOG: ready to serve"), "{event:?}");
}

/// The application serves as before, and the edit is reported.
fn serves_as_before(daemon: &Daemon, pid: u32) {
    until_told(daemon, "this would take the module down");
    // It continues to fail, more often than its threshold.
    let at = |daemon: &Daemon| daemon.last("web", "extra").map(|last| last.at);
    for _ in 0..5 {
        let before = at(daemon);
        eventually("it has run again", || (at(daemon) != before).then_some(()));
    }
    let module = daemon.until_ready("web");
    assert_eq!((module.restarts, module.pids()), (0, vec![pid]), "{module:#?}");
    assert_eq!(daemon.health("web").status, 200);
    assert_ne!(daemon.checker("web", "extra").verdict, Verdict::Down);
}

fn pid(daemon: &Daemon) -> u32 {
    *daemon.processes("web").first().expect("it has a process")
}

#[test]
fn a_new_checker_that_was_never_up_leaves_an_application_that_serves_alone() {
    for on_down in ["restart", "stop", "wait", "out"] {
        let (root, web, daemon) = serving();
        let pid = pid(&daemon);
        web.write(&root, &wrong_page(on_down));
        daemon.until_outcome("web", "extra", Outcome::Fail);
        serves_as_before(&daemon, pid);
        let words = "on probation: has not been up yet";
        assert!(daemon.module("web").reason.contains(words), "{}", daemon.module("web").reason);
        for command in [["status", "web"], ["why", "web"]] {
            let said = daemon.tell(&command);
            assert!(said.contains(words), "{command:?}: {said}");
        }
        assert!(daemon.tell(&["why", "web"]).contains("bellwether confirm web"));
        let report = http::get(root.health, "/health").expect("it answers");
        assert_eq!(report.status, 200, "{on_down}");
    }
}

#[test]
fn a_checker_on_probation_acts_once_a_person_has_confirmed_it() {
    let (root, web, daemon) = serving();
    let pid = pid(&daemon);
    assert!(daemon.tell(&["confirm", "web"]).contains("no checker is on probation"));
    web.write(&root, &wrong_page("out"));
    daemon.until_outcome("web", "extra", Outcome::Fail);
    serves_as_before(&daemon, pid);
    daemon.tell(&["confirm", "web"]);
    daemon.until_verdict("web", "extra", Verdict::Down);
    eventually("health says no", || (daemon.health("web").status == 503).then_some(()));
}

#[test]
fn a_probation_outlives_the_daemon_and_an_edit_without_a_daemon_is_one() {
    let (root, web, mut daemon) = serving();
    let pid = pid(&daemon);
    daemon.end();
    web.write(&root, &wrong_page("restart"));
    daemon.run_again();
    serves_as_before(&daemon, pid);
    daemon.kill();
    daemon.run_again();
    daemon.until_outcome("web", "extra", Outcome::Fail);
    serves_as_before(&daemon, pid);
}

#[test]
fn validate_says_beforehand_what_an_edit_would_do() {
    let (root, web, _daemon) = serving();
    let draft = Root::default();
    let validate = |json: bool| {
        let mut arguments =
            vec!["validate", "--root", draft.path().to_str().expect("UTF-8"), "--against-running"];
        arguments.push(root.path().to_str().expect("UTF-8"));
        arguments.extend(json.then_some("--json"));
        bellwether_ends(&arguments)
    };
    web.write(&draft, "");
    let same = validate(false);
    assert_eq!(same.code, Some(0), "{same:?}");
    assert!(!same.out.contains("is new") && !same.out.contains("is changed"), "{same:?}");
    web.write(&draft, &wrong_page("restart"));
    let wrong = validate(false);
    assert_eq!(wrong.code, Some(5), "{wrong:?}");
    for words in
        ["checker `extra` is new", "this would take the module down: the application would be restarted"]
    {
        assert!(wrong.out.contains(words), "{words}: {wrong:?}");
    }
    let json: serde_json::Value = serde_json::from_str(&validate(true).out).expect("JSON");
    assert_eq!((&json["edits"][0]["checker"], &json["edits"][0]["harms"]), (&"extra".into(), &true.into()));
    let program = bellwether().file_name().expect("a name").to_string_lossy().into_owned();
    web.write(&draft, &format!("[[checker]]\nname = \"named\"\nprocess = {{ name = \"{program}\" }}\n"));
    let right = validate(false);
    assert_eq!(right.code, Some(0), "{right:?}");
    assert!(right.out.contains("checker `named` is new; one run of it just now says"), "{right:?}");
    // Without a daemon there is nothing to compare with.
    let none =
        bellwether_ends(&["validate", "--root", draft.path().to_str().expect("UTF-8"), "--against-running"]);
    assert_eq!(none.code, Some(4), "{none:?}");
}

#[test]
fn more_processes_than_a_kept_command_can_be_are_refused() {
    let root = Root::default();
    root.write(
        "modules/app.toml",
        "[commands]\nstart = { run = [\"/bin/true\"], keep = true }\n[[checker]]\nname = \"app\"\n\
         process = { kept = \"start\", at-least = 3 }\n",
    );
    let validate = bellwether_ends(&["validate", "--root", root.path().to_str().expect("UTF-8")]);
    assert_eq!(validate.code, Some(5), "{validate:?}");
    for words in
        ["modules/app.toml:5:", "the kept command `start` is one process: there are never 3", "expected 1"]
    {
        assert!(validate.out.contains(words), "{words}: {validate:?}");
    }
}

/// How a daemon ends.
type End = fn(&mut Daemon);
const ENDINGS: [(&str, End); 2] = [("SIGTERM", Daemon::end), ("kill -9", Daemon::kill)];

#[test]
fn a_death_while_no_daemon_ran_is_an_incident_and_one_counted_restart() {
    let (_root, _web, mut daemon) = serving();
    for (number, (how, end)) in ENDINGS.into_iter().enumerate() {
        let (old, before) = (pid(&daemon), last_seq(&daemon));
        end(&mut daemon);
        signal(old, Signal::KILL);
        eventually("the application has ended", || (!is_alive(old)).then_some(()));
        daemon.run_again();
        let module: Module =
            daemon.until("web", "ready again", |module| module.ready && module.pids() != [old]);
        assert_eq!(module.restarts, number as u64 + 1, "{how}: {module:#?}");
        let told = since(&daemon, before);
        let incidents: Vec<&Event> = told.iter().filter(|event| event.kind == "incident").collect();
        assert_eq!(incidents.len(), 1, "{how}: {told:#?}");
        let words = format!("(pid {old}) ended while Bellwether was not running");
        assert!(incidents[0].text.contains(&words), "{how}: {incidents:?}");
        assert!(!told.iter().any(|event| event.text.contains("the module was loaded")), "{how}: {told:#?}");
    }
}

#[test]
fn an_application_that_is_found_again_is_told_so() {
    let (_root, _web, mut daemon) = serving();
    let pid = pid(&daemon);
    for (how, end) in ENDINGS {
        let before = last_seq(&daemon);
        end(&mut daemon);
        daemon.run_again();
        daemon.until_ready("web");
        let told = since(&daemon, before);
        let again = format!("the application was found again (pid {pid}, running for ");
        assert!(told.iter().any(|event| event.text.contains(&again)), "{how}: {told:#?}");
        assert!(!told.iter().any(|event| event.kind == "state"), "{how}: it was up all along: {told:#?}");
        assert!(
            !told.iter().any(|event| event.kind == "incident" || event.text.contains("was loaded")),
            "{how}"
        );
        assert_eq!(daemon.module("web").restarts, 0);
    }
}
