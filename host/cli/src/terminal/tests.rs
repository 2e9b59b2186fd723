use bellwether_api::NodeStatus;
use bellwether_core::command::Command;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;
use serde_json::{Value, json};

use super::draw;
use super::model::{Effect, Input, Lost, Mode, Model};
use super::paint::Paint;
use crate::when::TimeFormat;

fn module(name: &str, attention: &str, state: &str, ready: bool) -> Value {
    json!({
        "name": name, "changed": 7, "attention": attention, "state": state, "ready": ready,
        "since": "2026-11-22T21:03:12Z", "reason": format!("why {name} is {state}"), "suspended": false,
        "wanted": "started", "next": null, "restarts": 0, "drain_s": 5.0,
        "budget": { "restarts": 3, "within": "1d", "within_s": 86400 },
        "plan": null, "processes": [{ "pid": 42, "name": "nginx" }],
        "checkers": [{
            "name": "home", "kind": "component", "on_down": "restart", "verdict": "up",
            "since": "2026-11-22T21:03:12Z", "watched": true, "last": null,
        }],
    })
}

fn node(modules: &[Value]) -> NodeStatus {
    let status = json!({
        "node": "node-1", "generation": 9, "at": "2026-11-22T21:07:13Z",
        "headline": "1 of 3 modules down", "modules": modules, "components": [], "problems": [],
    });
    serde_json::from_value(status).unwrap()
}

fn three() -> Model {
    let modules = [
        module("api", "well", "up", true),
        module("db", "down", "failed", false),
        module("web", "well", "up", true),
    ];
    let mut model = Model::new(None);
    model.update(Input::Status(node(&modules)));
    model
}

fn press(model: &mut Model, keys: &str) -> Vec<Effect> {
    keys.chars().flat_map(|key| hit(model, KeyCode::Char(key))).collect()
}

