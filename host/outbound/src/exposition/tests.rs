//! The page is valid for Prometheus, and matches the documents.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use bellwether_core::id::NodeName;
use bellwether_core::moment::Moment;
use bellwether_core::plan::Incident;
use bellwether_core::policy::{CheckerKind, OnDown};
use bellwether_core::snapshot::{CheckerView, ModuleView};
use bellwether_core::state::StateName;
use bellwether_core::verdict::Verdict;
use tokio::sync::mpsc;

use bellwether_bus::metrics::{Cost, Metrics, Usage};
use bellwether_core::grant::GrantKind;
use bellwether_core::observation::{Observation, Status};
use bellwether_core::record::{Record, RecordKind};
use std::time::Duration;

use super::*;
use crate::notify::Board;
use bellwether_bus::farm_counts::FarmCounts;
use bellwether_config::spec::JournalSpec;
use bellwether_journal as journal;
use bellwether_journal::Journal;
use bellwether_os::clock::Clock;
use bellwether_os::heartbeat::Heartbeat;

fn snapshot() -> Snapshot {
    let at = Moment::default();
    let checker = CheckerView {
        name: "home".parse().unwrap(),
        kind: CheckerKind::Component,
        on_down: OnDown::Restart,
        verdict: Verdict::Down,
        since: at,
        watched: true,
        on_probation: false,
        definition: 1,
        interval: Duration::from_secs(5),
        next: None,
        last: None,
    };
    let module = ModuleView {
        since: at,
        ready_since: at,
        restarts: 1,
        restarts_allowed: 3,
        restarts_within: Duration::from_hours(1),
        checkers: vec![checker].into(),
        ..ModuleView::empty("web".parse().unwrap(), StateName::Up)
    };
    let modules = vec![Arc::new(module)];
    Snapshot {
        generation: 1,
        node: NodeName::new("n1").unwrap(),
        at,
        modules,
        readmit_until: None,
        looking: Vec::new(),
    }
}

fn record(module: &str, kind: RecordKind) -> Record {
    let (at, node) = (Moment::default(), NodeName::new("n1").unwrap());
    Record { seq: 1, at, node, module: module.parse().ok(), kind }
}

/// Every value has been counted at least once.
fn counted() -> Metrics {
    let metrics = Metrics::default();
    let (module, checker) = ("web".parse().unwrap(), "home".parse().unwrap());
    metrics.turned(Duration::from_millis(2));
    metrics.late(Duration::from_millis(3));
    metrics.answered(true);
    metrics.answered(false);
    metrics.observed(
        &module,
        &checker,
        &Observation { took: Duration::from_millis(30), ..seen(Status::Pass) },
    );
    metrics.observed(&module, &checker, &seen(Status::Fail));
    let usage = Usage { cpu: Duration::from_millis(7), memory: 1 << 20, host_calls: 3 };
    let used = [(GrantKind::Env, "LANG".to_owned())];
    let cost = Cost { took: Duration::from_millis(30), usage, refusals: 2, used: &used };
    metrics.ran(&module, &checker, cost, Moment::from_micros(5));
    let plan = Cost { took: Duration::from_millis(4), used: &[], ..cost };
    metrics.planned(&module, plan, Moment::from_micros(6));
    let checks = metrics.cost(&module, Some(&checker));
    // One of the two observations came without a run.
    assert_eq!((checks.runs, checks.took), (1, Duration::from_millis(30)));
    assert_eq!(checks.used.into_iter().collect::<Vec<_>>(), [(used[0].clone(), Moment::from_micros(5))]);
    let plans = metrics.cost(&module, None);
    assert_eq!((plans.runs, plans.took, plans.refusals), (1, Duration::from_millis(4), 2));
    let (observations, summary) = (Vec::new(), "refused".to_owned());
    let incident = Incident { at: Moment::default(), checker, summary, observations };
    metrics.recorded(&record("web", RecordKind::Incident { incident }));
    let (decision, reason) = ("restart (number 1 of 3 within 1h)".to_owned(), "home".to_owned());
    metrics.recorded(&record("web", RecordKind::Decision { decision, reason: reason.clone() }));
    metrics
        .recorded(&record("web", RecordKind::Step { step: "run start".into(), ok: false, result: reason }));
    // For a module that no longer exists.
    metrics.recorded(&record("old", RecordKind::NoPlan { occasion: "start".into(), reason: "none".into() }));
    metrics
}

fn seen(status: Status) -> Observation {
    Observation::new(status, "seen", Moment::default())
}

