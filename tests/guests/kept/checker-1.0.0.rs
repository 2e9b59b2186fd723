//! A checker of the interface 1.0.0 that uses all of it. Stored as a compiled component, see README.md.

use std::time::{Duration, Instant, SystemTime};

use bellwether_guest::prelude::*;

/// Every shape that a configuration commonly has.
#[bellwether_guest::config]
#[derive(Debug)]
pub struct Config {
    /// The name to greet in the summary.
    greet: String,
    /// How long to sleep on each run, in milliseconds.
    #[serde(default)]
    sleep_ms: u64,
}

/// Uses the configuration, the log, the state, the clocks and random numbers, and reports the results.
#[bellwether_guest::checker(
    name = "kept",
    grants(connect("127.0.0.1:9") = "nothing, it only asks", connect = "what its configuration says")
)]
pub fn check(config: Config, run: &Run) -> Result<Observation, String> {
    let state = run.state();
    let runs = state.get::<u64>("runs").map_err(|error| error.to_string())?.unwrap_or(0) + 1;
    state.set("runs", &runs).map_err(|error| error.to_string())?;
    state.set_bytes("scratch", &[0xff; 16]).map_err(|error| error.to_string())?;
    state.remove("scratch");
    if state.get_bytes("scratch").is_some() {
        return Ok(Observation::fail("the state keeps what was removed"));
    }
    let too_large = state.set_bytes("too-large", &vec![0; 65 << 10]);

    let began = Instant::now();
    std::thread::sleep(Duration::from_millis(config.sleep_ms));
    let slept = began.elapsed() >= Duration::from_millis(config.sleep_ms);
    let after_2020 = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .is_ok_and(|since| since > Duration::from_secs(1_577_836_800));

    run.debug("a line for the author");
    run.info(format!("hello {}", config.greet));
    run.warn("a line for whoever looks after it");
    run.error("a line for the worst case");
    println!("written to the standard output");

    let summary = format!("{}/{}/{} greets {}", run.node(), run.module(), run.checker(), config.greet);
    Ok(Observation::new(if slept && after_2020 { Status::Pass } else { Status::Fail }, summary)
        .measure("runs", runs as f64, "")
        .measure("run-number", run.number() as f64, "")
        .measure("time-limit", run.time_limit().as_millis() as f64, "ms")
        .attribute("too-large", too_large.err().map(|error| error.to_string()).unwrap_or_default())
        .attribute("given", run.attributes().len().to_string()))
}
