use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use bellwether_core::id::CommandName;
use bellwether_core::moment::Moment;

use super::*;
use crate::process::kept_table::Origin;
use crate::process::table::Image;

/// Kills its child even if a test fails.
struct Guard(Child);
impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn sleeper() -> Guard {
    Guard(Command::new("/bin/sleep").arg("600").spawn().unwrap())
}

fn process(comm: &str, image: Image) -> Process {
    let stat = Stat { comm: comm.to_owned(), ..Stat::read(std::process::id()).unwrap() };
    Process { stat, image: Arc::new(image) }
}

fn finder(find: Find) -> Finder {
    Finder {
        find,
        containers: false,
        of: Of::Host,
        known: None,
        module: ModuleName::new("web").unwrap(),
        table: ProcessTable::default(),
        kept: KeptTable::default(),
    }
}

#[test]
fn a_name_is_that_of_the_process_of_its_program_or_as_it_was_called() {
    let image = Image { program: "python3.11".into(), called: "python3".into(), ..Image::default() };
    let script = process("serve", image);
    for (name, found) in
        [("serve", true), ("python3.11", true), ("python3", true), ("python", false), ("", false)]
    {
        assert_eq!(matches(&Find::Name(name.to_owned()), &script), found, "{name}");
    }
}

#[test]
fn a_name_longer_than_the_kernel_keeps_is_found_by_its_program() {
    let image = Image { program: "a-very-long-program-name".into(), ..Image::default() };
    let long = process("a-very-long-pro", image);
    assert!(matches(&Find::Name("a-very-long-program-name".into()), &long));
    assert!(!matches(&Find::Name("a-very-long-program-other".into()), &long));
}

#[test]
fn arguments_are_searched_as_one_line_and_kernel_threads_have_none() {
    let find = Find::Arguments(regex::Regex::new("^java .*-Dapp=shop( |$)").unwrap());
    let image = Image { command_line: "java -Xmx1g -Dapp=shop Main".into(), ..Image::default() };
    let mut java = process("java", image);
    assert!(matches(&find, &java));
    java.stat.kernel_thread = true;
    assert!(!matches(&find, &java));
    let anything = Find::Arguments(regex::Regex::new("").unwrap());
    assert!(!matches(&anything, &process("kworker/0:1", Image::default())));
}

#[test]
fn a_unit_is_a_part_of_the_control_groups_path() {
    let v2 = "0::/system.slice/nginx.service\n";
    let v1 = "9:name=systemd:/system.slice/nginx.service/worker\n0::/\n";
    for (groups, unit, found) in [
        (v2, "nginx.service", true),
        (v2, "nginx", true),
        (v1, "nginx.service", true),
        (v2, "ginx.service", false),
        (v2, "system.slice", true),
        ("0::/user.slice/my-nginx.service-x\n", "nginx.service", false),
        ("", "nginx.service", false),
    ] {
        assert_eq!(in_unit(groups, unit), found, "{unit} in {groups}");
    }
}

#[test]
fn what_is_called_alike_and_is_no_part_of_the_application_does_not_count() {
    let finder = finder(Find::Name("shop".into()));
    let with = |change: &dyn Fn(&mut Process)| {
        let mut shop = process("shop", Image::default());
        change(&mut shop);
        finder.counts(&shop)
    };
    assert!(with(&|_| ()));
    let inner = |shop: &mut Process| {
        shop.image = Arc::new(Image { inner_pid: Some(7), ..Image::default() });
    };
    assert!(!with(&inner), "of a container");
    let containers = Finder { containers: true, ..finder.clone() };
    let mut shop = process("shop", Image::default());
    inner(&mut shop);
    assert!(containers.counts(&shop));
    let own = Stat::read(std::process::id()).unwrap().session;
    assert!(!with(&|shop| (shop.stat.foreground, shop.stat.session) = (true, own + 1)), "at a terminal");
    assert!(with(&|shop| (shop.stat.foreground, shop.stat.session) = (true, own)), "at our terminal");
    assert!(with(&|shop| (shop.stat.foreground, shop.stat.session) = (false, own + 1)));
    let errand = crate::process::errands::Errand::new(u32::MAX - 1);
    assert!(!with(&|shop| shop.stat.pid = u32::MAX - 1), "a command of ours");
    drop(errand);
}

