//! A module that serves while a checker that only notifies is down.

use crate::observation::Status;
use crate::policy::OnDown;
use crate::snapshot::Load;

use super::world::World;

#[test]
fn a_notice_asks_for_less_only_where_the_file_says_so() {
    let mut world = World::new().process("app").component("page", OnDown::Notify).load_up();
    for _ in 0..3 {
        world.see("page", Status::Fail);
    }
    assert_eq!((world.ready(), world.view().load), (true, None));
    world.redefine(|policy| policy.degrade = true);
    for _ in 0..3 {
        world.see("page", Status::Fail);
    }
    assert_eq!((world.ready(), world.view().load), (true, Some(Load::Degraded)));
    for _ in 0..2 {
        world.see("page", Status::Pass);
    }
    assert_eq!((world.ready(), world.view().load), (true, Some(Load::Full)));
}
