//! How long a drain lasts.

use std::time::Duration;

use crate::command::Command;
use crate::drain::Drain;
use crate::event::Event;
use crate::shutdown::Shutdown;
use crate::state::StateName;

use super::world::{World, module};

#[test]
fn a_drain_lasts_as_long_as_those_need_that_ask_and_less_when_the_daemon_ends() {
    let probed = |world: &mut World, seconds: Option<u64>| {
        world.tell(Event::Probed { module: module(), every: seconds.map(Duration::from_secs) });
    };
    let mut world = World::up();
    world.redefine(|policy| policy.drain = Drain::UntilHeard);
    assert_eq!(world.view().drain, Duration::from_secs(15));
    probed(&mut world, Some(10));
    let view = world.view();
    assert_eq!((view.drain, view.probed_every), (Duration::from_secs(60), Some(Duration::from_secs(10))));
    world.command(Command::Restart);
    assert_eq!(world.state(), StateName::Draining);
    // Probes that are noticed in the meantime have no effect any more.
    probed(&mut world, None);
    world.pass_time(Duration::from_secs(59));
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.state(), StateName::Restarting);

    let mut world = World::up();
    world.redefine(|policy| policy.drain = Drain::UntilHeard);
    probed(&mut world, Some(10));
    world.tell(Event::Ending(Shutdown::Stop));
    world.pass_time(Duration::from_secs(29));
    assert_eq!(world.state(), StateName::Draining);
    world.pass_time(Duration::from_secs(1));
    assert_eq!(world.state(), StateName::Stopping);
}
