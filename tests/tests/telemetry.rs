//! The data that an OpenTelemetry collector gets from the real daemon.

use std::os::unix::fs::PermissionsExt;

use bellwether_tests::collector::{Collector, Manner};
use bellwether_tests::daemon::Daemon;
use bellwether_tests::eventually::eventually;
use bellwether_tests::process::signal;
use bellwether_tests::root::Root;
use bellwether_tests::web::Web;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use rustix::process::Signal;

fn root(collector: &Collector) -> Root {
    let file = "headers-file = \"headers\"";
    let table =
        format!("[telemetry]\nendpoint = \"http://{}\"\ninterval = \"1s\"\n{file}\n", collector.address);
    let root = Root::new("node-1", &table);
    let headers = root.write("headers", "Authorization: Bearer hunter2\n");
    std::fs::set_permissions(headers, PermissionsExt::from_mode(0o600)).expect("it is ours");
    root
}

fn text<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    let found = attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn metric(collector: &Collector, name: &str) -> Option<Metric> {
    let taken = collector.taken();
    let last = taken.metrics.last()?.resource_metrics.first()?;
    let resource = last.resource.as_ref()?;
    assert_eq!(text(&resource.attributes, "service.name"), Some("bellwether"));
    assert_eq!(text(&resource.attributes, "host.name"), Some("node-1"));
    last.scope_metrics.iter().flat_map(|scope| &scope.metrics).find(|metric| metric.name == name).cloned()
}

fn records(collector: &Collector) -> Vec<LogRecord> {
    let taken = collector.taken();
    let resources = taken.logs.iter().flat_map(|request| &request.resource_logs);
    resources.flat_map(|resource| &resource.scope_logs).flat_map(|scope| scope.log_records.clone()).collect()
}

fn numbers(collector: &Collector) -> Vec<u64> {
    let number = |record: &LogRecord| text(&record.attributes, "bellwether.seq")?.parse().ok();
    records(collector).iter().filter_map(number).collect()
}

/// Every record in the journal is exported, and none twice.
fn all_are_told(collector: &Collector, daemon: &Daemon) {
    eventually("every record is told", || {
        let written = daemon.events().iter().map(|event| event.seq).collect::<Vec<_>>();
        (numbers(collector) == written).then_some(())
    });
}

#[test]
fn metrics_and_records_arrive_with_their_units_severities_and_the_headers_of_the_file() {
    let collector = Collector::new(Manner::Takes);
    let root = root(&collector);
    Web::lay_out(&root);
    let daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let [pid] = daemon.processes("web")[..] else { panic!("one process") };
    assert!(signal(pid, Signal::KILL));
    let incident = eventually("the incident is told", || {
        records(&collector).into_iter().find(|record| record.event_name == "bellwether.incident")
    });
    assert_eq!(text(&incident.attributes, "bellwether.module"), Some("web"));
    assert_eq!(incident.severity_text, "ERROR");
    assert!(incident.time_unix_nano > 0 && incident.body.is_some());
    daemon.until_ready("web");
    eventually("the restart is counted", || {
        let Data::Sum(sum) = metric(&collector, "bellwether_restarts")?.data? else { panic!("a sum") };
        let point =
            sum.data_points.into_iter().find(|point| text(&point.attributes, "module") == Some("web"))?;
        assert!(sum.is_monotonic && point.start_time_unix_nano < point.time_unix_nano);
        (format!("{:?}", point.value?) == "AsDouble(1.0)").then_some(())
    });
    let took = metric(&collector, "bellwether_check_duration").expect("it is told");
    assert_eq!(took.unit, "s");
    let Some(Data::Histogram(took)) = took.data else { panic!("a histogram") };
    for point in &took.data_points {
        assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
        assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count);
    }
    all_are_told(&collector, &daemon);
    let heads = collector.taken().heads.clone();
    assert!(heads.iter().all(|head| head.contains("authorization: bearer hunter2")), "{heads:?}");
    assert!(heads.iter().all(|head| head.contains("content-type: application/x-protobuf")), "{heads:?}");
    assert_eq!(daemon.problems(), "");
}

#[test]
fn a_collector_that_is_down_or_hangs_is_a_problem_in_status_and_loses_nothing() {
    let collector = Collector::new(Manner::Refuses);
    let root = root(&collector);
    Web::lay_out(&root);
    let mut daemon = Daemon::run(root.path(), root.health);
    daemon.until_ready("web");
    let told = eventually("both are a problem", || {
        let told = daemon.problems();
        (told.contains("the logs: it answered 503") && told.contains("the metrics: it answered 503"))
            .then_some(told)
    });
    assert!(!told.contains("hunter2"), "{told}");
    collector.becomes(Manner::Hangs);
    eventually("it is not waited for", || daemon.problems().contains("did not answer within").then_some(()));
    // Nothing else waits for it.
    daemon.tell(&["restart", "web", "--wait"]);
    daemon.until_ready("web");
    assert_eq!(numbers(&collector), Vec::<u64>::new());
    // Killed in the meantime, it still knows what was not accepted.
    daemon.kill();
    daemon.run_again();
    collector.becomes(Manner::Takes);
    daemon.until_ready("web");
    eventually("all is well again", || daemon.problems().is_empty().then_some(()));
    let first = daemon.events().into_iter().find(|event| event.kind == "command");
    let first = first.expect("the restart is written down").seq;
    eventually("the restart is told", || numbers(&collector).contains(&first).then_some(()));
    all_are_told(&collector, &daemon);
}
