//! The limits of time and processor time.

use super::*;

/// Deadlines for guests that never end, in milliseconds. On a busy machine a guest may not have reached its endless
/// operation when the first one is over; then the next one is used.
const TIMES: [u64; 3] = [200, 2_000, 20_000];

/// Whether a guest that never ends was found in its endless operation, or why it cannot have reached it.
fn was_at(doing: Doing, ms: u64, failure: &Failure) -> bool {
    let after = Duration::from_millis(ms);
    match failure {
        // No thread was free for it, or it had not reached it.
        Failure::TooManyRuns(time) if *time == after => false,
        Failure::Timeout { after: time, doing: Doing::Computing }
            if *time == after && doing == Doing::Waiting =>
        {
            false
        }
        failure => {
            assert_eq!(*failure, Failure::Timeout { after, doing });
            true
        }
    }
}

/// It never ends, and is doing this when its time is over.
async fn ends_at_its_deadline(guest: Guest, doing: Doing) {
    let sandbox = sandbox();
    let component = sandbox.load(guest.build()).unwrap();
    for ms in TIMES {
        let limits = RunLimits { cpu: Duration::from_secs(60), ..LIMITS };
        let report = check(&sandbox, &component, CheckRun { limits, ..run(ms) }).await;
        if was_at(doing, ms, &report.result.unwrap_err()) {
            return;
        }
    }
    panic!("it was never found {doing:?}");
}

#[tokio::test]
async fn an_endless_loop_ends_at_its_deadline() {
    ends_at_its_deadline(Guest::checking("(loop $l (br $l)) unreachable"), Doing::Computing).await;
    let flood =
        "(loop $l (drop (call $answer (i32.const 0) (i32.const 0) (i32.const 0))) (br $l)) unreachable";
    ends_at_its_deadline(Guest::checking(flood), Doing::Computing).await;
}

#[test]
fn an_endless_loop_in_describe_or_at_the_start_is_no_component() {
    let limits = LimitsSpec { run: LIMITS, concurrent_runs: 4 };
    assert_eq!(Sandbox::new(&limits, Compiler::Own).unwrap().describe_time, Duration::from_secs(1));
    let looping = "(func $spin (loop $l (br $l)))";
    for guest in [
        Guest { describe: "(loop $l (br $l)) unreachable", ..Guest::default() },
        Guest { parts: "(func $spin (loop $l (br $l))) (start $spin)", ..Guest::default() },
        Guest { describe: "(call $spin) (call $about)", parts: looping, ..Guest::default() },
    ] {
        let ended = TIMES.iter().any(|ms| {
            let time = Duration::from_millis(*ms);
            let sandbox = Sandbox::new(&limits, Compiler::Own).unwrap().describing_within(time);
            // The time includes compiling.
            let start = Instant::now();
            let error = sandbox.load(guest.build()).unwrap_err();
            assert!(start.elapsed() < time + SLACK, "it took {:?}", start.elapsed());
            let LoadError::Describe(failure) = error else { panic!("{error:?}") };
            was_at(Doing::Computing, *ms, &failure)
        });
        assert!(ended, "it was never found computing");
    }
}

#[tokio::test]
async fn a_guest_asleep_past_its_deadline_was_waiting() {
    let asleep = "(call $block (call $timer (i64.const 60000000000))) unreachable";
    ends_at_its_deadline(Guest::checking(asleep), Doing::Waiting).await;
}

#[tokio::test]
async fn processor_time_is_a_limit_of_its_own_long_before_the_deadline() {
    let sandbox = sandbox();
    let component = sandbox.load(Guest::checking("(loop $l (br $l)) unreachable").build()).unwrap();
    let cpu = Duration::from_millis(50);
    let run = CheckRun { limits: RunLimits { cpu, ..LIMITS }, ..run(30_000) };
    let report = check(&sandbox, &component, run).await;
    assert_eq!(report.result.unwrap_err(), Limit::Cpu(cpu).into());
    assert!(report.usage.cpu > cpu, "{:?}", report.usage);
    assert!(report.took < Duration::from_secs(30), "{:?}", report.took);
}

#[tokio::test]
async fn good_guests_run_on_beside_endless_ones() {
    let sandbox = Arc::new(sandbox());
    let endless = sandbox.load(Guest::checking("(loop $l (br $l)) unreachable").build()).unwrap();
    let good = sandbox.load(Guest::default().build()).unwrap();
    let limits = RunLimits { cpu: Duration::from_secs(60), ..LIMITS };
    // They must be busy all the while: for longer, if the machine takes that long for the good ones.
    for ms in [1_000, 5_000, 25_000] {
        let spinning: Vec<_> = (0..2)
            .map(|_| {
                let (sandbox, endless) = (Arc::clone(&sandbox), endless.clone());
                tokio::spawn(
                    async move { check(&sandbox, &endless, CheckRun { limits, ..run(ms) }).await.result },
                )
            })
            .collect();
        for _ in 0..10 {
            // Both threads are busy; each is free at every tick.
            assert!(check(&sandbox, &good, run(AMPLE)).await.result.is_ok());
        }
        let all_the_while = spinning.iter().all(|task| !task.is_finished());
        for task in spinning {
            let ended = task.await.unwrap();
            assert!(matches!(ended, Err(Failure::Timeout { doing: Doing::Computing, .. })), "{ended:?}");
        }
        if all_the_while {
            return;
        }
    }
    panic!("ten good ones took longer than the endless ones were allowed to take");
}
