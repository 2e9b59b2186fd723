//! Error responses in the form of RFC 9457, with the next step.

use bellwether_api::Problem;
use bellwether_journal::NotRead;

/// The daemon did not answer in time.
pub(super) fn overdue() -> Problem {
    Problem {
        title: "overdue".into(),
        status: 504,
        detail: "the daemon did not answer in time".into(),
        next: "try again; if it stays so, look at the daemon's log".into(),
    }
}

/// The journal could not be read.
pub(super) fn not_read(error: &NotRead) -> Problem {
    let next = match error {
        NotRead::TooMuch => "ask for less: a module, a kind, or a shorter time",
        NotRead::Disk(_) => "see `bellwether status`",
    };
    Problem { title: "not read".into(), status: 503, detail: error.to_string(), next: next.into() }
}

/// The address does not exist.
pub(super) async fn no_such_page() -> Problem {
    Problem {
        title: "no such page".into(),
        status: 404,
        detail: "there is nothing at this address".into(),
        next: "use the `bellwether` of the daemon's own version".into(),
    }
}

/// The address does not support this method.
pub(super) async fn no_such_method() -> Problem {
    Problem { title: "no such method".into(), status: 405, ..no_such_page().await }
}
