//! The grants that a component requests, compared with those that it has.

use serde::{Deserialize, Serialize};

use super::{ConnectGrant, GrantKind, Grants, HttpGrant, NameGrant, PingGrant, ReadGrant};

/// A grant that a component requests, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct GrantRequest {
    /// The grant's name, as in a module file: `connect`.
    pub kind: String,
    /// The value in that grant's notation; empty if it depends on the configuration.
    pub value: String,
    /// Why it needs the grant.
    pub reason: String,
}

impl GrantRequest {
    /// The matching grant, in the notation of the file. Where the component leaves the value open, a word in
    /// capitals stands for it.
    pub fn to_add(&self) -> String {
        let Ok(kind) = self.kind.parse::<GrantKind>() else {
            return format!("this version of Bellwether has no grant `{}`", self.kind);
        };
        let or = |word: &str| if self.value.is_empty() { word.to_owned() } else { self.value.clone() };
        let value = match kind {
            GrantKind::Connect => or("HOST:PORT"),
            GrantKind::Resolve | GrantKind::Ping => or("HOST"),
            GrantKind::Http => or("ORIGIN"),
            GrantKind::Read => or("DIRECTORY"),
            GrantKind::Env | GrantKind::Commands => or("NAME"),
            GrantKind::Secrets => return format!("grant = {{ secrets = {{ {} = \"FILE\" }} }}", or("NAME")),
            GrantKind::Processes => return "grant = { processes = true }".to_owned(),
        };
        format!("grant = {{ {kind} = [{value:?}] }}")
    }

    /// Whether two requests are for the same grant.
    fn is(&self, other: &Self) -> bool {
        self.kind == other.kind && self.value == other.value
    }

    /// Whether it is granted. A request without a value is met by any grant of its kind; a kind that this host does
    /// not know can never be met.
    fn is_met(&self, grants: &Grants) -> bool {
        let Ok(kind) = self.kind.parse::<GrantKind>() else { return false };
        if self.value.is_empty() {
            return grants.has(kind);
        }
        let mut asked = Grants::default();
        // A secret is requested by its name; its file is chosen by the operator.
        let value = match kind {
            GrantKind::Secrets => format!("{}=asked", self.value),
            _ => self.value.clone(),
        };
        // A value that is not in the grant's notation cannot be compared, and counts as missing.
        asked.add(kind, &value).is_ok() && includes(grants, &asked)
    }
}

/// Whether everything in `asked` is in `grants`.
fn includes(grants: &Grants, asked: &Grants) -> bool {
    fn all<T>(granted: &[T], asked: &[T], includes: impl Fn(&T, &T) -> bool) -> bool {
        asked.iter().all(|asked| granted.iter().any(|granted| includes(granted, asked)))
    }
    all(&grants.connect, &asked.connect, ConnectGrant::includes)
        && all(&grants.unix, &asked.unix, |granted, asked| granted == asked)
        && all(&grants.resolve, &asked.resolve, NameGrant::includes)
        && all(&grants.http, &asked.http, HttpGrant::includes)
        && all(&grants.read, &asked.read, ReadGrant::includes)
        && all(&grants.ping, &asked.ping, PingGrant::includes)
        && asked.env.is_subset(&grants.env)
        && asked.secrets.keys().all(|name| grants.secrets.contains_key(name))
        && asked.commands.is_subset(&grants.commands)
        && (grants.processes || !asked.processes)
}

/// Requested grants that are missing.
pub fn missing(requests: &[GrantRequest], grants: &Grants) -> Vec<GrantRequest> {
    requests.iter().filter(|request| !request.is_met(grants)).cloned().collect()
}

/// Grants that a new version requests, the previous version did not request, and that are missing.
pub fn wider(before: &[GrantRequest], after: &[GrantRequest], grants: &Grants) -> Vec<GrantRequest> {
    let new = |request: &&GrantRequest| !before.iter().any(|earlier| earlier.is(request));
    after.iter().filter(new).filter(|request| !request.is_met(grants)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: &str, value: &str) -> GrantRequest {
        GrantRequest { kind: kind.to_owned(), value: value.to_owned(), reason: "because".to_owned() }
    }

    fn grants() -> Grants {
        let mut grants = Grants::default();
        for (kind, text) in [
            (GrantKind::Connect, "10.0.0.0/8:443"),
            (GrantKind::Connect, "unix:/run/app.sock"),
            (GrantKind::Resolve, "*.internal"),
            (GrantKind::Http, "GET,POST https://api.internal"),
            (GrantKind::Read, "/etc/app"),
            (GrantKind::Env, "LANG"),
            (GrantKind::Secrets, "password=/etc/app/secret"),
            (GrantKind::Commands, "probe"),
        ] {
            grants.add(kind, text).unwrap();
        }
        grants
    }

    #[test]
    fn what_is_asked_for_is_met_by_what_includes_it() {
        for (kind, value, met) in [
            ("connect", "", true),
            ("connect", "10.1.2.3:443", true),
            ("connect", "10.1.0.0/16:443", true),
            ("connect", "10.1.2.3:80", false),
            ("connect", "udp:10.1.2.3:443", false),
            ("connect", "0.0.0.0/0:443", false),
            ("connect", "unix:/run/app.sock", true),
            ("connect", "unix:/run/other.sock", false),
            ("resolve", "db.internal", true),
            ("resolve", "*.svc.internal", true),
            ("resolve", "*.example", false),
            ("http", "POST https://api.internal", true),
            ("http", "https://api.internal", false),
            ("read", "/etc/app/conf.d", true),
            ("read", "/etc", false),
            ("env", "LANG", true),
            ("env", "HOME", false),
            ("secrets", "password", true),
            ("secrets", "key", false),
            ("commands", "probe", true),
            ("commands", "", true),
            ("processes", "", false),
            ("processes", "true", false),
            ("ping", "", false),
            ("connect", "nonsense", false),
            ("teleport", "", false),
        ] {
            let asked = [request(kind, value)];
            assert_eq!(missing(&asked, &grants()).is_empty(), met, "{kind} {value}");
        }
    }

    #[test]
    fn the_grant_to_add_is_one_that_meets_the_request() {
        for (kind, value, add) in [
            ("connect", "10.0.0.1:53", "grant = { connect = [\"10.0.0.1:53\"] }"),
            ("connect", "", "grant = { connect = [\"HOST:PORT\"] }"),
            ("secrets", "db-password", "grant = { secrets = { db-password = \"FILE\" } }"),
            ("processes", "", "grant = { processes = true }"),
            ("commands", "", "grant = { commands = [\"NAME\"] }"),
            ("teleport", "x", "this version of Bellwether has no grant `teleport`"),
        ] {
            assert_eq!(request(kind, value).to_add(), add);
        }
    }

    #[test]
    fn only_what_is_new_and_not_granted_makes_a_version_wider() {
        let before = [request("connect", ""), request("ping", "10.0.0.1")];
        let after = [
            request("connect", ""),
            request("ping", "10.0.0.1"),
            request("ping", "10.0.0.2"),
            request("env", "LANG"),
            request("processes", ""),
        ];
        let wider = |grants: &Grants| -> Vec<String> {
            wider(&before, &after, grants)
                .iter()
                .map(|request| format!("{} {}", request.kind, request.value))
                .collect()
        };
        assert_eq!(wider(&grants()), ["ping 10.0.0.2", "processes "]);
        assert_eq!(wider(&Grants { processes: true, ..grants() }), ["ping 10.0.0.2"]);
        assert_eq!(super::wider(&after, &before, &Grants::default()), []);
    }
}