fn page(metrics: Metrics) -> String {
    let clock = Clock::start();
    let (events, _held) = mpsc::channel(4);
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("state")).unwrap();
    let (root, node) = (root.path().to_owned(), NodeName::new("n1").unwrap());
    let (journal, _notices) =
        Journal::open(journal::Settings { root, node, clock, spec: JournalSpec::default() }).unwrap();
    let targets = ["on-call"].map(|name| name.parse().unwrap());
    let farm = PublishedFarmCounts::default();
    farm.publish(FarmCounts {
        nodes: vec![("this", 1), ("heard", 2), ("unknown", 1)],
        certificates: vec![("node", 1_800_000_000), ("authority", 2_400_000_000)],
    });
    let sources = Sources {
        metrics,
        snapshot: Arc::new(ArcSwap::from_pointee(snapshot())),
        heartbeat: Heartbeat::default(),
        clock,
        events: events.downgrade(),
        components: PublishedComponentCounts::default(),
        farm,
        board: Board::new(targets.into_iter()),
        journal,
    };
    Exposition::new(sources).page().unwrap()
}

/// Kind, unit and sentence of each family, and its samples.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    unit: String,
    help: String,
    samples: Vec<(String, String, f64)>,
}

/// The guarantees of `OpenMetrics` 1.0 for a reader.
fn parse(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let body = page.strip_suffix("# EOF\n").expect("it ends with the end");
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let [word, name, rest] = [(); 3].map(|()| words.next().unwrap_or_default().to_owned());
            if word == "HELP" {
                assert!(families.insert(name.clone(), Family::default()).is_none(), "{name} is there twice");
                current.clone_from(&name);
            }
            let family = families.get_mut(&name).expect("HELP comes first");
            match word.as_str() {
                "HELP" => family.help = rest,
                "TYPE" => family.kind = rest,
                "UNIT" => family.unit = rest,
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').map_or((series, ""), |(name, labels)| {
            (name, labels.strip_suffix('}').expect("a closing brace"))
        });
        let family = families.get_mut(&current).expect("a family");
        let suffix = name.strip_prefix(&current).expect("samples stand below their family");
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_bucket", "_sum", "_count"],
            kind => panic!("{kind}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        family.samples.push((name.to_owned(), labels.to_owned(), value.parse().expect("a number")));
    }
    families
}

