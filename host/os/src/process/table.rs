//! All processes of this node, read once for all readers.
//!
//! A scan reads one small file of each process. What a process was started as is more expensive to read and rarely
//! changes, so it is cached from scan to scan.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::environment;
use super::stat::Stat;
use crate::exhaustion::with_reserve;

/// A process younger than this may still execute another program (execve(2)), change its title or be moved to its
/// control group.
const SETTLED: Duration = Duration::from_secs(3);
/// Programs may change their title at any time, so it is read again after this time.
const REFRESH: Duration = Duration::from_mins(1);
/// Longer command lines are truncated: a search needs no more.
const MAX_COMMAND_LINE: usize = 64 << 10;

/// The variable that names the command and the module that a process comes from. Children inherit it, even those
/// that leave the group and the session of their parent.
pub const MARK: &str = "BELLWETHER_BELONGS";

/// The processes at one point in time.
#[derive(Debug)]
pub struct Table {
    /// When the scan began.
    taken: Instant,
    /// Ordered by process id.
    processes: Vec<Process>,
}

#[derive(Debug, Clone)]
pub struct Process {
    /// The values that change all the time.
    pub stat: Stat,
    /// What it was started as.
    pub image: Arc<Image>,
}

/// What a process was started as, as far as the daemon may read it. All fields are empty for a kernel thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// File name of the program that runs. Empty if the process belongs to another user.
    pub program: String,
    /// File name of the first argument, which by convention is the name that the program was called by.
    pub called: String,
    /// All arguments, separated by single spaces.
    pub command_line: String,
    /// The lines of `/proc/PID/cgroup` (cgroups(7)).
    pub control_groups: String,
    /// The [mark](MARK) of the process, or the one that was seen earlier on it or on its parent.
    pub mark: String,
    /// Its id in its own process id namespace, if that is below ours, as in a container (`pid_namespaces(7)`).
    pub inner_pid: Option<u32>,
}

impl Table {
    /// All living processes, except zombies and this daemon itself.
    pub fn living(&self) -> impl Iterator<Item = &Process> {
        let this = std::process::id();
        self.processes.iter().filter(move |p| !p.stat.is_dead() && p.stat.pid != this)
    }

    /// The process with this id, even if it is a zombie.
    pub fn get(&self, pid: u32) -> Option<&Process> {
        let found = self.processes.binary_search_by_key(&pid, |p| p.stat.pid).ok()?;
        self.processes.get(found)
    }
}

/// The source of tables. Cheap to clone; all clones share their scans.
#[derive(Debug, Clone, Default)]
pub struct ProcessTable(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    latest: tokio::sync::Mutex<Option<Arc<Table>>>,
    images: Mutex<HashMap<u32, ReadImage>>,
}

#[derive(Debug)]
struct ReadImage {
    start_time: u64,
    comm: String,
    read: Instant,
    settled: bool,
    image: Arc<Image>,
}

impl ProcessTable {
    /// A table whose scan began at most this long ago. A caller that comes during a scan waits for it and shares
    /// the next one.
    pub async fn scan(&self, not_older_than: Duration) -> io::Result<Arc<Table>> {
        let asked = Instant::now();
        let shared = Arc::clone(&self.0);
        // A separate task: the lock must not depend on a caller that stops polling its future.
        tokio::spawn(async move { shared.scan(asked, not_older_than).await })
            .await
            .map_err(io::Error::other)?
    }
}

impl Shared {
    async fn scan(self: Arc<Self>, asked: Instant, not_older_than: Duration) -> io::Result<Arc<Table>> {
        let mut latest = self.latest.lock().await;
        if let Some(table) = latest.as_ref().filter(|table| table.taken + not_older_than >= asked) {
            return Ok(Arc::clone(table));
        }
        let shared = Arc::clone(&self);
        let table = tokio::task::spawn_blocking(move || with_reserve(|| shared.read()))
            .await
            .map_err(io::Error::other)??;
        let table = Arc::new(table);
        *latest = Some(Arc::clone(&table));
        Ok(table)
    }

