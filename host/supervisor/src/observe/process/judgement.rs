//! Derives the observation from what was seen. Pure.

use bellwether_core::moment::Moment;
use bellwether_core::observation::{Measurement, Observation, ProcessFact, Status};

use super::said::{add_what_it_says, complaint};
use bellwether_config::spec::{ProcessBounds, ProcessSpec};
use bellwether_os::process::find::Find;
use bellwether_os::process::notified::Notified;
use bellwether_os::process::stat::Stat;
use bellwether_os::process::usage::Usage;

/// Why a low number of processes is not conclusive.
const HIDDEN: &str = "it could not be determined whether there are more: processes of other users are hidden from \
                      this one (hidepid). Run the daemon as their user, or in the group of the mount of /proc";
/// The number of process ids that a sentence names.
const MAX_NAMED: usize = 3;

/// The result of one scan.
#[derive(Debug, Clone, Default)]
pub(super) struct Sight {
    /// The living processes that count.
    pub(super) processes: Vec<Stat>,
    /// Why there are none, if more is known than that.
    pub(super) absence: Option<String>,
    /// Their usage, if it was measured.
    pub(super) usage: Option<Usage>,
    /// The ids of those that ended since the last scan.
    pub(super) ended: Vec<u32>,
    /// What is wrong although they exist.
    pub(super) remark: Option<String>,
    /// The ids of those that match and do not come from the module, if only such ones count.
    pub(super) others: Vec<u32>,
    /// There may be more processes that this daemon cannot see.
    pub(super) hidden: bool,
    /// There is none because the kept process has ended.
    pub(super) has_ended: bool,
    /// The reported state of a kept process, if it has a notification socket.
    pub(super) notified: Option<Notified>,
}

/// The observation that follows for this checker.
pub(super) fn judge(spec: &ProcessSpec, sight: &Sight, now: Moment) -> Observation {
    let count = u32::try_from(sight.processes.len()).unwrap_or(u32::MAX);
    let label = label(&spec.find);
    let (status, summary) = if count < spec.at_least && sight.hidden {
        (Status::Unknown, format!("{}; {HIDDEN}", too_few(spec, sight, &label)))
    } else if count < spec.at_least {
        (Status::Fail, too_few(spec, sight, &label))
    } else if spec.at_most.is_some_and(|most| count > most) {
        (Status::Fail, too_many(spec, sight, &label))
    } else if let Some((status, complaint)) = sight.notified.as_ref().and_then(complaint) {
        (status, format!("{} {complaint}", well(sight, &label)))
    } else if let Some((status, reason)) =
        sight.usage.and_then(|usage| out_of_bounds(&spec.bounds, &usage, count > 1))
    {
        (status, format!("{} {reason}", present(&sight.processes, &label)))
    } else if let Some(remark) = &sight.remark {
        (Status::Warn, format!("{}; {remark}", well(sight, &label)))
    } else {
        (Status::Pass, well(sight, &label))
    };
    let mut observation = Observation::new(status, summary, now);
    observation.measurements = measurements(count, sight.usage.as_ref());
    if let Some(notified) = &sight.notified {
        add_what_it_says(&mut observation, notified);
    }
    observation.processes =
        sight.processes.iter().map(|stat| ProcessFact { pid: stat.pid, name: stat.comm.clone() }).collect();
    if sight.has_ended && status == Status::Fail { observation.of_an_end() } else { observation }
}

fn too_few(spec: &ProcessSpec, sight: &Sight, label: &str) -> String {
    if sight.processes.is_empty() {
        let none = || match others(sight) {
            Some(others) => format!("{}no process {label} of this module is running; {others}", ended(sight)),
            None => format!("{}no process {label} is running", ended(sight)),
        };
        return sight.absence.clone().unwrap_or_else(none);
    }
    let present = present(&sight.processes, label);
    let others = others(sight).map_or_else(String::new, |others| format!("; {others}"));
    format!("{}{present}, fewer than the {} required{others}", ended(sight), spec.at_least)
}

/// ``2 others run (pids 5 and 7): `of = "host"` counts them``
fn others(sight: &Sight) -> Option<String> {
    match sight.others.as_slice() {
        [] => None,
        [only] => Some(format!("1 other runs (pid {only}): `of = \"host\"` counts it")),
        several => Some(format!(
            "{} others run (pids {}): `of = \"host\"` counts them",
            several.len(),
            named(several.iter())
        )),
    }
}

fn too_many(spec: &ProcessSpec, sight: &Sight, label: &str) -> String {
    let present = present(&sight.processes, label);
    match spec.at_most {
        Some(0) | None => format!("{present}, and none is allowed"),
        Some(most) => format!("{present}, more than the {most} allowed"),
    }
}

