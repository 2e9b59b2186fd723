//! Style sheet, scripts and icons. They are part of the binary; a debug build reads them from
//! the source folder, so that an edit shows at the next load.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Assets;

/// Changes with every asset: pages ask for their files by it, so that a browser keeps them
/// for ever and never has old ones.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = blake3::Hasher::new();
        for name in Assets::iter() {
            hasher.update(name.as_bytes());
            if let Some(file) = Assets::get(&name) {
                hasher.update(&file.data);
            }
        }
        hasher.finalize().to_hex().as_str().get(..12).unwrap_or_default().to_owned()
    });
    &VERSION
}

/// One file.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let Some(file) = Assets::get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    // Scripts load each other by plain names: they are asked for again, and answered from memory.
    let keep = "private, max-age=0, must-revalidate";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], file.data.into_owned()).into_response()
}

/// The icon of the tab: the bell, and how many modules are down.
pub(super) async fn icon(Path(name): Path<String>) -> Response {
    let Some(down) = name.strip_suffix(".svg").and_then(|count| count.parse::<u32>().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = [(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "private, max-age=86400")];
    (kind, picture(down)).into_response()
}

fn picture(down: u32) -> String {
    let bell =
        "M16 3a2 2 0 0 1 2 2v.8a9 9 0 0 1 7 8.8V20l2.6 4.4H4.4L7 20v-5.4a9 9 0 0 1 7-8.8V5a2 2 0 0 1 2-2Z";
    let count = match down {
        0 => String::new(),
        1..=9 => badge(&down.to_string()),
        _ => badge("9+"),
    };
    let colour = if down == 0 { "#17702f" } else { "#b6201a" };
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 32 32\"><path fill=\"{colour}\" d=\"{bell}\"/>\
         <circle fill=\"{colour}\" cx=\"16\" cy=\"28\" r=\"3\"/>{count}</svg>"
    )
}

fn badge(text: &str) -> String {
    format!(
        "<circle cx=\"23\" cy=\"11\" r=\"9\" fill=\"#fff\" stroke=\"#b6201a\" stroke-width=\"2\"/><text x=\"23\" y=\"15.5\" \
         text-anchor=\"middle\" font-family=\"sans-serif\" font-size=\"12\" font-weight=\"700\" fill=\"#b6201a\">{text}</text>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_carries_the_count() {
        assert!(!picture(0).contains("<text"));
        assert!(picture(2).contains(">2</text>"));
        assert!(picture(12).contains(">9+</text>"));
    }

    #[test]
    fn every_asset_that_a_page_or_a_script_names_is_there() {
        let frame = include_str!("../../../templates/frame.html");
        for name in ["console.css", "console.js"] {
            assert!(frame.contains(&format!("/assets/{name}")));
        }
        for name in Assets::iter() {
            let file = Assets::get(&name).unwrap();
            let text = std::str::from_utf8(&file.data).unwrap();
            let imports = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
            for imported in imports {
                assert!(Assets::get(imported).is_some(), "{name} imports {imported}");
            }
        }
    }
}