    fn read(&self) -> io::Result<Table> {
        let taken = Instant::now();
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let mut processes = Vec::with_capacity(images.len() + 16);
        for entry in std::fs::read_dir("/proc")? {
            let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            match Stat::read(pid) {
                Ok(stat) => processes.push(Process { image: image(&mut images, &stat, taken), stat }),
                // It has exited since, or is hidden from us (proc(5), hidepid).
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {}
                Err(error) => return Err(error),
            }
        }
        processes.sort_unstable_by_key(|p| p.stat.pid);
        if images.len() > processes.len() {
            images.retain(|pid, _| processes.binary_search_by_key(pid, |p| p.stat.pid).is_ok());
        }
        pass_marks_on(&mut processes, &mut images);
        Ok(Table { taken, processes })
    }
}

/// What is known about the process, read again if it may have changed.
fn image(images: &mut HashMap<u32, ReadImage>, stat: &Stat, now: Instant) -> Arc<Image> {
    if let Some(known) = images.get(&stat.pid)
        && known.start_time == stat.start_time
        && known.comm == stat.comm
        && known.settled
        && now.duration_since(known.read) < REFRESH
    {
        return Arc::clone(&known.image);
    }
    let mut image = if stat.kernel_thread { Image::default() } else { Image::read(stat.pid) };
    // A program that sets its title overwrites its environment, and a program that it executes may get another one.
    if let Some(before) = images.get(&stat.pid).filter(|known| known.start_time == stat.start_time)
        && image.mark.is_empty()
    {
        image.mark.clone_from(&before.image.mark);
    }
    let image = Arc::new(image);
    let known = ReadImage {
        start_time: stat.start_time,
        comm: stat.comm.clone(),
        read: now,
        settled: stat.kernel_thread || stat.age() > SETTLED,
        image: Arc::clone(&image),
    };
    images.insert(stat.pid, known);
    image
}

/// A process without a mark inherits that of its parent: its environment may be empty or replaced. Once seen it
/// stays, even when the parent ends. Our own children are distinguished by the mark that they are given.
fn pass_marks_on(processes: &mut [Process], images: &mut HashMap<u32, ReadImage>) {
    if processes.iter().all(|p| p.image.mark.is_empty()) {
        return;
    }
    // Parents come first.
    let mut order: Vec<usize> = (0..processes.len()).collect();
    order.sort_by_key(|index| processes.get(*index).map(|p| (p.stat.start_time, p.stat.pid)));
    let this = std::process::id();
    for index in order {
        let Some(Process { stat, image }) = processes.get(index) else { continue };
        if !image.mark.is_empty() || stat.kernel_thread || stat.parent == this {
            continue;
        }
        let parent = processes.binary_search_by_key(&stat.parent, |p| p.stat.pid).ok();
        let parent = parent.and_then(|parent| processes.get(parent));
        let Some(mark) = parent.map(|parent| &parent.image.mark).filter(|mark| !mark.is_empty()) else {
            continue;
        };
        let image = Arc::new(Image { mark: mark.clone(), ..Image::clone(image) });
        if let Some(known) = images.get_mut(&stat.pid) {
            known.image = Arc::clone(&image);
        }
        if let Some(process) = processes.get_mut(index) {
            process.image = image;
        }
    }
}

/// The mark in the environment of a process, as far as the daemon may read it.
fn mark_of(pid: u32) -> String {
    mark_in(&environment::of(pid).unwrap_or_default())
}

fn mark_in(environment: &[u8]) -> String {
    let mut variables = environment.split(|byte| *byte == 0);
    let mark = variables.find_map(|variable| variable.strip_prefix(MARK.as_bytes())?.strip_prefix(b"="));
    mark.and_then(|mark| std::str::from_utf8(mark).ok()).unwrap_or_default().to_owned()
}

impl Image {
    /// Reads what the process's permissions allow: the rest stays empty.
    pub fn read(pid: u32) -> Self {
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok();
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        Self {
            program: program.as_deref().map(program_name).unwrap_or_default(),
            control_groups: std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default(),
            mark: mark_of(pid),
            inner_pid: inner_pid(&std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default()),
            ..Self::from_arguments(&arguments)
        }
    }