fn hit(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    model.update(Input::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn chosen(model: &Model) -> &str {
    model.chosen.as_ref().unwrap().as_str()
}

fn picture(model: &mut Model, columns: u16, rows: u16, color: bool) -> Terminal<TestBackend> {
    let when = TimeFormat::at("2026-11-22T21:07:13Z").unwrap();
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw::draw(model, &Paint { color, when }, frame)).unwrap();
    terminal
}

#[test]
fn the_worst_module_comes_first_and_is_chosen() {
    let model = three();
    let names: Vec<&str> = model.visible().iter().map(|module| module.name.as_str()).collect();
    assert_eq!(names, ["db", "api", "web"]);
    assert_eq!(chosen(&model), "db");
}

#[test]
fn the_choice_stays_with_its_module_whatever_moves() {
    let mut model = three();
    press(&mut model, "jj");
    assert_eq!(chosen(&model), "web");
    press(&mut model, "j");
    assert_eq!(chosen(&model), "web", "it stops at the end");
    model.update(Input::Status(node(&[
        module("api", "well", "up", true),
        module("web", "down", "failed", false),
    ])));
    assert_eq!((chosen(&model), model.position()), ("web", Some(0)));
    let effects = model.update(Input::Status(node(&[module("api", "well", "up", true)])));
    assert_eq!(chosen(&model), "api");
    assert_eq!(effects, [Effect::Follow(Some("api".parse().unwrap()))]);
}

#[test]
fn the_last_ready_node_is_taken_out_only_by_its_modules_name() {
    let mut model = three();
    press(&mut model, "jj");
    press(&mut model, "S");
    assert!(matches!(&model.mode, Mode::Confirm(confirm) if confirm.by_name));
    assert_eq!(hit(&mut model, KeyCode::Enter), []);
    assert_eq!(press(&mut model, "wex"), []);
    hit(&mut model, KeyCode::Backspace);
    assert_eq!(press(&mut model, "b"), []);
    let web = "web".parse().unwrap();
    let send = Effect::Send { module: web, command: Command::Stop, seen: 7, confirmed: true };
    assert_eq!(hit(&mut model, KeyCode::Enter), [send]);
    assert_eq!(model.mode, Mode::Look);
}

#[test]
fn every_command_key_asks_first_and_only_y_gives_it() {
    for (key, command) in
        [("s", Command::Start), ("r", Command::Restart), ("p", Command::Suspend), ("R", Command::Reset)]
    {
        let mut model = three();
        assert_eq!(press(&mut model, key), [], "{key}");
        assert_eq!(hit(&mut model, KeyCode::Enter), [], "{key}: Enter alone is no yes");
        let send = Effect::Send { module: "db".parse().unwrap(), command, seen: 7, confirmed: false };
        assert_eq!(press(&mut model, "y"), [send], "{key}");
        press(&mut model, key);
        hit(&mut model, KeyCode::Esc);
        assert_eq!(model.mode, Mode::Look);
        assert_eq!(press(&mut model, "y"), [], "{key}: it was left");
    }
}

#[test]
fn what_would_come_to_nothing_is_said_and_not_asked() {
    let mut model = three();
    press(&mut model, "js");
    assert_eq!(model.answer.as_ref().unwrap().text, "start api: nothing to do: it is up");
    assert_eq!(model.mode, Mode::Look);
}

#[test]
fn without_contact_nothing_is_commanded_and_nothing_old_looks_fresh() {
    let mut model = three();
    let lost = Lost { since: "2026-11-22T21:06:00Z".into(), why: "no daemon runs on /srv".into() };
    model.update(Input::Lost(lost));
    press(&mut model, "r");
    assert_eq!(model.mode, Mode::Look);
    let text = picture(&mut model, 80, 24, true).backend().to_string();
    assert!(text.contains("no data since") && text.contains("was failed") && !text.contains('●'), "{text}");
    insta::assert_snapshot!(text);
    model.update(Input::Status(node(&[module("api", "well", "up", true)])));
    let text = picture(&mut model, 80, 24, true).backend().to_string();
    assert!(text.contains("● up") && !text.contains("no data"), "{text}");
}

#[test]
fn a_filter_narrows_while_it_is_typed() {
    let mut model = three();
    press(&mut model, "/FAIL");
    assert_eq!(model.visible().len(), 1);
    hit(&mut model, KeyCode::Enter);
    assert_eq!((chosen(&model), &model.mode), ("db", &Mode::Look));
    hit(&mut model, KeyCode::Esc);
    assert_eq!(model.visible().len(), 3);
    press(&mut model, "/zzz");
    assert_eq!(model.chosen, None);
    assert!(picture(&mut model, 80, 24, true).backend().to_string().contains("No module matches."));
}

#[test]
fn every_size_has_a_picture() {
    for (columns, rows) in [(200, 60), (80, 24), (40, 24), (40, 8), (20, 5), (1, 1)] {
        for keys in ["", "?", "S"] {
            let mut model = three();
            press(&mut model, "jj");
            press(&mut model, keys);
            picture(&mut model, columns, rows, true);
            hit(&mut model, KeyCode::Esc);
            hit(&mut model, KeyCode::Enter);
            picture(&mut model, columns, rows, true);
        }
    }
}

#[test]
fn the_pictures_are_as_they_were() {
    let mut model = three();
    insta::assert_snapshot!("list_120", picture(&mut model, 120, 16, true).backend());
    insta::assert_snapshot!("list_80", picture(&mut model, 80, 16, true).backend());
    insta::assert_snapshot!("list_40", picture(&mut model, 40, 16, true).backend());
    press(&mut model, "jS");
    insta::assert_snapshot!("stop", picture(&mut model, 80, 24, true).backend());
    hit(&mut model, KeyCode::Esc);
    hit(&mut model, KeyCode::Enter);
    insta::assert_snapshot!("detail", picture(&mut model, 80, 24, true).backend());
}

#[test]
fn without_colour_shape_and_word_say_the_same() {
    let mut model = three();
    let (with, without) = (picture(&mut model, 80, 24, true), picture(&mut model, 80, 24, false));
    assert_eq!(with.backend().to_string(), without.backend().to_string());
    let colored = |terminal: &Terminal<TestBackend>| {
        terminal.backend().buffer().content().iter().any(|cell| cell.fg != Color::Reset)
    };
    assert!(colored(&with) && !colored(&without));
}
