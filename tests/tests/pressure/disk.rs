//! The disk is full.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bellwether_tests::answers::State;
use bellwether_tests::daemon::Conditions;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::is_alive;
use bellwether_tests::root::Root;

use super::scene::Scene;

/// A separate file system at this path, removed with it.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path) -> Option<Self> {
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(path).output();
        mount.is_ok_and(|mount| mount.status.success()).then(|| Self(path.to_owned()))
    }

    fn fill(&self) -> PathBuf {
        let path = self.0.join("somebody-elses");
        let mut file = File::options().append(true).create(true).open(&path).expect("a file can be made");
        while file.write_all(&[b'x'; 512]).is_ok() {}
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

#[test]
fn on_a_full_disk_the_application_is_kept_up_and_found_again_and_what_is_lost_is_said() {
    let root = Root::default();
    let Some(disk) = SmallDisk::at(root.path()) else {
        eprintln!("skipped: only root may mount a small disk to fill");
        return;
    };
    root.write_node("node-1", "");
    // The compiled components would fill it.
    let conditions = Conditions { compiles_all: true, ..Conditions::default() };
    let mut scene = Scene::begin_on(root, conditions, "");
    let file = disk.fill();
    let before = scene.kill();
    let pid = scene.another_than(before);
    scene.serves();
    scene.answered("no room on the disk", &[200, 503]);

    scene.daemon.kill();
    scene.daemon.run_again();
    scene.serves();
    assert_eq!(scene.application(), pid, "it was written down all the same: {}", scene.daemon.log());
    let said = scene.daemon.tell(&["stop", "web"]);
    assert!(said.contains("could not be stored and will not survive"), "{said}");
    scene.daemon.until_state("web", State::Stopped);
    assert!(!is_alive(pid));
    let problems = scene.daemon.problems();
    assert!(problems.contains("No space left on device"), "{problems}");

    std::fs::remove_file(file).expect("it is there");
    eventually("the problem is over", || (!scene.daemon.problems().contains("No space left")).then_some(()));
    scene.daemon.kill();
    scene.daemon.run_again();
    scene.daemon.until_state("web", State::Stopped);
    scene.daemon.tell(&["start", "web", "--wait"]);
    scene.serves();
    drop(scene);
    drop(disk);
}
