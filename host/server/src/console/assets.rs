//! Style sheet, scripts and icons. They are part of the binary; a debug build reads them from the source folder, so
//! that an edit is visible at the next load.

use std::borrow::Cow;
use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The table of the files in `assets/`, by name.
macro_rules! assets {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/", $name)))),+]
    };
}

const ASSETS: &[(&str, &[u8])] = assets![
    "act.js",
    "confirm.js",
    "console.css",
    "console.js",
    "keys.js",
    "live.js",
    "log.js",
    "morph.js",
    "signed-in.js",
    "time.js",
];

/// The content of an asset, if one has that name.
fn content(name: &str) -> Option<Cow<'static, [u8]>> {
    let (known, embedded) = ASSETS.iter().find(|(known, _)| *known == name)?;
    if cfg!(debug_assertions)
        && let Ok(edited) = std::fs::read(format!("{}/assets/{known}", env!("CARGO_MANIFEST_DIR")))
    {
        return Some(Cow::Owned(edited));
    }
    Some(Cow::Borrowed(embedded))
}

/// A digest of all assets: pages request their files with it, so that a browser can cache them forever and never
/// uses outdated ones.
pub(super) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let mut hasher = blake3::Hasher::new();
        for (name, _) in ASSETS {
            hasher.update(name.as_bytes());
            hasher.update(&content(name).unwrap_or_default());
        }
        hasher.finalize().to_hex().as_str().get(..12).unwrap_or_default().to_owned()
    });
    &VERSION
}

/// The handler of one asset.
pub(super) async fn file(Path(name): Path<String>) -> Response {
    let Some(content) = content(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let kind = match name.rsplit_once('.') {
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "js")) => "text/javascript; charset=utf-8",
        Some((_, "svg")) => "image/svg+xml",
        _ => "application/octet-stream",
    };
    // Scripts import each other by plain names: those requests are repeated, and answered from memory.
    let keep = "private, max-age=0, must-revalidate";
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], content.into_owned()).into_response()
}

/// The icon of the tab: the bell, and the number of modules that are down.
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
    fn every_file_of_the_folder_is_embedded() {
        let folder = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")).unwrap();
        let mut files: Vec<_> =
            folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort_unstable();
        let embedded: Vec<_> = ASSETS.iter().map(|(name, _)| *name).collect();
        assert_eq!(files, embedded);
    }

    #[test]
    fn every_asset_that_a_page_or_a_script_names_is_there() {
        let frame = include_str!("../../templates/frame.html");
        for name in ["console.css", "console.js"] {
            assert!(frame.contains(&format!("/assets/{name}")));
        }
        for (name, embedded) in ASSETS {
            let text = std::str::from_utf8(embedded).unwrap();
            let imports = text.split("from \"./").skip(1).filter_map(|rest| rest.split('"').next());
            for imported in imports {
                assert!(content(imported).is_some(), "{name} imports {imported}");
            }
        }
    }
}
