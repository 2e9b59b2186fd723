//! `resolve = ["db.internal", "*.svc.internal"]`

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use super::address::{is_host_name, normal_name};
use super::{Grant, GrantKind, Grants, NotationError, Refusal};

/// A name that may be resolved, or with `*.` all names below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameGrant {
    /// Lower case, without `*.`.
    name: String,
    /// Names below it, but not the name itself.
    below: bool,
}

impl FromStr for NameGrant {
    type Err = NotationError;

    fn from_str(text: &str) -> Result<Self, NotationError> {
        let (name, below) = match text.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (text, false),
        };
        if name.parse::<IpAddr>().is_ok() {
            let why = format!("`{text}` is an address: there is nothing to look up");
            return Err(NotationError::new(why).help("grant `connect` with a port"));
        }
        if !is_host_name(name) {
            return Err(NotationError::new(format!("`{text}` is not a host name"))
                .help("a name is granted without a port; `*.` is allowed only as its prefix"));
        }
        Ok(Self { name: normal_name(name), below })
    }
}

impl fmt::Display for NameGrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

impl NameGrant {
    /// Compares `name` in its normal form.
    pub(super) fn covers(&self, name: &str) -> bool {
        if self.below {
            name.strip_suffix(&self.name).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
        } else {
            name == self.name
        }
    }

    pub(super) fn includes(&self, other: &Self) -> bool {
        if other.below {
            self.below && (self.name == other.name || self.covers(&other.name))
        } else {
            self.covers(&other.name)
        }
    }
}

impl Grants {
    /// Whether a name may be resolved: only one that a grant names, because every look-up reveals the name to a
    /// name server. An address in the form of a name needs no look-up and is always allowed. Returns the grant that
    /// names it.
    pub fn may_look_up(&self, name: &str) -> Result<Option<Grant<'_>>, Refusal> {
        if name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(None);
        }
        let name = normal_name(name);
        let naming = self.all().find(|grant| match grant {
            Grant::Connect(grant) => grant.host.is_name(&name),
            Grant::Http(grant) => grant.host.is_name(&name),
            Grant::Resolve(grant) => grant.covers(&name),
            _ => false,
        });
        if naming.is_some() {
            return Ok(naming);
        }
        let refusal = Refusal::missing(GrantKind::Resolve, format!("look up `{name}`"), &name);
        let way = format!("{}, or connect = [\"{name}:PORT\"] with the port it connects to", refusal.way);
        Err(Refusal { way, ..refusal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_only_when_a_grant_names_it() {
        let mut grants = Grants::default();
        grants.add(GrantKind::Connect, "db.internal:5432").unwrap();
        grants.add(GrantKind::Http, "https://api.internal").unwrap();
        grants.add(GrantKind::Resolve, "*.svc.internal").unwrap();
        grants.add(GrantKind::Resolve, "Plain.Example").unwrap();
        for (asked, allowed) in [
            ("db.internal", true),
            ("DB.Internal.", true),
            ("api.internal", true),
            ("plain.example", true),
            ("a.svc.internal", true),
            ("a.b.SVC.internal.", true),
            ("svc.internal", false),
            (".svc.internal", false),
            ("evilsvc.internal", false),
            ("db.internal.evil", false),
            ("secret-data.evil", false),
            ("127.0.0.1", true),
            ("::1", true),
            ("[::1]", true),
            ("", false),
        ] {
            assert_eq!(grants.may_look_up(asked).is_ok(), allowed, "{asked}");
        }
        assert_eq!(
            grants.may_look_up("x.evil").unwrap_err().to_string(),
            "refused: look up `x.evil`; to allow it add grant = { resolve = [\"x.evil\"] }, \
             or connect = [\"x.evil:PORT\"] with the port it connects to"
        );
    }

    #[test]
    fn only_names_can_be_granted() {
        for text in ["db.internal", "*.internal", "localhost"] {
            assert_eq!(text.parse::<NameGrant>().unwrap().to_string(), text);
        }
        for text in ["10.0.0.1", "::1", "a:80", "*", "*.", "a.*", "*a.b", "a..b", "a b", ""] {
            assert!(text.parse::<NameGrant>().is_err(), "{text}");
        }
    }
}