fn well(sight: &Sight, label: &str) -> String {
    if sight.processes.is_empty() {
        return format!("{}no process {label} is running, which is allowed", ended(sight));
    }
    let status = sight.notified.as_ref().filter(|notified| complaint(notified).is_none());
    let status = status.and_then(|notified| notified.status.as_ref()).map(|status| format!(": {status}"));
    format!("{}{}{}", ended(sight), present(&sight.processes, label), status.unwrap_or_default())
}

/// `pid 5 has ended; `, or an empty string.
fn ended(sight: &Sight) -> String {
    match sight.ended.as_slice() {
        [] => String::new(),
        [only] => format!("pid {only} has ended; "),
        several => format!("pids {} have ended; ", named(several.iter())),
    }
}

/// ``2 processes `nginx` (pids 5 and 7)``
fn present(processes: &[Stat], label: &str) -> String {
    match processes {
        [only] => format!("1 process {label} (pid {})", only.pid),
        several => {
            let pids = named(several.iter().map(|stat| stat.pid));
            format!("{} processes {label} (pids {pids})", several.len())
        }
    }
}

fn named(pids: impl ExactSizeIterator<Item = impl ToString>) -> String {
    let more = pids.len().saturating_sub(MAX_NAMED);
    let mut named: Vec<String> = pids.take(MAX_NAMED).map(|pid| pid.to_string()).collect();
    let last = if more > 0 { Some(format!("{more} more")) } else { named.pop() };
    match last {
        Some(last) if named.is_empty() => last,
        Some(last) => format!("{} and {last}", named.join(", ")),
        None => String::new(),
    }
}

/// The description of the processes in a sentence.
pub(crate) fn label(find: &Find) -> String {
    match find {
        Find::Name(name) => format!("`{name}`"),
        Find::Arguments(pattern) => format!("matching `{pattern}`"),
        Find::PidFile(path) => format!("of pid file `{}`", path.display()),
        Find::Unit(unit) => format!("of unit `{unit}`"),
        Find::Kept(command) => format!("`{command}`"),
    }
}

/// The first limit that is exceeded, or cannot be checked.
fn out_of_bounds(bounds: &ProcessBounds, usage: &Usage, several: bool) -> Option<(Status, String)> {
    let (uses, has, one_has) = if several {
        ("together use", "together have", "include one that has")
    } else {
        ("uses", "has", "has")
    };
    let fail = |reason: String| Some((Status::Fail, reason));
    if let Some(most) = bounds.memory.filter(|most| usage.memory > *most) {
        let (memory, most) = (bytes(usage.memory), bytes(most));
        return fail(format!("{uses} {memory} of memory, more than the {most} allowed"));
    }
    if let (Some(most), Some(cpu)) = (bounds.cpu, usage.cpu)
        && cpu > most
    {
        return fail(format!("{uses} {cpu:.0} % CPU, more than the {most} % allowed"));
    }
    if let Some(most) = bounds.threads.filter(|most| usage.threads > *most) {
        return fail(format!("{has} {} threads, more than the {most} allowed", usage.threads));
    }
    match (bounds.open_files, usage.open_files) {
        (Some(most), Some(open)) if open > most => {
            fail(format!("{one_has} {open} open files, more than the {most} allowed"))
        }
        (Some(_), None) => {
            let reason = "cannot be checked for open files: run the daemon as their user or as root";
            Some((Status::Unknown, reason.to_owned()))
        }
        _ => None,
    }
}

/// `2.3 GiB`, `2 GiB`, `512 B`: one decimal place at most.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["TiB", "GiB", "MiB", "KiB"];
    for (unit, shift) in UNITS.iter().zip([40, 30, 20, 10]) {
        if count >> shift > 0 {
            let tenths = (u128::from(count) * 10) >> shift;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            return if tenth == 0 { format!("{whole} {unit}") } else { format!("{whole}.{tenth} {unit}") };
        }
    }
    format!("{count} B")
}

#[expect(clippy::cast_precision_loss, reason = "nobody measures 2^53 bytes to the byte")]
fn measurements(count: u32, usage: Option<&Usage>) -> Vec<Measurement> {
    let measurement =
        |name: &str, value: f64, unit: &str| Measurement { name: name.into(), value, unit: unit.into() };
    let mut measured = vec![measurement("processes", f64::from(count), "")];
    if let Some(usage) = usage {
        measured.push(measurement("resident-memory", usage.memory as f64, "bytes"));
        measured.extend(usage.cpu.map(|cpu| measurement("cpu", cpu, "%")));
        measured.extend(usage.open_files.map(|files| measurement("open-files", files as f64, "")));
        measured.push(measurement("threads", usage.threads as f64, ""));
        measured.push(measurement("uptime", usage.uptime.as_secs_f64(), "s"));
    }
    measured
}

#[cfg(test)]
mod tests {
    use super::*;
    use bellwether_core::id::CommandName;

