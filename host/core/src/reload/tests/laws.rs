//! Invariants, checked against a model that knows only the files on the disk.

use std::time::Duration;

use proptest::prelude::*;

use super::world::*;
use super::{Event, Origin};
use crate::long::cases;

const COMPONENTS: [&str; 3] = ["a", "b", "c"];
const MODULES: [&str; 3] = ["m", "n", "o"];

#[derive(Debug, Clone)]
enum Happening {
    DropComponent {
        name: &'static str,
        component: Component,
    },
    DropModule {
        name: &'static str,
        says: Says,
    },
    Delete {
        file: usize,
    },
    Time {
        millis: u64,
    },
    Finish {
        task: usize,
    },
    Run,
    Approve {
        name: &'static str,
    },
    DiskIsFull(bool),
    LookNow {
        trust_changed: bool,
    },
    /// The daemon is killed, and the next one starts.
    Restart,
}

fn component(only_good: bool) -> impl Strategy<Value = Component> {
    let behaviour = prop_oneof![
        4 => Just(Behaviour::Well),
        1 => Just(Behaviour::Breaks),
        1 => Just(Behaviour::BreaksLater),
        1 => Just(Behaviour::Garbage),
    ];
    let takes = prop_oneof![2 => Just(None), 1 => (0_u8..2).prop_map(Some)];
    (1_u32..40, behaviour, takes, prop::bool::weighted(0.3)).prop_map(
        move |(number, behaviour, takes, asks)| {
            // Equal versions behave the same.
            let all = Component { number, behaviour, takes, asks };
            if only_good { well(number) } else { Component { number: number * 1000 + tag(all), ..all } }
        },
    )
}

fn tag(component: Component) -> u32 {
    let takes = component.takes.map_or(2, u32::from);
    component.behaviour as u32 * 6 + takes * 2 + u32::from(component.asks)
}

fn says(only_good: bool) -> impl Strategy<Value = Says> {
    let uses = prop::collection::btree_set(prop::sample::select(COMPONENTS.to_vec()), 1..3);
    (prop::bool::weighted(0.15), uses, 0_u8..2, any::<bool>()).prop_map(
        move |(mistaken, uses, config, grants)| Says {
            mistaken: mistaken && !only_good,
            uses: uses.into_iter().collect(),
            config,
            grants,
        },
    )
}

fn happening(only_good: bool) -> impl Strategy<Value = Happening> {
    let component = (prop::sample::select(COMPONENTS.to_vec()), component(only_good));
    let module = (prop::sample::select(MODULES.to_vec()), says(only_good));
    prop_oneof![
        5 => component.prop_map(|(name, component)| Happening::DropComponent { name, component }),
        4 => module.prop_map(|(name, says)| Happening::DropModule { name, says }),
        1 => (0_usize..6).prop_map(|file| Happening::Delete { file }),
        6 => (1_u64..2_000).prop_map(|millis| Happening::Time { millis }),
        1 => (10_000_u64..100_000).prop_map(|millis| Happening::Time { millis }),
        8 => (0_usize..4).prop_map(|task| Happening::Finish { task }),
        3 => Just(Happening::Run),
        1 => prop::sample::select(COMPONENTS.to_vec()).prop_map(|name| Happening::Approve { name }),
        1 => prop::bool::weighted(0.3).prop_map(Happening::DiskIsFull),
        1 => any::<bool>().prop_map(|trust_changed| Happening::LookNow { trust_changed }),
        1 => Just(Happening::Restart),
    ]
}

