//! The cost of the journal: writing records, in large batches and one by one, until they are in the file; and
//! finding some among many.
//!
//! ```console
//! $ cargo bench --workspace --bench journal
//! ```
//! `RECORDS` (100000) in the environment is the number of records to search. Each figure is the median of all
//! rounds, with the minimum and the maximum.

use std::time::{Duration, Instant};

use bellwether_config::spec::JournalSpec;
use bellwether_core::record::{Record, RecordKind};
use bellwether_journal::{Journal, RecordQuery, Settings};
use bellwether_os::clock::Clock;

const BATCH: u32 = 2_000;
const ROUNDS: usize = 50;
const MODULES: u64 = 200;

fn main() -> anyhow::Result<()> {
    let records: u64 = std::env::var("RECORDS").ok().map_or(Ok(100_000), |text| text.parse())?;
    let root = tempfile::tempdir()?;
    std::fs::create_dir(root.path().join("state"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let clock = Clock::start();
        let settings = Settings {
            root: root.path().to_owned(),
            node: "node-1".parse()?,
            clock,
            spec: JournalSpec::default(),
        };
        let (journal, _notices) = Journal::open(settings)?;
        let mut writer = Writer { journal: journal.clone(), clock, seq: journal.last_seq() };
        let mut batches = Vec::new();
        while writer.seq < records || batches.len() < ROUNDS {
            batches.push(writer.write(BATCH).await);
        }
        let mut single = Vec::new();
        for _ in 0..ROUNDS {
            single.push(writer.write(1).await);
        }
        let per_second = f64::from(BATCH) / median(&mut batches.clone()).as_secs_f64();
        println!("{} records in the file", writer.seq);
        report(&format!("a batch of {BATCH} ({per_second:.0} a second)"), batches);
        report("a batch of one", single);
        // In the older half: records in memory do not contribute.
        let before = Some(writer.seq / 2);
        let (often, once, none) = ("every checker", "pid 30001)", "xylophone");
        for (what, search, module) in [
            ("found often", often, None),
            ("found often, in one of the modules", often, Some("m007")),
            ("found once", once, None),
            ("not there", none, None),
            ("not there, in one of the modules", none, Some("m007")),
        ] {
            let module = module.map(str::parse).transpose()?;
            let search = Some(search.to_owned());
            let query = RecordQuery { search, module, before, limit: 100, ..RecordQuery::default() };
            let mut times = Vec::new();
            for _ in 0..ROUNDS {
                let asked = Instant::now();
                journal.records(query.clone()).await?;
                times.push(asked.elapsed());
            }
            report(&format!("search: {what}"), times);
        }
        journal.end().await;
        anyhow::Ok(())
    })
}

struct Writer {
    journal: Journal,
    clock: Clock,
    seq: u64,
}

impl Writer {
    /// Until they are in the file.
    async fn write(&mut self, count: u32) -> Duration {
        let began = Instant::now();
        for _ in 0..count {
            self.seq += 1;
            self.journal.write(self.record());
        }
        self.journal.flush().await;
        began.elapsed()
    }

    fn record(&self) -> Record {
        let seq = self.seq;
        let message = match seq % 3 {
            0 => format!("process `start` (pid {seq}) exited with 1"),
            1 => "starting → up: the application serves: every checker is up".to_owned(),
            _ => format!("start `start`: `start` runs as pid {seq}"),
        };
        Record {
            seq,
            at: self.clock.now(),
            node: "node-1".parse().expect("a name"),
            module: format!("m{:03}", seq % MODULES).parse().ok(),
            kind: RecordKind::Daemon { message },
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn report(what: &str, mut times: Vec<Duration>) {
    let middle = median(&mut times);
    let [least, most] = [times[0], times[times.len() - 1]].map(|time| time.as_secs_f64() * 1e3);
    println!("{what:<44} {:>8.2} ms  ({least:.2} to {most:.2})", middle.as_secs_f64() * 1e3);
}