    fn spec(at_least: u32, at_most: Option<u32>) -> ProcessSpec {
        ProcessSpec {
            find: Find::Name("nginx".into()),
            at_least,
            at_most,
            containers: false,
            of: bellwether_os::process::find::Of::Host,
            bounds: ProcessBounds::default(),
        }
    }

    fn sight(pids: &[u32], ended: &[u32]) -> Sight {
        let stat = |pid: &u32| {
            let text = format!("{pid} (nginx) S 1 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 0 9 0");
            Stat::parse(text.as_bytes()).unwrap()
        };
        Sight { processes: pids.iter().map(stat).collect(), ended: ended.to_vec(), ..Sight::default() }
    }

    fn judged(spec: &ProcessSpec, sight: &Sight) -> (Status, String) {
        let observation = judge(spec, sight, Moment::default());
        (observation.status, observation.summary)
    }

    #[test]
    fn what_it_says_of_itself_decides_once_it_is_there() {
        let mut notified = Notified::nothing(Some(std::time::Duration::from_secs(30)));
        let seen = |notified: &Notified| {
            let sight = Sight { notified: Some(notified.clone()), ..sight(&[5], &[]) };
            judge(&spec(1, None), &sight, Moment::default())
        };
        let said = |notified: &Notified| (seen(notified).status, seen(notified).summary);
        let of = |text: &str| format!("1 process `nginx` (pid 5){text}");
        notified.take("STATUS=recovers");
        let starting = of(" has not reported yet that it is ready (READY=1): recovers");
        assert_eq!(said(&notified), (Status::Fail, starting));
        let starting =
            of(" has not reported that it is ready (READY=1), or did so while no daemon ran: recovers");
        assert_eq!(said(&notified.clone().after_a_gap()), (Status::Unknown, starting));
        let progress = |notified: &Notified| {
            seen(notified).measurements.iter().any(|measured| measured.name == "progress")
        };
        assert!(!progress(&notified));
        notified.take("EXTEND_TIMEOUT_USEC=1000000");
        assert!(progress(&notified));
        notified.take("READY=1\nSTATUS=5 clients");
        assert_eq!(said(&notified), (Status::Pass, of(": 5 clients")));
        assert!(!progress(&notified) && !seen(&notified).is_of_a_hang());
        notified.hangs = Some(bellwether_os::process::notified::Hang::Silent);
        let silent = of(" has sent no watchdog message (WATCHDOG=1) for 30s: 5 clients");
        assert_eq!(said(&notified), (Status::Fail, silent));
        assert!(seen(&notified).is_of_a_hang());
        notified.take("STOPPING=1\nSTATUS=");
        assert_eq!(said(&notified), (Status::Fail, of(" reports that it is stopping (STOPPING=1)")));
        assert!(!seen(&notified).is_of_a_hang());
        let gone = Sight { notified: Some(notified), ..sight(&[], &[5]) };
        assert_eq!(judged(&spec(1, None), &gone).1, "pid 5 has ended; no process `nginx` is running");
        let mut failed = Notified::nothing(None);
        failed.take("READY=1\nWATCHDOG=trigger");
        assert_eq!(said(&failed), (Status::Fail, of(" reports that it has failed (WATCHDOG=trigger)")));
    }

    #[test]
    fn the_count_decides_and_the_sentence_names_the_processes() {
        use Status::{Fail, Pass};
        for (spec, pids, ended, status, summary) in [
            (spec(1, None), &[5][..], &[][..], Pass, "1 process `nginx` (pid 5)"),
            (spec(1, None), &[5, 7], &[], Pass, "2 processes `nginx` (pids 5 and 7)"),
            (spec(1, None), &[5, 7, 8, 9, 11], &[], Pass, "5 processes `nginx` (pids 5, 7, 8 and 2 more)"),
            (spec(1, None), &[], &[], Fail, "no process `nginx` is running"),
            (spec(1, None), &[], &[5], Fail, "pid 5 has ended; no process `nginx` is running"),
            (
                spec(2, None),
                &[5],
                &[7, 8],
                Fail,
                "pids 7 and 8 have ended; 1 process `nginx` (pid 5), fewer than the 2 required",
            ),
            (spec(1, None), &[5], &[7], Pass, "pid 7 has ended; 1 process `nginx` (pid 5)"),
            (
                spec(1, Some(1)),
                &[5, 7],
                &[],
                Fail,
                "2 processes `nginx` (pids 5 and 7), more than the 1 allowed",
            ),
            (spec(0, Some(0)), &[5], &[], Fail, "1 process `nginx` (pid 5), and none is allowed"),
            (spec(0, Some(0)), &[], &[], Pass, "no process `nginx` is running, which is allowed"),
        ] {
            assert_eq!(judged(&spec, &sight(pids, ended)), (status, summary.to_owned()));
        }
    }

