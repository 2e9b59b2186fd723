//! Files of a module that are not active although it serves: they wait for a person.

use super::{NOTHING_TO_DO, Why};
use crate::counting::counted;

/// A file whose latest version is not active, although it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inactive {
    /// Relative to the root: `modules/web.toml`.
    pub file: String,
    /// Why not.
    pub why: String,
    /// What makes it active.
    pub remedy: Remedy,
}

/// What makes a file active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// A corrected version of the file.
    Correct,
    /// A version that works; the present one is tried again from time to time.
    Replace,
    /// An approval, or the grants that it requests.
    Approve,
}

impl Inactive {
    /// What is wrong, and what to do.
    fn sentence(&self) -> String {
        let Self { file, why, remedy } = self;
        let mut lines = why.lines();
        let first = lines.next().unwrap_or_default().trim_end_matches('.');
        let more = match lines.count() {
            0 => String::new(),
            more => format!(" ({})", counted(more, "more error", "more errors")),
        };
        // Mistakes in a file begin with its name and their line.
        let what = if first.starts_with(file) { first.to_owned() } else { format!("{file}: {first}") };
        let next = match remedy {
            Remedy::Correct => "Correct the file, and check it with `bellwether validate`.".to_owned(),
            Remedy::Replace => {
                "It is tried again from time to time: replace it with one that works.".to_owned()
            }
            Remedy::Approve => {
                let component = file.strip_suffix(".wasm").unwrap_or(file);
                format!("`bellwether approve {component}` lets it run; or grant what it requests.")
            }
        };
        format!("{what}{more}. The previous version stays active. {next}")
    }
}

impl Why {
    /// With the files of the module that are not active.
    #[must_use]
    pub fn beside(mut self, inactive: &[Inactive]) -> Self {
        self.waits = inactive.iter().map(Inactive::sentence).collect();
        if !self.waits.is_empty() && self.next.sentence == NOTHING_TO_DO {
            "Nothing else to do.".clone_into(&mut self.next.sentence);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moment::Moment;
    use crate::snapshot::ModuleView;
    use crate::state::StateName;
    use crate::why::why;

    fn inactive(file: &str, why: &str, remedy: Remedy) -> Inactive {
        Inactive { file: file.into(), why: why.into(), remedy }
    }

    #[test]
    fn a_file_that_is_not_active_says_why_and_what_to_do() {
        let mistake = inactive(
            "modules/web.toml",
            "modules/web.toml:3:1: unknown key `helth`\nmodules/web.toml:5:1: unknown key `drian`",
            Remedy::Correct,
        );
        assert_eq!(
            mistake.sentence(),
            "modules/web.toml:3:1: unknown key `helth` (1 more error). The previous version stays active. Correct \
             the file, and check it with `bellwether validate`."
        );
        let waiting = inactive("checkers/queue.wasm", "it requests ping `10.0.0.1`.", Remedy::Approve);
        assert_eq!(
            waiting.sentence(),
            "checkers/queue.wasm: it requests ping `10.0.0.1`. The previous version stays active. \
             `bellwether approve checkers/queue` lets it run; or grant what it requests."
        );
        let broken = inactive("checkers/queue.wasm", "it panics", Remedy::Replace);
        assert!(broken.sentence().ends_with("replace it with one that works."), "{broken:?}");
    }

    #[test]
    fn while_a_file_waits_for_a_person_there_is_not_nothing_to_do() {
        let web = ModuleView::empty("web".parse().unwrap(), StateName::Up);
        let why = |inactive: &[Inactive]| why(&web, &[], Moment::default()).beside(inactive);
        assert_eq!(why(&[]).next.sentence, NOTHING_TO_DO);
        let refused = why(&[inactive("modules/web.toml", "broken", Remedy::Correct)]);
        assert_eq!((refused.waits.len(), refused.next.sentence.as_str()), (1, "Nothing else to do."));
    }
}