    /// Parses `/proc/PID/cmdline`: arguments that each end with a zero byte, or the title that a program has put in
    /// their place.
    fn from_arguments(arguments: &[u8]) -> Self {
        let arguments = arguments.get(..MAX_COMMAND_LINE).unwrap_or(arguments);
        let arguments: Vec<String> = String::from_utf8_lossy(arguments)
            .trim_end_matches('\0')
            .split('\0')
            .map(str::to_owned)
            .collect();
        let called = arguments.first().map(|first| program_name(Path::new(first))).unwrap_or_default();
        Self { called, command_line: arguments.join(" "), ..Self::default() }
    }
}

/// The last of several ids in `/proc/PID/status` (`NSpid`): one for each namespace, from ours inwards.
fn inner_pid(status: &[u8]) -> Option<u32> {
    let status = String::from_utf8_lossy(status);
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    ids.split_ascii_whitespace().skip(1).last()?.parse().ok()
}

/// The file name alone. If the program's file was replaced since, a suffix marks that.
fn program_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    name.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(name)
}

/// The id that the kernel assigned last (`proc_loadavg(5)`): as long as it stays the same, there is no new process.
/// A hundred times cheaper than a scan.
pub fn newest_pid() -> io::Result<u32> {
    let text = std::fs::read_to_string("/proc/loadavg")?;
    text.split_ascii_whitespace()
        .nth(4)
        .and_then(|pid| pid.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/loadavg has an unknown form"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Poll;

    #[test]
    fn a_command_line_is_joined_with_spaces_and_its_program_named() {
        let image = Image::from_arguments(b"/usr/sbin/nginx\0-g\0daemon off;\0");
        assert_eq!(image.called, "nginx");
        assert_eq!(image.command_line, "/usr/sbin/nginx -g daemon off;");
        let title = Image::from_arguments(b"nginx: worker process\0\0\0\0");
        assert_eq!(title.command_line, "nginx: worker process");
        assert_eq!(Image::from_arguments(b""), Image::default());
    }

    #[test]
    fn the_id_in_a_namespace_below_is_the_last_of_several() {
        for (status, inner) in [
            ("Name:\tx\nNSpid:\t4711\nNSpgid:\t4711\t1\n", None),
            ("Name:\tx\nNSpid:\t4711\t7\n", Some(7)),
            ("NSpid:\t4711\t30\t1\n", Some(1)),
            ("", None),
        ] {
            assert_eq!(inner_pid(status.as_bytes()), inner, "{status}");
        }
    }

    #[test]
    fn a_program_that_was_replaced_keeps_its_name() {
        assert_eq!(program_name(Path::new("/usr/sbin/nginx (deleted)")), "nginx");
    }

    #[tokio::test]
    async fn those_who_ask_at_the_same_time_share_a_scan_and_later_ones_get_a_new_one() {
        let table = ProcessTable::default();
        let (a, b, c) = tokio::join!(
            table.scan(Duration::ZERO),
            table.scan(Duration::ZERO),
            table.scan(Duration::from_mins(1))
        );
        let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
        assert!(Arc::ptr_eq(&a, &b) && Arc::ptr_eq(&a, &c));
        let later = table.scan(Duration::ZERO).await.unwrap();
        assert!(!Arc::ptr_eq(&a, &later));
        assert!(Arc::ptr_eq(&later, &table.scan(Duration::from_mins(1)).await.unwrap()));
    }

    #[tokio::test]
    async fn a_caller_that_stops_in_the_middle_of_a_scan_keeps_nobody_waiting() {
        let table = ProcessTable::default();
        let mut stopped = Box::pin(table.scan(Duration::ZERO));
        let first = std::future::poll_fn(|context| Poll::Ready(stopped.as_mut().poll(context))).await;
        assert!(first.is_pending());
        let other = tokio::time::timeout(Duration::from_secs(30), table.scan(Duration::ZERO)).await;
        other.expect("it does not wait for the first").unwrap();
    }

    #[tokio::test]
    async fn the_table_has_this_process_and_does_not_count_it_as_living() {
        let table = ProcessTable::default().scan(Duration::ZERO).await.unwrap();
        let this = table.get(std::process::id()).unwrap();
        assert!(!this.image.command_line.is_empty() && !this.image.program.is_empty());
        assert!(table.living().all(|p| p.stat.pid != std::process::id()));
    }
}