fn sample(page: &str, series: &str) -> f64 {
    let line = page.lines().find(|line| line.rsplit_once(' ').is_some_and(|(found, _)| found == series));
    line.unwrap_or_else(|| panic!("{series}:\n{page}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn what_was_counted_is_on_the_page() {
    let page = page(counted());
    for (series, value) in [
        ("bellwether_module_ready{module=\"web\"}", 1.0),
        ("bellwether_module_state{module=\"web\",state=\"up\"}", 1.0),
        ("bellwether_module_state{module=\"web\",state=\"failed\"}", 0.0),
        ("bellwether_module_restart_budget_left{module=\"web\"}", 2.0),
        ("bellwether_checker_verdict{module=\"web\",checker=\"home\",state=\"down\"}", 1.0),
        ("bellwether_check_runs_total{module=\"web\",checker=\"home\",result=\"pass\"}", 1.0),
        ("bellwether_check_runs_total{module=\"web\",checker=\"home\",result=\"unknown\"}", 0.0),
        ("bellwether_check_duration_seconds_count{module=\"web\",checker=\"home\"}", 2.0),
        ("bellwether_check_duration_seconds_bucket{le=\"0.025\",module=\"web\",checker=\"home\"}", 1.0),
        ("bellwether_check_duration_seconds_bucket{le=\"0.1\",module=\"web\",checker=\"home\"}", 2.0),
        ("bellwether_check_duration_seconds_bucket{le=\"+Inf\",module=\"web\",checker=\"home\"}", 2.0),
        ("bellwether_check_cpu_seconds_total{module=\"web\",checker=\"home\"}", 0.007),
        ("bellwether_check_refusals_total{module=\"web\",checker=\"home\"}", 2.0),
        ("bellwether_restarts_total{module=\"web\"}", 1.0),
        ("bellwether_incidents_total{module=\"web\"}", 1.0),
        ("bellwether_steps_total{module=\"web\",result=\"failed\"}", 1.0),
        ("bellwether_health_answers_total{result=\"no\"}", 1.0),
        ("bellwether_core_events_total", 1.0),
        ("bellwether_farm_nodes{state=\"heard\"}", 2.0),
        ("bellwether_farm_certificate_expiry_time_seconds{certificate=\"node\"}", 1_800_000_000.0),
        ("bellwether_core_lag_seconds_count", 1.0),
        ("bellwether_core_alive", 0.0),
        ("bellwether_notification_tries_total{target=\"on-call\",result=\"delivered\"}", 0.0),
    ] {
        assert!((sample(&page, series) - value).abs() < 1e-9, "{series}");
    }
    assert!(!page.contains("module=\"old\""), "a module that is no more is not shown");
}

#[test]
fn the_page_is_open_metrics_with_base_units_and_few_labels() {
    for (name, family) in parse(&page(counted())) {
        assert!(name.starts_with("bellwether_") || name.starts_with("process_"), "{name}");
        assert!(!family.help.is_empty() && !family.kind.is_empty(), "{name}");
        assert!(["", "seconds", "bytes"].contains(&family.unit.as_str()), "{name}: {}", family.unit);
        assert!(family.unit.is_empty() || name.ends_with(&family.unit), "{name}");
        for (_, labels, value) in &family.samples {
            let keys =
                labels.split(',').filter(|label| !label.is_empty()).map(|l| l.split('=').next().unwrap());
            for key in keys {
                let few = [
                    "module",
                    "checker",
                    "state",
                    "result",
                    "target",
                    "signal",
                    "version",
                    "le",
                    "certificate",
                ];
                assert!(few.contains(&key), "{name}{{{labels}}}");
            }
            assert!(value.is_finite() && *value >= 0.0, "{name}");
        }
        let series: BTreeSet<_> = family.samples.iter().map(|(name, labels, _)| (name, labels)).collect();
        assert_eq!(series.len(), family.samples.len(), "{name} has a series twice");
    }
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Names in the form of queries: with the suffix of their kind.
fn exported() -> BTreeMap<String, Family> {
    let name = |(name, family): (String, Family)| match family.kind.as_str() {
        "counter" => (format!("{name}_total"), family),
        _ => (name, family),
    };
    parse(&page(counted())).into_iter().map(name).collect()
}

#[test]
fn the_document_has_every_metric_with_its_kind_and_unit_and_no_other() {
    let document = document("metrics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let described: BTreeMap<String, (String, String)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            (cells[0].trim_end_matches('`').to_owned(), (cells[1].to_owned(), cells[2].to_owned()))
        })
        .collect();
    let exported = exported().into_iter().map(|(name, family)| (name, (family.kind, family.unit)));
    assert_eq!(described, exported.collect::<BTreeMap<_, _>>());
}

/// Every name in a query that looks like one of ours.
fn names(text: &str) -> BTreeSet<String> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words =
        text.split(|c| !word(c)).filter(|w| w.starts_with("bellwether_") || w.starts_with("process_"));
    words.map(str::to_owned).collect()
}

fn assert_exported(name: &str, text: &str) {
    let exported = exported();
    let known = |name: &str| {
        let family = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        exported.contains_key(name) || family.is_some_and(|family| exported.contains_key(family))
    };
    let names = names(text);
    assert!(names.len() > 3, "{name} asks for something");
    let unknown: Vec<&String> = names.iter().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "{name} asks for what there is not: {unknown:?}");
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let text = document("grafana-dashboard.json");
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has a number of its own");
    let mut asked = String::new();
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty() && panel["title"].is_string() && panel["gridPos"].is_object(), "{panel}");
        for target in targets {
            asked.push_str(target["expr"].as_str().unwrap());
            asked.push('\n');
        }
    }
    assert_exported("the dashboard", &asked);
}

#[test]
fn the_alert_rules_ask_for_what_there_is_and_promtool_accepts_them() {
    let text = document("prometheus-alerts.yml");
    let asked: String = text.lines().filter(|line| line.trim_start().starts_with("expr:")).collect();
    assert_exported("the alert rules", &asked);
    let rules = text.matches("- alert:").count();
    for key in ["expr:", "for:", "severity:", "summary:", "description:"] {
        assert_eq!(text.matches(key).count(), rules, "each rule has its {key}");
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/prometheus-alerts.yml");
    promtool(&["check", "rules", path.to_str().unwrap()], "");
}

#[test]
fn promtool_accepts_the_page() {
    // It supports only the older text format: without the end mark, and with the suffix of counters in their names.
    let mut old = String::new();
    for line in page(counted()).lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT")) {
        let mut words: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        if line.starts_with("# ") {
            if exported().contains_key(&format!("{}_total", words[2])) {
                words[2].push_str("_total");
            }
            old.push_str(&words.join(" "));
        } else {
            old.push_str(line);
        }
        old.push('\n');
    }
    promtool(&["check", "metrics"], &old);
}

/// Reports it if it is not installed.
fn promtool(arguments: &[&str], input: &str) {
    let child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("skipped: promtool (Debian package prometheus) is not installed");
        return;
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "promtool {arguments:?}: {}", said.join("\n"));
}
