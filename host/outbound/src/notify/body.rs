//! A notification as JSON: the body for webhooks and commands.

use bellwether_core::id::ModuleName;
use bellwether_core::notify::{Item, Notification};
use serde_json::{Value, json};

use bellwether_os::clock::Clock;

/// Fields are added, never renamed. Chat programs show only `text`.
pub(super) fn json(notification: &Notification, link: Option<&str>, clock: Clock) -> Value {
    let Notification {
        key,
        node,
        target,
        module,
        standing,
        reminder,
        at,
        items,
        left_out,
        modules_left_out: _,
        more,
    } = notification;
    // Chat programs show only the text.
    let seen_at = link.map(|link| format!("\n{link}")).unwrap_or_default();
    let alerts: Vec<Value> = items.iter().map(|item| alert(item, module.as_ref(), clock)).collect();
    let modules: Vec<&ModuleName> = notification.modules().into_iter().flatten().collect();
    json!({
        "text": format!("{}{seen_at}", notification.text()),
        "title": notification.title(),
        "status": standing.word(),
        "node": node,
        "module": module,
        "modules": modules,
        "link": link,
        "target": target,
        "key": key,
        "at": clock.timestamp(*at),
        "reminder": reminder,
        "alerts": alerts,
        "left_out": left_out,
        "more": more,
    })
}

fn alert(item: &Item, only: Option<&ModuleName>, clock: Clock) -> Value {
    let Item { module, topic, about, state, summary, since, until, times } = item;
    json!({
        "module": module.as_ref().or(only),
        "kind": topic.word(),
        "about": about,
        "state": state.word(),
        "summary": summary,
        "since": clock.timestamp(*since),
        "until": until.as_ref().map(|(at, _)| clock.timestamp(*at)),
        "ended": until.as_ref().map(|(_, why)| why),
        "times": times,
    })
}
