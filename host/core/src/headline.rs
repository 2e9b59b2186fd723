//! One sentence about a whole node, for everything that shows several modules: its worst problem.

use crate::attention::Attention;
use crate::counting::{all_are, counted};
use crate::snapshot::ModuleView;

/// The counted facts about a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeCounts {
    /// The number of active modules.
    pub modules: usize,
    /// The number of those that serve.
    pub ready: usize,
    /// The number of those that should serve and do not.
    pub down: usize,
    /// The urgency of the worst of them.
    pub worst: Attention,
    /// Module files without any active version: their applications are not monitored.
    pub never_loaded: usize,
    /// Other files whose latest version is not active: rejected, in quarantine, or waiting for approval.
    pub not_in_force: usize,
    /// Other problems of the daemon.
    pub problems: usize,
    /// The core is stalled: everything may be outdated.
    pub stalled: bool,
}

/// The sentence, and the urgency of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// One sentence, without a full stop.
    pub sentence: String,
    /// The urgency of the node.
    pub worst: Attention,
}

impl NodeCounts {
    /// The counts for these modules, with nothing else known.
    pub fn of<'a>(modules: impl IntoIterator<Item = &'a ModuleView>) -> Self {
        let mut counts = Self { worst: Attention::Well, ..Self::default() };
        for module in modules {
            let attention = Attention::of(module);
            counts.modules += 1;
            counts.ready += usize::from(module.ready);
            counts.down += usize::from(attention == Attention::Down);
            counts.worst = counts.worst.min(attention);
        }
        counts
    }

    /// All modules that should serve and do not, including those that were never loaded.
    pub fn all_down(&self) -> usize {
        self.down + self.never_loaded
    }

    /// The sentence for the worst problem.
    pub fn headline(&self) -> Headline {
        if self.stalled {
            let sentence =
                "The core has stalled: the data shown may be outdated, and health checks fail".to_owned();
            return Headline { sentence, worst: Attention::Down };
        }
        let besides = self.besides();
        let worst = match (self.all_down(), &besides) {
            (1.., _) => Attention::Down,
            (0, Some(_)) => self.worst.min(Attention::Warned),
            (0, None) => self.worst,
        };
        let modules = self.of_modules();
        let sentence = match besides {
            Some(besides) if worst == Attention::Warned => format!("{modules}, but {besides}"),
            Some(besides) => format!("{modules}, and {besides}"),
            None => modules,
        };
        Headline { sentence, worst }
    }

    fn of_modules(&self) -> String {
        let Self { modules, ready, .. } = *self;
        let all = modules + self.never_loaded;
        match (all, self.all_down()) {
            (0, _) => "There are no modules yet".to_owned(),
            (1, 1) if self.never_loaded == 1 => "The module has not been loaded".to_owned(),
            (1, 0) if ready == 0 => "The module is not ready".to_owned(),
            (all, 0) if ready == all => format!("{} ready", all_are(all, "module", "modules")),
            (all, 0) => format!("{ready} of {all} modules ready"),
            (all, down) if down == all => format!("{} down", all_are(all, "module", "modules")),
            (all, down) => format!("{down} of {all} modules down"),
        }
    }

    /// Problems other than those of modules.
    fn besides(&self) -> Option<String> {
        let some = |count: usize, one: &str, many: &str| (count > 0).then(|| counted(count, one, many));
        let files = some(self.not_in_force, "file is not active", "files are not active");
        let there = if self.problems == 1 { "there is" } else { "there are" };
        let problems = some(self.problems, "problem with the daemon", "problems with the daemon")
            .map(|problems| format!("{there} {problems}"));
        match (files, problems) {
            (Some(files), Some(problems)) => Some(format!("{files}, and {problems}")),
            (files, problems) => files.or(problems),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateName;

    fn said(counts: NodeCounts) -> (String, Attention) {
        let Headline { sentence, worst } = counts.headline();
        (sentence, worst)
    }

    fn ready(modules: usize) -> NodeCounts {
        NodeCounts { modules, ready: modules, worst: Attention::Well, ..NodeCounts::default() }
    }

    #[test]
    fn refused_files_are_worse_than_all_modules_being_ready() {
        let counts = NodeCounts { not_in_force: 3, ..ready(3) };
        assert_eq!(
            said(counts),
            ("All 3 modules are ready, but 3 files are not active".into(), Attention::Warned)
        );
        let counts = NodeCounts { problems: 1, not_in_force: 1, ..ready(1) };
        assert_eq!(
            said(counts),
            (
                "The module is ready, but 1 file is not active, and there is 1 problem with the daemon"
                    .into(),
                Attention::Warned
            )
        );
    }

    #[test]
    fn a_module_that_was_never_loaded_counts_as_down() {
        let counts = NodeCounts { never_loaded: 1, ..ready(2) };
        assert_eq!(said(counts), ("1 of 3 modules down".into(), Attention::Down));
        let counts = NodeCounts { never_loaded: 1, not_in_force: 2, ..ready(2) };
        assert_eq!(said(counts), ("1 of 3 modules down, and 2 files are not active".into(), Attention::Down));
        assert_eq!(said(NodeCounts { never_loaded: 1, ..ready(0) }).0, "The module has not been loaded");
    }

    #[test]
    fn nothing_is_worse_than_a_core_that_has_stalled() {
        let (sentence, worst) = said(NodeCounts { stalled: true, ..ready(2) });
        assert!(sentence.starts_with("The core has stalled") && worst == Attention::Down, "{sentence}");
    }

    #[test]
    fn when_nothing_is_wrong_it_says_so() {
        assert_eq!(said(ready(0)), ("There are no modules yet".into(), Attention::Well));
        assert_eq!(said(ready(1)), ("The module is ready".into(), Attention::Well));
        assert_eq!(said(ready(2)), ("Both modules are ready".into(), Attention::Well));
        let moving = NodeCounts { ready: 1, worst: Attention::Moving, ..ready(2) };
        assert_eq!(said(moving), ("1 of 2 modules ready".into(), Attention::Moving));
        assert_eq!(said(ready(3)), ("All 3 modules are ready".into(), Attention::Well));
    }

    #[test]
    fn when_all_are_down_it_says_so() {
        let down = |modules| NodeCounts { down: modules, worst: Attention::Down, ready: 0, ..ready(modules) };
        let sentences = [1, 2, 3].map(|modules| said(down(modules)).0);
        assert_eq!(sentences, ["The module is down", "Both modules are down", "All 3 modules are down"]);
    }

    #[test]
    fn modules_are_counted_by_what_they_need() {
        let module = |state| ModuleView::empty("web".parse().unwrap(), state);
        let modules = [module(StateName::Up), module(StateName::Failed), module(StateName::Stopped)];
        let counts = NodeCounts::of(&modules);
        assert_eq!((counts.modules, counts.ready, counts.down, counts.worst), (3, 1, 1, Attention::Down));
        assert_eq!(NodeCounts::of([]).worst, Attention::Well);
    }
}
