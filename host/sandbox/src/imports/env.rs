//! Environment variables of the daemon, as far as `env` grants permit.
//!
//! A component gets the granted variables when its run begins; it cannot ask for others, so there is nothing to
//! refuse.

use std::ffi::OsString;

use bellwether_core::grant::{Grant, GrantKind, Grants, Refusal};

use crate::output::Output;

/// The granted variables that are set. `variable` looks one up by its name.
pub(crate) fn granted(
    grants: &Grants,
    output: &Output,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Vec<(String, String)> {
    let mut granted = Vec::new();
    for name in &grants.env {
        match variable(name.as_str()).map(OsString::into_string) {
            Some(Ok(value)) => {
                output.has_used(Grant::Env(name));
                granted.push((name.to_string(), value));
            }
            // WASI passes only text, and a converted value would be wrong.
            Some(Err(_)) => {
                let wanted = format!("read the variable {name}");
                output.refuse(Refusal::unavailable(GrantKind::Env, wanted, "its value is not UTF-8"));
            }
            None => {}
        }
    }
    granted
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;
    use bellwether_config::spec::RunLimits;

    #[test]
    fn granted_variables_are_given_as_they_are_or_not_at_all() {
        let environment = |name: &str| match name {
            "LANG" => Some("C.UTF-8".into()),
            "EMPTY" => Some(OsString::new()),
            "BYTES" => Some(OsString::from_vec(vec![0xff])),
            "SECRET" => Some("hunter2".into()),
            _ => None,
        };
        let mut grants = Grants::default();
        for name in ["LANG", "EMPTY", "BYTES", "UNSET"] {
            grants.add(GrantKind::Env, name).unwrap();
        }
        let output = Output::new(&RunLimits::default());
        let given = granted(&grants, &output, environment);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(given, [pair("EMPTY", ""), pair("LANG", "C.UTF-8")]);
        let used = [(GrantKind::Env, "EMPTY".to_owned()), (GrantKind::Env, "LANG".to_owned())];
        assert_eq!(output.take_used(), used);
        let refusals: Vec<_> = output.take().2.iter().map(ToString::to_string).collect();
        assert_eq!(refusals, ["refused: read the variable BYTES; its value is not UTF-8"]);
    }
}