fn happen(world: &mut World, happening: &Happening) {
    match happening {
        Happening::DropComponent { name, component } => world.drop_component(name, *component),
        Happening::DropModule { name, says } => world.drop_module(name, says.clone()),
        Happening::Delete { file } => {
            if let Some(file) = world.files().get(*file).cloned() {
                world.delete(&file);
            }
        }
        Happening::Time { millis } => world.pass(Duration::from_millis(*millis)),
        Happening::Finish { task } => {
            if world.tasks() > 0 {
                world.finish(task % world.tasks());
            }
        }
        Happening::Run => world.run_checkers(),
        Happening::Approve { name } => world.approve(name),
        Happening::DiskIsFull(true) => world.disk_is_full = true,
        Happening::DiskIsFull(false) => world.disk_is_free(),
        Happening::LookNow { trust_changed } => {
            let trust_changed = *trust_changed;
            world.tell(Event::LookNow { rescan: Duration::from_secs(5), trust_changed });
        }
        Happening::Restart => {
            let killed = std::mem::replace(world, World::new()).killed();
            *world = killed.begin();
        }
    }
}

/// A world in which these things have happened, the first of them before the start, and which has come to rest
/// since. The world itself checks that nothing becomes active that must not.
fn at_rest(before: &[Happening], happenings: &[Happening]) -> World {
    let mut world = World::new();
    for happening in before {
        if matches!(happening, Happening::DropComponent { .. } | Happening::DropModule { .. }) {
            happen(&mut world, happening);
        }
    }
    world.prompt = false;
    let mut world = world.begin();
    for happening in happenings {
        happen(&mut world, happening);
    }
    world.disk_is_free();
    world.prompt = true;
    while world.tasks() > 0 {
        world.finish(0);
    }
    // Until even files that disappeared all at once count as removed.
    world.pass(Duration::from_secs(660));
    world
}

/// The model: a file that exists is active, or it is shown why not; one that does not exist is neither.
fn agrees_with_the_disk(world: &World) -> Result<(), TestCaseError> {
    let files = world.files();
    for file in &files {
        let is_active = world.is_active(file);
        prop_assert!(is_active != world.shown.contains_key(file), "{}: {:?}", file, world.shown);
    }
    for shown in world.shown.keys() {
        prop_assert!(files.contains(shown), "{} is shown and gone", shown);
    }
    for name in world.modules.keys() {
        prop_assert!(files.contains(&module(name.as_str())), "{} is active and gone", name);
    }
    for (key, (_, origin)) in &world.components {
        let expected = *origin == Origin::Embedded || files.contains(&checker(key.1.as_str()));
        prop_assert!(expected, "{:?} is active and gone", key);
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(150, 5000))]

    #[test]
    fn at_rest_every_file_is_active_or_it_is_shown_why_not(
        before in prop::collection::vec(happening(false), 0..6),
        happenings in prop::collection::vec(happening(false), 0..40),
    ) {
        agrees_with_the_disk(&at_rest(&before, &happenings))?;
    }

    /// Nothing that was active is lost by a restart, unless it did not fit.
    #[test]
    fn a_restart_takes_no_module_away(
        before in prop::collection::vec(happening(false), 0..6),
        happenings in prop::collection::vec(happening(false), 0..40),
    ) {
        let world = at_rest(&before, &happenings);
        let fitting: Vec<_> = world.fitting_modules();
        let mut world = world.killed().begin();
        let held = world.quarantined();
        prop_assert!(
            world.loaded.iter().all(|digest| !held.contains(digest)),
            "{:?} of {:?} were compiled", held, world.loaded
        );
        for name in fitting {
            prop_assert!(world.modules.contains_key(&name), "{} is lost: {:?}", name, world.shown);
        }
        world.pass(Duration::from_secs(5));
        agrees_with_the_disk(&world)?;
    }

    #[test]
    fn files_that_are_all_good_are_all_active_at_last(
        before in prop::collection::vec(happening(true), 0..6),
        happenings in prop::collection::vec(happening(true), 0..40),
    ) {
        let world = at_rest(&before, &happenings);
        agrees_with_the_disk(&world)?;
        if world.all_is_well() {
            prop_assert!(world.files().iter().all(|file| world.is_active(file)), "{:?}", world.shown);
        }
    }
}
