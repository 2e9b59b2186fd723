//! Delivery by a program: the notification as JSON on its standard input.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::id::{CommandName, ModuleName};
use bellwether_core::notify::Notification;

use super::body;
use super::outlet::NotDelivered;
use bellwether_os::clock::Clock;
use bellwether_os::process::ending::Ending;
use bellwether_os::spawn::captured;
use bellwether_os::spawn::child::{Home, Launch};
use bellwether_os::spawn::command::CommandSpec;
use bellwether_os::spawn::execution::Execution;

#[derive(Debug)]
pub(super) struct Program {
    home: Home,
    run: Vec<String>,
}

impl Program {
    pub(super) fn new(run: Vec<String>, home: Home) -> Self {
        Self { home, run }
    }

    /// It is killed with everything that it started when its time is up.
    pub(super) async fn deliver(
        &self,
        notification: &Notification,
        link: Option<&str>,
        clock: Clock,
        within: Duration,
    ) -> Result<(), NotDelivered> {
        let text = body::json(notification, link, clock).to_string().into_bytes();
        let env = BTreeMap::from([("BELLWETHER_KEY".to_owned(), notification.key.clone())]);
        let run = self.run.clone();
        let spec = CommandSpec {
            run,
            keep: false,
            timeout: within,
            leftovers: CommandSpec::LEFTOVERS,
            env,
            dir: None,
            arguments: None,
            execution: Execution::default(),
        };
        // Every name consists of the same characters.
        let name = notification.target.as_str();
        let (command, module) = (CommandName::new(name), ModuleName::new(name));
        let (Ok(command), Ok(module)) = (command, module) else {
            return Err(NotDelivered::new("its name cannot be used"));
        };
        let module = notification.module.as_ref().unwrap_or(&module);
        let launch = Launch { module, command: &command, spec: &spec, arguments: &[] };
        let ended = captured::run(&self.home, &launch, Some(text), within).await;
        let ended = ended.map_err(|error| NotDelivered::new(error.to_string()))?;
        if ended.ending == Ending::Exited(0) {
            return Ok(());
        }
        let said = ended.last_words().map(|line| format!(": {line}")).unwrap_or_default();
        Err(NotDelivered::new(format!("the command {}{said}", ended.ending)))
    }
}
