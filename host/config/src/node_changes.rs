//! The changes in `bellwether.toml` while the daemon runs.

use super::spec::NodeSpec;

/// The differences between the active settings and the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NodeChanges {
    /// Changes that take effect immediately.
    pub now: Vec<&'static str>,
    /// Changes that take effect at the next start of the daemon.
    pub restart: Vec<&'static str>,
}

impl NodeChanges {
    /// From the active specification to another one.
    pub fn between(old: &NodeSpec, new: &NodeSpec) -> Self {
        // A new key does not compile until it is handled here.
        let NodeSpec {
            name,
            health,
            health_pair,
            agent_checks,
            limits,
            http,
            trust,
            rescan,
            journal,
            shutdown,
            notify,
            metrics,
            telemetry,
            console,
            farm,
        } = old;
        let now: &[(bool, &'static str)] = &[
            (*http != new.http, "http"),
            (*trust != new.trust, "trust"),
            (*rescan != new.rescan, "reload.rescan"),
            (*shutdown != new.shutdown, "shutdown"),
        ];
        let restart: &[(bool, &'static str)] = &[
            (*name != new.name, "name"),
            (*health != new.health, "health.listen"),
            (*health_pair != new.health_pair, "health.certificate"),
            (*agent_checks != new.agent_checks, "agent-check"),
            (*limits != new.limits, "limits"),
            (*notify != new.notify, "notify"),
            (*metrics != new.metrics, "metrics.listen"),
            (*telemetry != new.telemetry, "telemetry"),
            (*console != new.console, "console"),
            (*farm != new.farm, "farm"),
            (*journal != new.journal, "journal"),
        ];
        let changed = |all: &[(bool, &'static str)]| {
            all.iter().filter_map(|(changed, key)| changed.then_some(*key)).collect()
        };
        Self { now: changed(now), restart: changed(restart) }
    }

    /// For `status`: one sentence for each key that waits for a restart.
    pub fn waiting(&self) -> Vec<String> {
        let sentence = |key: &&str| {
            format!("bellwether.toml: `{key}` has changed: that takes effect at the next start of the daemon")
        };
        self.restart.iter().map(sentence).collect()
    }

    /// One sentence for the journal.
    pub fn sentence(&self) -> String {
        let parts = [
            (!self.now.is_empty()).then(|| format!("{} active now", self.now.join(", "))),
            (!self.restart.is_empty())
                .then(|| format!("{} at the next start of the daemon", self.restart.join(", "))),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "nothing has changed".to_owned() } else { parts.join("; ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::parse_node;

    fn changes(new: &str) -> NodeChanges {
        let of = |text| parse_node(text, "host").unwrap().spec;
        NodeChanges::between(&of(""), &of(new))
    }

    #[test]
    fn each_key_is_in_force_at_once_or_waits_for_the_next_start() {
        assert_eq!(changes("").sentence(), "nothing has changed");
        for (text, key) in [
            ("[http]\nproxy = \"http://proxy:3128\"", "http"),
            ("[trust]\nkeys = [\"RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3\"]", "trust"),
            ("[reload]\nrescan = \"5s\"", "reload.rescan"),
            ("[shutdown]\napplications = \"stop\"", "shutdown"),
        ] {
            assert_eq!(changes(text), NodeChanges { now: vec![key], restart: vec![] }, "{text}");
        }
        for (text, key) in [
            ("name = \"other\"", "name"),
            ("[health]\nlisten = \"127.0.0.1:1\"", "health.listen"),
            ("[health]\ncertificate = \"a\"\nkey = \"b\"", "health.certificate"),
            ("[[agent-check]]\nlisten = \"127.0.0.1:1\"", "agent-check"),
            ("[limits]\nmemory = \"32MiB\"", "limits"),
            ("[journal]\nkeep = \"30d\"", "journal"),
            ("[[notify]]\nname = \"page\"\ncommand = [\"page\"]", "notify"),
            ("[metrics]\nlisten = \"127.0.0.1:1\"", "metrics.listen"),
            ("[console]\nenabled = false", "console"),
            ("[farm]\nzone = \"eu-1a\"", "farm"),
        ] {
            assert_eq!(changes(text), NodeChanges { now: vec![], restart: vec![key] }, "{text}");
        }
    }

    #[test]
    fn both_kinds_are_told_in_one_sentence() {
        let changes = changes("name = \"other\"\n[shutdown]\nwithin = \"5s\"");
        assert_eq!(changes.sentence(), "shutdown active now; name at the next start of the daemon");
        assert_eq!(changes.waiting().len(), 1);
    }
}
