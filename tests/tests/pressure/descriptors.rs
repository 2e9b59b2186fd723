//! There are no file descriptors left.

use std::fs;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bellwether_tests::answers::{Event, Verdict};
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::eventually;
use bellwether_tests::root::Root;
use bellwether_tests::usage::Usage;
use rustix::process::Resource;

use super::scene::Scene;

/// The daemon's initial limit: fewer than its hard limit.
const FEW: u64 = 2048;
/// More than the limit leaves, fewer than the socket's queue holds.
const CLIENTS: usize = 50;

#[test]
fn without_a_descriptor_health_answers_and_the_application_is_restarted() {
    let few = Conditions { open_files: Some(FEW), ..Conditions::default() };
    let mut scene = Scene::begin_on(Root::default(), few, "");
    assert!(open_files(scene.daemon.pid()) > FEW, "the daemon has raised its limit");
    assert_eq!(open_files(scene.application()), FEW, "the application has the one that is usual here");

    let limit = Usage::of(scene.daemon.pid()).descriptors + 20;
    scene.limit(Resource::Nofile, u64::try_from(limit).ok());
    // A client that follows the events holds a descriptor of the daemon.
    let clients: Vec<UnixStream> = (0..CLIENTS).map(|_| follower(&scene)).collect();
    eventually("no descriptor is left", || {
        (Usage::of(scene.daemon.pid()).descriptors >= limit).then_some(())
    });
    let before = scene.kill();
    scene.another_than(before);
    scene.serves();
    // Accepting is retried repeatedly, but not in a busy loop.
    let spent = processor_time(scene.daemon.pid());
    std::thread::sleep(Duration::from_secs(2));
    let spent = processor_time(scene.daemon.pid()).saturating_sub(spent);
    assert!(spent < Duration::from_secs(1), "{spent:?} in two seconds of waiting");

    drop(clients);
    scene.daemon.until_verdict("web", "home", Verdict::Up);
    assert_eq!(scene.restarts(), 1, "{:#?}", scene.daemon.events());
    let events = scene.daemon.events();
    let told =
        |event: &Event| event.text.contains("`home`") && event.text.contains("no file descriptor left");
    assert!(events.iter().any(told), "{events:#?}");
    let down = |event: &Event| event.checker.as_deref() == Some("home") && event.is_down();
    assert!(!events.iter().any(down), "{events:#?}");
    scene.answered("no descriptor", &[200, 503]);
}

fn follower(scene: &Scene) -> UnixStream {
    let mut client = UnixStream::connect(scene.root.path().join("bellwether.sock")).expect("it listens");
    client.write_all(b"GET /api/v1/events/stream HTTP/1.1\r\nHost: test\r\n\r\n").expect("it can be asked");
    client
}

/// The soft limit of a process.
fn open_files(pid: u32) -> u64 {
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it is ours");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("it has one");
    line.split_whitespace().next().and_then(|soft| soft.parse().ok()).expect("a number")
}

/// The processor time of a process.
pub(super) fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let fields = stat.rsplit(") ").next().expect("a name").split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}
