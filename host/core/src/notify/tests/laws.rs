//! Invariants, checked against the whole history.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{World, down, policy, same_content_under_a_key, state, up};
use crate::moment::Moment;
use crate::notify::{Item, ItemState, Notification, State, Topic};
use crate::state::StateName;

#[derive(Debug, Clone)]
enum Happening {
    Down(usize),
    Up(usize),
    Restarts,
    Time(u64),
    Breaks(bool),
    Crashes,
}

const CHECKERS: [&str; 3] = ["home", "process", "disk"];

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => (0..CHECKERS.len()).prop_map(Happening::Down),
        4 => (0..CHECKERS.len()).prop_map(Happening::Up),
        1 => Just(Happening::Restarts),
        6 => prop_oneof![1u64..30, 30u64..900].prop_map(Happening::Time),
        1 => any::<bool>().prop_map(Happening::Breaks),
        1 => Just(Happening::Crashes),
    ]
}

/// The actual history: when each checker went down or up, and nothing else.
#[derive(Default)]
struct History {
    turns: Vec<(Moment, usize, bool)>,
    broke: bool,
}

impl History {
    fn is_down(&self, checker: usize) -> Option<bool> {
        self.turns.iter().rev().find(|(_, other, _)| *other == checker).map(|(_, _, down)| *down)
    }

    fn first_down(&self, checker: usize) -> Option<Moment> {
        self.turns.iter().find(|(_, other, down)| *other == checker && *down).map(|(at, ..)| *at)
    }
}

fn run(world: &mut World, happenings: &[Happening]) -> History {
    let mut history = History::default();
    for happening in happenings {
        match happening {
            Happening::Down(checker) => {
                history.turns.push((world.now, *checker, true));
                world.happens("web", down(CHECKERS[*checker]));
            }
            Happening::Up(checker) => {
                if history.is_down(*checker).is_some() {
                    history.turns.push((world.now, *checker, false));
                }
                world.happens("web", up(CHECKERS[*checker]));
            }
            Happening::Restarts => world.happens("web", state(StateName::Up, StateName::Restarting)),
            Happening::Time(seconds) => world.passes(*seconds),
            Happening::Breaks(broken) => {
                world.broken = *broken;
                history.broke |= broken;
            }
            Happening::Crashes => world.crashes(),
        }
    }
    history
}

fn last_said<'w>(world: &'w World, checker: &str) -> Option<(Moment, &'w Item)> {
    let told: Vec<_> = world.arrived().collect();
    let find = |told: &'w Notification| told.items.iter().find(|item| item.about == checker);
    told.into_iter().rev().find_map(|(at, told)| Some((at, find(told)?)))
}

proptest! {
    #[test]
    fn nothing_is_lost_and_the_last_word_is_the_truth(
        happenings in proptest::collection::vec(happening(), 0..60),
    ) {
        let mut world = World::new(policy(&Topic::ALL));
        let history = run(&mut world, &happenings);
        world.broken = false;
        // The longest delay of an attempt, then the time until everything is calm.
        world.passes(300 + 300 + 300);
        let any_down = (0..CHECKERS.len()).any(|index| history.is_down(index) == Some(true));
        for (index, checker) in CHECKERS.iter().enumerate() {
            let Some(down) = history.is_down(index) else { continue };
            let (_, item) = last_said(&world, checker).expect("whatever went down was told");
            if down {
                let true_word = matches!(item.state, ItemState::Lasts | ItemState::Flapping);
                prop_assert!(true_word, "{} is {:?}", checker, item.state);
            } else if any_down {
                // The end of the others is sent with the next notification, or the end of all.
            } else {
                prop_assert_eq!(item.state, ItemState::Over, "{}", checker);
            }
        }
        same_content_under_a_key(&world);
    }

    #[test]
    fn a_target_that_works_is_told_in_time_and_not_too_often(
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut world = World::new(policy(&[Topic::Incident, Topic::Recovered]));
        let happenings: Vec<Happening> = happenings
            .into_iter()
            .filter(|happening| !matches!(happening, Happening::Breaks(_)))
            .collect();
        let history = run(&mut world, &happenings);
        world.passes(60);
        for (index, checker) in CHECKERS.iter().enumerate() {
            let Some(began) = history.first_down(index) else { continue };
            let in_time = began + Duration::from_secs(10);
            let told = world.arrived().find(|(_, told)| told.items.iter().any(|i| i.about == *checker));
            prop_assert!(told.is_some_and(|(at, _)| at <= in_time), "{}", checker);
        }
        // Within one calm period, each alert begins at most twice and ends at most twice for the recipients,
        // whatever it does.
        let moments: Vec<Moment> = world.arrived().map(|(at, _)| at).collect();
        for (index, begin) in moments.iter().enumerate() {
            let within = moments[index..].iter().filter(|at| at.since(*begin).as_secs() < 300).count();
            prop_assert!(within <= 4 * CHECKERS.len(), "{} in 5 minutes", within);
        }
    }

    #[test]
    fn whatever_is_stored_is_small_and_is_read_again(
        happenings in proptest::collection::vec(happening(), 0..200),
    ) {
        let mut world = World::new(policy(&Topic::ALL));
        run(&mut world, &happenings);
        let stored = serde_json::to_vec(world.notifier.state()).unwrap();
        prop_assert!(stored.len() < 16 << 10);
        let again: State = serde_json::from_slice(&stored).unwrap();
        prop_assert_eq!(again.record(), world.notifier.state().record());
    }
}
