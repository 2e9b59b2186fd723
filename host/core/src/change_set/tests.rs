//! Tables, and a reference that tries every combination.

use proptest::prelude::*;

use super::*;

type Name = &'static str;

fn module(name: &str) -> ModuleName {
    ModuleName::new(name).unwrap()
}

fn m(name: &str) -> File<Name> {
    File::Module(module(name))
}

fn c(name: Name) -> File<Name> {
    File::Component(name)
}

fn change(batch: u64, readiness: Readiness, names: &[Name]) -> ChangedFile<Name> {
    ChangedFile { batch, readiness, names: names.iter().copied().collect() }
}

/// The module `web` uses the component `http`; these files have changed.
fn web(changed: &[(File<Name>, ChangedFile<Name>)]) -> Picture<Name> {
    Picture {
        in_force: BTreeMap::from([(module("web"), BTreeSet::from(["http"]))]),
        changed: changed.iter().cloned().collect(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is a fit like the others")]
fn always(_: &ModuleName, _: Version, _: &Name, _: Version) -> Result<(), String> {
    Ok(())
}

/// Only versions with the same number match.
fn same_age(_: &ModuleName, module: Version, _: &Name, component: Version) -> Result<(), String> {
    if module == component { Ok(()) } else { Err("unlike".to_owned()) }
}

fn applied(decision: &Decision<Name>) -> Vec<File<Name>> {
    decision.apply.iter().cloned().collect()
}

#[test]
fn a_module_and_its_component_go_together_or_not_at_all() {
    use Readiness::{Bad, Coming, Good};
    for (of_module, of_component, together) in [
        (Good, Good, true),
        (Good, Bad, false),
        (Bad, Good, false),
        (Coming, Good, false),
        (Good, Coming, false),
    ] {
        let picture =
            web(&[(m("web"), change(1, of_module, &["http"])), (c("http"), change(1, of_component, &[]))]);
        let decision = decide(&picture, &always);
        let expected = if together { vec![m("web"), c("http")] } else { vec![] };
        assert_eq!(applied(&decision), expected, "{of_module:?} {of_component:?}");
    }
}

#[test]
fn files_that_have_nothing_to_do_with_each_other_do_not_wait_for_each_other() {
    let picture = web(&[
        (m("web"), change(1, Readiness::Good, &["http"])),
        (c("python"), change(1, Readiness::Coming, &[])),
        (c("tcp"), change(1, Readiness::Good, &[])),
    ]);
    assert_eq!(applied(&decide(&picture, &always)), [m("web"), c("tcp")]);
}

#[test]
fn what_was_changed_at_another_time_is_not_waited_for() {
    let picture = web(&[
        (m("web"), change(2, Readiness::Good, &["http"])),
        (c("http"), change(1, Readiness::Bad, &[])),
    ]);
    assert_eq!(applied(&decide(&picture, &always)), [m("web")]);
}

#[test]
fn a_component_that_no_longer_takes_a_config_waits_for_the_modules_file() {
    let component = (c("http"), change(1, Readiness::Good, &[]));
    let decision = decide(&web(std::slice::from_ref(&component)), &same_age);
    assert_eq!(applied(&decision), []);
    assert_eq!(decision.held[&c("http")], Hold::Misfit(m("web"), "unlike".to_owned()));
    let later = (m("web"), change(2, Readiness::Good, &["http"]));
    let decision = decide(&web(&[component, later.clone()]), &same_age);
    assert_eq!(applied(&decision), [m("web"), c("http")]);
    // And in the other direction.
    let decision = decide(&web(&[later]), &same_age);
    assert_eq!(decision.held[&m("web")], Hold::Misfit(c("http"), "unlike".to_owned()));
}

#[test]
fn a_module_that_names_its_component_no_more_frees_it() {
    let picture = web(&[
        (m("web"), change(2, Readiness::Good, &["tcp"])),
        (c("http"), change(1, Readiness::Good, &[])),
    ]);
    let fit = |_: &ModuleName, _: Version, name: &Name, _: Version| {
        if *name == "http" { Err("unlike".to_owned()) } else { Ok(()) }
    };
    assert_eq!(applied(&decide(&picture, &fit)), [m("web"), c("http")]);
}

#[test]
fn of_two_that_do_not_fit_each_other_the_one_that_fits_what_is_in_force_goes() {
    let picture = web(&[
        (m("web"), change(1, Readiness::Good, &["http"])),
        (c("http"), change(2, Readiness::Good, &[])),
    ]);
    let fit = |_: &ModuleName, module: Version, _: &Name, component: Version| {
        if (module, component) == (Version::New, Version::New) { Err("unlike".to_owned()) } else { Ok(()) }
    };
    let decision = decide(&picture, &fit);
    assert_eq!(applied(&decision), [c("http")]);
    assert_eq!(decision.held[&m("web")], Hold::Misfit(c("http"), "unlike".to_owned()));
}

const MODULES: [&str; 2] = ["a", "b"];
const COMPONENTS: [Name; 3] = ["x", "y", "z"];

fn names() -> impl Strategy<Value = BTreeSet<Name>> {
    prop::collection::btree_set(prop::sample::select(COMPONENTS.to_vec()), 0..3)
}

fn changes() -> impl Strategy<Value = Option<(u64, u8)>> {
    prop::option::of((0_u64..2, 0_u8..5))
}

fn picture() -> impl Strategy<Value = Picture<Name>> {
    let modules = prop::collection::vec((prop::option::of(names()), changes(), names()), 2);
    let components = prop::collection::vec(changes(), 3);
    (modules, components).prop_map(|(modules, components)| {
        let readiness = |word: u8| match word {
            0 => Readiness::Coming,
            1 => Readiness::Bad,
            _ => Readiness::Good,
        };
        let mut picture = Picture { in_force: BTreeMap::new(), changed: BTreeMap::new() };
        for (name, (before, new, names)) in MODULES.iter().zip(modules) {
            before.map(|before| picture.in_force.insert(module(name), before));
            let new = new.map(|(batch, word)| ChangedFile { batch, readiness: readiness(word), names });
            new.map(|new| picture.changed.insert(m(name), new));
        }
        for (name, new) in COMPONENTS.iter().zip(components) {
            let new = new.map(|(batch, word)| change(batch, readiness(word), &[]));
            new.map(|new| picture.changed.insert(c(name), new));
        }
        picture
    })
}

/// Whether the files of this combination may be activated: a direct transcription of the rules.
fn allowed(picture: &Picture<Name>, choice: &BTreeSet<File<Name>>, fit: Fit<'_, Name>) -> bool {
    let good = choice.iter().all(|file| picture.changed[file].readiness == Readiness::Good);
    let whole = choice.iter().all(|one| {
        picture.changed.keys().all(|other| choice.contains(other) || !together(picture, one, other))
    });
    let version = |file: &File<Name>| if choice.contains(file) { Version::New } else { Version::InForce };
    let fits = MODULES.iter().all(|name| {
        let of_module = version(&m(name));
        let names = match of_module {
            Version::New => Some(&picture.changed[&m(name)].names),
            Version::InForce => picture.in_force.get(&module(name)),
        };
        names.into_iter().flatten().all(|component| {
            let of_component = version(&c(component));
            (of_module, of_component) == (Version::InForce, Version::InForce)
                || fit(&module(name), of_module, component, of_component).is_ok()
        })
    });
    good && whole && fits
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_decided_is_allowed_and_nothing_could_go_besides(picture in picture(), seed: u64) {
        let fit = |module: &ModuleName, of_module: Version, component: &Name, of_component: Version| {
            // Some match, some do not: always the same for one seed.
            let place = MODULES.iter().position(|name| *name == module.as_str()).unwrap() * 12
                + COMPONENTS.iter().position(|name| name == component).unwrap() * 4
                + usize::from(of_module == Version::New) * 2
                + usize::from(of_component == Version::New);
            if seed >> place & 1 == 0 || seed >> (place + 24) & 1 == 0 { Ok(()) } else { Err(String::new()) }
        };
        let decision = decide(&picture, &fit);
        prop_assert!(allowed(&picture, &decision.apply, &fit), "{:?}", decision);
        let good: Vec<&File<Name>> = picture
            .changed
            .iter()
            .filter_map(|(file, change)| (change.readiness == Readiness::Good).then_some(file))
            .collect();
        // Every valid file is either activated or has a reason why not.
        for file in &good {
            prop_assert!(decision.apply.contains(*file) != decision.held.contains_key(*file), "{:?}", decision);
        }
        // If all can be activated, all are.
        let choices = (0_u32..1 << good.len()).map(|bits| -> BTreeSet<File<Name>> {
            let chosen = good.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
            chosen.map(|(_, file)| (*file).clone()).collect()
        });
        let possible: Vec<_> = choices.filter(|choice| allowed(&picture, choice, &fit)).collect();
        let all_sets: BTreeSet<_> = sets(&picture, &mut BTreeMap::new()).into_iter().flatten().collect();
        if possible.contains(&all_sets) {
            prop_assert_eq!(&decision.apply, &all_sets);
        }
        // No set that is held could be activated in addition.
        for set in sets(&picture, &mut BTreeMap::new()) {
            let with: BTreeSet<_> = decision.apply.union(&set).cloned().collect();
            prop_assert!(with == decision.apply || !possible.contains(&with), "{:?} and {:?}", decision, set);
        }
    }
}
