//! Which measurements are drawn: the few that help to find a problem.

use bellwether_core::policy::CheckerKind;
use bellwether_core::snapshot::ModuleView;
use bellwether_core::verdict::Verdict;

use bellwether_core::chart::ChartSeries;

/// The number of charts, unless all are requested.
const CHOSEN: usize = 4;
/// The maximum number of charts; the API provides all of them.
const MOST: usize = 24;

/// The charts that are drawn, and the number of others.
pub(super) fn chosen<'m>(
    module: &ModuleView,
    series: &'m [ChartSeries],
    all: bool,
) -> (Vec<&'m ChartSeries>, usize) {
    // An uptime only shows that time passes.
    let mut ranked: Vec<&ChartSeries> = series.iter().filter(|series| series.name != "uptime").collect();
    ranked.sort_by_key(|series| rank(module, series));
    let most = if all { MOST } else { CHOSEN };
    let left_out = ranked.len().saturating_sub(most);
    ranked.truncate(most);
    (ranked, left_out)
}

/// How informative a measurement is for an incident, the most informative first: the duration of checkers that are
/// down, the application's usage, other measurements, and counts.
fn rank(module: &ModuleView, series: &ChartSeries) -> u8 {
    let checker = module.checkers.iter().find(|checker| checker.name.as_str() == series.checker);
    let Some(checker) = checker else { return 9 };
    let component = checker.kind == CheckerKind::Component;
    let down = checker.watched && checker.verdict == Verdict::Down;
    let has_a_say = checker.on_down.gates_health();
    match series.name.as_str() {
        "duration" if component && down => 0,
        "cpu" | "resident-memory" => 2,
        "duration" if component && has_a_say => 1,
        "duration" if component => 4,
        "duration" => 7,
        "processes" | "threads" | "open-files" => 6,
        _ if down => 1,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::moment::Moment;
    use bellwether_core::policy::OnDown;
    use bellwether_core::snapshot::CheckerView;
    use bellwether_core::state::StateName;

    use super::*;

    fn checker(name: &str, kind: CheckerKind, verdict: Verdict, on_down: OnDown) -> CheckerView {
        CheckerView {
            name: name.parse().unwrap(),
            kind,
            on_down,
            verdict,
            since: Moment::default(),
            watched: true,
            on_probation: false,
            definition: 0,
            interval: Duration::from_secs(1),
            next: None,
            last: None,
        }
    }

    #[test]
    fn four_numbers_that_matter_are_drawn_and_uptime_never_is() {
        let checkers = vec![
            checker("cart", CheckerKind::Component, Verdict::Down, OnDown::Restart),
            checker("disk", CheckerKind::Component, Verdict::Up, OnDown::Notify),
            checker("process", CheckerKind::Process, Verdict::Up, OnDown::Restart),
        ];
        let module = ModuleView {
            checkers: checkers.into(),
            ..ModuleView::empty("web".parse().unwrap(), StateName::Up)
        };
        let series = |(checker, name): (&str, &str)| ChartSeries {
            checker: checker.into(),
            name: name.into(),
            unit: String::new(),
            buckets: Vec::new(),
        };
        let all: Vec<ChartSeries> = [
            ("cart", "duration"),
            ("disk", "duration"),
            ("disk", "free"),
            ("process", "cpu"),
            ("process", "duration"),
            ("process", "open-files"),
            ("process", "resident-memory"),
            ("process", "threads"),
            ("process", "uptime"),
        ]
        .into_iter()
        .map(series)
        .collect();
        let names = |all_of_them| {
            let (chosen, left_out) = chosen(&module, &all, all_of_them);
            let names: Vec<String> =
                chosen.iter().map(|series| format!("{} {}", series.checker, series.name)).collect();
            (names, left_out)
        };
        let (few, left_out) = names(false);
        assert_eq!(few, ["cart duration", "process cpu", "process resident-memory", "disk free"]);
        assert_eq!(left_out, 4);
        let (whole, left_out) = names(true);
        assert_eq!((whole.len(), left_out), (8, 0));
        assert!(!whole.iter().any(|name| name.contains("uptime")));
    }
}