#[tokio::test]
async fn a_pid_file_is_followed() {
    let child = sleeper();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{}", child.0.id()).unwrap();
    let finder = finder(Find::PidFile(file.path().to_owned()));
    let found = finder.look(Duration::ZERO).await.unwrap();
    assert_eq!(found.processes[0].pid, child.0.id());
}

#[tokio::test]
async fn a_zombie_is_not_found_and_a_living_process_is() {
    let marker = format!("marker-of-{}", std::process::id());
    let mut child = Guard(
        Command::new("/bin/sh")
            .args(["-c", "echo ready; read line", &marker])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    // Right after its start, its command line is not visible yet.
    child.0.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
    let finder = finder(Find::Arguments(regex::Regex::new(&format!(" {marker}$")).unwrap()));
    let of_child = |found: Found| found.processes.iter().any(|stat| stat.pid == child.0.id());
    assert!(of_child(finder.look(Duration::ZERO).await.unwrap()));
    let pidfd = crate::process::pidfd::PidFd::of_child(&child.0).unwrap();
    pidfd.signal(bellwether_core::plan::Signal::Kill).unwrap();
    pidfd.exited().await;
    assert!(!of_child(finder.look(Duration::ZERO).await.unwrap()));
    child.0.wait().unwrap();
}

#[tokio::test]
async fn a_kept_process_is_found_by_its_identity_and_its_end_is_told() {
    let child = sleeper();
    let id = ProcessId::of(child.0.id()).unwrap();
    let command = CommandName::new("start").unwrap();
    let finder = finder(Find::Kept(command.clone()));
    let look = || finder.look(Duration::ZERO);
    assert_eq!(look().await.unwrap().absence.unwrap(), "process `start` has not been started");
    finder.kept.publish(&finder.module, &command, KeptState::Running(id));
    assert_eq!(look().await.unwrap().processes[0].pid, id.pid);
    let forged = ProcessId { start_time: id.start_time - 1, ..id };
    finder.kept.publish(&finder.module, &command, KeptState::Running(forged));
    assert!(look().await.unwrap().processes.is_empty());
    let ended = KeptState::Ended { pid: 7, how: "was ended by SIGKILL".into(), at: Moment::default() };
    finder.kept.publish(&finder.module, &command, ended);
    assert_eq!(look().await.unwrap().absence.unwrap(), "process `start` (pid 7) was ended by SIGKILL");
}

#[tokio::test]
async fn of_the_module_only_what_comes_from_its_command_counts() {
    // Two processes of the same name: the module keeps one of them, the other is not the module's.
    let (kept, other) = (sleeper(), sleeper());
    let id = |guard: &Guard| ProcessId::of(guard.0.id()).unwrap();
    let find = Find::Arguments(regex::Regex::new("^/bin/sleep 600$").unwrap());
    let all = finder(find);
    let ours = Finder { of: Of::Module, ..all.clone() };
    let pids = |found: Found| found.processes.iter().map(|stat| stat.pid).collect::<Vec<_>>();
    let seen = pids(all.look(Duration::ZERO).await.unwrap());
    assert!(seen.contains(&kept.0.id()) && seen.contains(&other.0.id()), "{seen:?}");
    assert_eq!(pids(ours.look(Duration::ZERO).await.unwrap()), [0_u32; 0], "nothing is kept yet");
    let others = ours.look(Duration::ZERO).await.unwrap().others;
    assert!(others.contains(&kept.0.id()) && others.contains(&other.0.id()), "{others:?}");

    let start = CommandName::new("start").unwrap();
    ours.kept.publish(&ours.module, &start, KeptState::Running(id(&kept)));
    assert_eq!(pids(ours.look(Duration::ZERO).await.unwrap()), [kept.0.id()]);
    let elsewhere = Finder { module: ModuleName::new("other").unwrap(), ..ours.clone() };
    assert_eq!(pids(elsewhere.look(Duration::ZERO).await.unwrap()), [0_u32; 0]);

    // A process that has left the group and its parents is identified by its mark.
    let origin = |_: &Image| Some((ModuleName::new("other").unwrap(), CommandName::new("start").unwrap()));
    ours.kept.tell_origins_by(Origin(Box::new(origin)));
    let seen = pids(elsewhere.look(Duration::ZERO).await.unwrap());
    assert!(seen.contains(&other.0.id()), "{seen:?}");
}
