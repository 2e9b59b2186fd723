use std::net::Ipv4Addr;
use std::time::Instant;

use bellwether_core::access::ONE_TIME;

use super::*;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PASSWORD: &str = "correct horse";

struct World {
    access: Access,
    events: mpsc::Receiver<Message>,
    root: tempfile::TempDir,
}

async fn world() -> World {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("state")).unwrap();
    let (sender, events) = mpsc::channel(100);
    let (access, damaged) = Access::open(root.path(), Clock::start(), sender);
    assert_eq!(damaged, None);
    let world = World { access, events, root };
    world.access.add_user("alice", Role::Admin, Some(PASSWORD.into()), "root").await.unwrap();
    world
}

impl World {
    async fn signed_in(&self) -> SignedIn {
        self.access.sign_in("alice", PASSWORD.into(), HERE).await.unwrap()
    }

    async fn told(&mut self) -> String {
        let Some(Message::Event(Event::Noted { kind, .. })) = self.events.recv().await else { panic!() };
        kind.sentence()
    }
}

use bellwether_core::event::Event;

/// Attempts to sign in until it has to wait, and returns the minimum delay from this instant on.
///
/// The first delay begins with the first attempt that is not free. If the machine is so busy that the delay is over
/// before the next attempt, that one gets a delay that is twice as long.
async fn until_too_soon(
    mut attempt: impl AsyncFnMut(u32) -> Result<SignedIn, Refusal>,
) -> (Instant, Duration) {
    let mut last = Instant::now();
    for failures in 0..BY_ACCOUNT.free {
        let before = std::mem::replace(&mut last, Instant::now());
        match attempt(failures).await {
            Err(Refusal::Wrong) => {
                let waited = failures < BY_ADDRESS.free || before.elapsed() >= BY_ADDRESS.first;
                assert!(waited, "try {} after {:?}", failures + 1, before.elapsed());
            }
            Err(Refusal::TooSoon(wait)) => {
                assert!(failures >= BY_ADDRESS.free, "after {failures} failures");
                return (last, wait);
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("{} tries, and none of them came too soon", BY_ACCOUNT.free);
}

#[tokio::test]
async fn who_signs_in_is_known_by_the_cookie_and_acts_by_the_key_alone() {
    let mut world = world().await;
    let signed_in = world.signed_in().await;
    let known = world.access.by_cookie(&signed_in.cookie).unwrap();
    assert_eq!((known.name.as_str(), known.role), ("alice", Role::Admin));
    assert!(world.access.may_act(&signed_in.cookie, &signed_in.act_key));
    assert!(!world.access.may_act(&signed_in.cookie, &signed_in.cookie));
    assert!(world.access.by_cookie("something else").is_none());
    assert_eq!(world.told().await, "root added user alice with the role admin");
    assert_eq!(world.told().await, "alice from 127.0.0.1 signed in");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_refused_in_the_same_words() {
    let world = world().await;
    let wrong = world.access.sign_in("alice", "wrong password".into(), HERE).await.unwrap_err();
    let unknown = world.access.sign_in("bob", PASSWORD.into(), HERE).await.unwrap_err();
    assert_eq!(wrong.to_string(), unknown.to_string());
}

#[tokio::test]
async fn who_fails_too_often_waits_also_with_the_right_password() {
    let world = world().await;
    let sign_in = async |password: &str| world.access.sign_in("alice", password.to_owned(), HERE).await;
    loop {
        let (since, wait) = until_too_soon(async |_| sign_in("wrong password").await).await;
        let refused = sign_in(PASSWORD).await;
        if matches!(refused, Err(Refusal::TooSoon(_))) {
            break;
        }
        // On a busy machine the delay may be over, and then all failures are forgotten.
        assert!(refused.is_ok() && since.elapsed() >= wait, "{refused:?} after {:?}", since.elapsed());
    }
    let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
    assert!(
        world.access.sign_in("alice", PASSWORD.into(), elsewhere).await.is_ok(),
        "others are not kept waiting"
    );
}

#[tokio::test]
async fn a_change_of_role_password_or_user_ends_the_sign_ins_and_tells_their_streams() {
    let world = world().await;
    world.access.add_user("bob", Role::Control, Some(PASSWORD.into()), "root").await.unwrap();
    for change in 0..3 {
        let signed_in = world.access.sign_in("bob", PASSWORD.into(), HERE).await.unwrap();
        let mut ended = world.access.by_cookie(&signed_in.cookie).unwrap().ended;
        match change {
            0 => world.access.set_role("bob", Role::Monitor, "alice").await.unwrap(),
            1 => world.access.set_password("bob", PASSWORD.into(), "alice").await.unwrap(),
            _ => world.access.remove_user("bob", "alice").await.unwrap(),
        }
        ended.wait_for(|ended| *ended).await.unwrap();
        assert!(world.access.by_cookie(&signed_in.cookie).is_none());
    }
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked_or_expires() {
    let world = world().await;
    let secret = world.access.create_token("ci", Role::Monitor, None, "alice").await.unwrap();
    assert!(secret.starts_with("bw_") && secret.len() == 67);
    let mut known = world.access.by_token(&secret).unwrap();
    assert_eq!(known.role, Role::Monitor);
    assert!(world.access.tokens()[0].last_used.is_some());
    world.access.revoke_token("ci", "alice").await.unwrap();
    known.ended.wait_for(|ended| *ended).await.unwrap();
    assert!(world.access.by_token(&secret).is_none());
    let short = world.access.create_token("ci", Role::Admin, Some(Duration::ZERO), "alice").await.unwrap();
    assert!(world.access.by_token(&short).is_none());
}

#[tokio::test]
async fn what_a_token_keeps_open_ends_when_it_expires() {
    let world = world().await;
    // The next lifetime, if the machine is so busy that the link expires before it is used.
    for life in [200, 2_000, 20_000].map(Duration::from_millis) {
        let secret = world.access.create_token("ci", Role::Monitor, Some(life), "alice").await.unwrap();
        let expires = world.access.tokens()[0].expires.unwrap();
        let Some(mut known) = world.access.by_token(&secret) else {
            assert!(world.access.wall() >= expires, "it is not known before it expires");
            world.access.revoke_token("ci", "alice").await.unwrap();
            continue;
        };
        while world.access.wall() < expires {
            world.access.keep().await;
        }
        world.access.keep().await;
        assert!(*known.ended.borrow_and_update());
        return;
    }
    panic!("no token was ever used before it expired");
}

#[tokio::test]
async fn a_network_of_ipv6_is_one_address_to_those_who_guess() {
    let world = world().await;
    let attempt = async |host: u32| {
        let from = format!("2001:db8::{host}").parse().unwrap();
        world.access.sign_in(&format!("nobody{host}"), "guessed".to_owned(), from).await
    };
    until_too_soon(attempt).await;
}

#[tokio::test]
async fn a_one_time_address_signs_in_once() {
    let world = world().await;
    let code = world.access.one_time("alice", ONE_TIME, "root").unwrap();
    assert_eq!(world.access.one_time_for(&code).as_deref(), Some("alice"), "looking at it uses nothing up");
    assert!(world.access.redeem(&code, HERE).await.is_ok());
    assert!(matches!(world.access.redeem(&code, HERE).await, Err(Refusal::UsedUp)));
    assert!(
        matches!(world.access.one_time("bob", ONE_TIME, "root"), Err(Refusal::NoSuch(AccountKind::User, ref name)) if name == "bob")
    );
}

#[tokio::test]
async fn the_last_admin_stays_one() {
    let world = world().await;
    world.access.add_user("bob", Role::Monitor, None, "root").await.unwrap();
    assert!(matches!(world.access.set_role("alice", Role::Monitor, "alice").await, Err(Refusal::LastAdmin)));
    assert!(matches!(world.access.remove_user("alice", "alice").await, Err(Refusal::LastAdmin)));
    world.access.set_role("bob", Role::Admin, "alice").await.unwrap();
    world.access.remove_user("alice", "bob").await.unwrap();
}

#[tokio::test]
async fn the_next_daemon_knows_them_all_and_the_file_tells_no_secret() {
    let world = world().await;
    let signed_in = world.signed_in().await;
    let token = world.access.create_token("ci", Role::Control, None, "alice").await.unwrap();
    let text = std::fs::read_to_string(world.root.path().join("state/access.json")).unwrap();
    for secret in [PASSWORD, signed_in.cookie.as_str(), signed_in.act_key.as_str(), &token[3..]] {
        assert!(!text.contains(secret));
    }
    let (next, damaged) = Access::open(world.root.path(), world.access.0.clock, mpsc::channel(1).0);
    assert_eq!(damaged, None);
    assert_eq!(next.by_cookie(&signed_in.cookie).unwrap().name, "alice");
    assert!(next.may_act(&signed_in.cookie, &signed_in.act_key));
    assert_eq!(next.by_token(&token).unwrap().role, Role::Control);
}

#[tokio::test]
async fn the_file_is_left_alone_while_nothing_changes_and_shows_who_was_here_once_somebody_was() {
    use std::os::unix::fs::MetadataExt as _;
    let world = world().await;
    let signed_in = world.signed_in().await;
    let file = || std::fs::metadata(world.root.path().join("state/access.json")).unwrap().ino();
    world.access.keep().await;
    let before = file();
    world.access.keep().await;
    assert_eq!(file(), before, "not replaced");
    world.access.sign_out(&signed_in.cookie, "alice".into()).await.unwrap();
    world.access.keep().await;
    let text = std::fs::read_to_string(world.root.path().join("state/access.json")).unwrap();
    assert!(text.contains("alice") && text.contains(r#""sessions": []"#), "{text}");
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_lets_nobody_in() {
    let world = world().await;
    let path = world.root.path().join("state/access.json");
    std::fs::write(&path, "{").unwrap();
    let (next, damaged) = Access::open(world.root.path(), Clock::start(), mpsc::channel(1).0);
    assert!(damaged.unwrap().contains("damaged"));
    assert!(!next.has_users() && !path.exists());
}

#[tokio::test]
async fn a_password_that_is_easy_to_guess_is_not_taken() {
    let world = world().await;
    let short = world.access.add_user("bob", Role::Monitor, Some("short".into()), "root").await;
    assert!(matches!(short, Err(Refusal::BadPassword { .. })));
}