    #[test]
    fn processes_that_are_not_of_the_module_are_named_where_too_few_are() {
        let said = |pids: &[u32], others: &[u32]| {
            let sight = Sight { others: others.to_vec(), ..sight(pids, &[]) };
            judged(&spec(2, None), &sight)
        };
        let none = "no process `nginx` of this module is running; 3 others run (pids 5, 7 and 9): `of = \"host\"` \
                    counts them";
        assert_eq!(said(&[], &[5, 7, 9]), (Status::Fail, none.to_owned()));
        let few = "1 process `nginx` (pid 4), fewer than the 2 required; 1 other runs (pid 5): `of = \"host\"` counts it";
        assert_eq!(said(&[4], &[5]), (Status::Fail, few.to_owned()));
        assert_eq!(said(&[4, 6], &[5]).1, "2 processes `nginx` (pids 4 and 6)");
    }

    #[test]
    fn what_cannot_be_seen_is_unknown_and_what_is_seen_counts() {
        let hidden = |pids: &[u32]| Sight { hidden: true, ..sight(pids, &[]) };
        let (status, summary) = judged(&spec(2, None), &hidden(&[5]));
        assert_eq!(status, Status::Unknown);
        assert!(
            summary.starts_with(
                "1 process `nginx` (pid 5), fewer than the 2 required; it could not be determined"
            )
        );
        assert_eq!(judged(&spec(1, None), &hidden(&[5])).0, Status::Pass);
        assert_eq!(judged(&spec(1, Some(1)), &hidden(&[5, 7])).0, Status::Fail, "too many are too many");
    }

    #[test]
    fn what_is_not_as_it_should_be_is_a_warning() {
        let sight = Sight { remark: Some("there is no pid file /run/a".into()), ..sight(&[5], &[]) };
        let summary = "1 process `nginx` (pid 5); there is no pid file /run/a";
        assert_eq!(judged(&spec(1, None), &sight), (Status::Warn, summary.to_owned()));
    }

    #[test]
    fn the_reason_of_an_absence_is_told_where_it_is_known() {
        let spec = ProcessSpec { find: Find::Kept(CommandName::new("web").unwrap()), ..spec(1, None) };
        let absence = "process `web` (pid 123) was ended by SIGKILL";
        let sight = Sight { absence: Some(absence.into()), ..sight(&[], &[123]) };
        assert_eq!(judged(&spec, &sight), (Status::Fail, absence.to_owned()));
    }

    #[test]
    fn a_bound_that_is_passed_is_a_fail_and_its_value_itself_is_allowed() {
        let mut spec = spec(1, None);
        spec.bounds =
            ProcessBounds { memory: Some(2 << 30), cpu: Some(150.0), open_files: Some(10), threads: Some(4) };
        let within =
            Usage { memory: 2 << 30, cpu: Some(150.0), open_files: Some(10), threads: 4, ..Usage::default() };
        let cases = [
            (within, Status::Pass, ""),
            (Usage { cpu: None, ..within }, Status::Pass, ""),
            (
                Usage { memory: 2_469_606_196, ..within },
                Status::Fail,
                " uses 2.3 GiB of memory, more than the 2 GiB allowed",
            ),
            (
                Usage { cpu: Some(170.4), ..within },
                Status::Fail,
                " uses 170 % CPU, more than the 150 % allowed",
            ),
            (Usage { threads: 5, ..within }, Status::Fail, " has 5 threads, more than the 4 allowed"),
            (
                Usage { open_files: Some(11), ..within },
                Status::Fail,
                " has 11 open files, more than the 10 allowed",
            ),
            (
                Usage { open_files: None, ..within },
                Status::Unknown,
                " cannot be checked for open files: run the daemon as their user or as root",
            ),
        ];
        for (usage, status, reason) in cases {
            let sight = Sight { usage: Some(usage), ..sight(&[5], &[]) };
            let summary = format!("1 process `nginx` (pid 5){reason}");
            assert_eq!(judged(&spec, &sight), (status, summary));
        }
    }

    #[test]
    fn bytes_are_written_in_the_largest_unit_that_fits() {
        for (count, text) in
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (512 << 20, "512 MiB"), (1 << 40, "1 TiB")]
        {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn measurements_and_processes_are_named() {
        let usage = Usage { memory: 4096, threads: 3, ..Usage::default() };
        let sight = Sight { usage: Some(usage), ..sight(&[5, 7], &[]) };
        let observation = judge(&spec(1, None), &sight, Moment::default());
        let names: Vec<&str> = observation.measurements.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(names, ["processes", "resident-memory", "threads", "uptime"]);
        assert_eq!(observation.processes[1], ProcessFact { pid: 7, name: "nginx".into() });
    }
}
