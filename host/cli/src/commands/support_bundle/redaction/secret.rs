//! Finds what gives access: private keys, passwords, tokens.

use std::borrow::Cow;
use std::ops::Range;

use regex::{Captures, Regex};

use super::Kind;
use super::look::{Pattern, compiled};

/// Everything in PEM is left out, certificates as well: they name hosts.
const LEFT_OUT: &str = "[a key or certificate was here]";
/// For a secret that has no stand-in.
const MASK: &str = "***";

static PEM: Pattern =
    Pattern::new(|| compiled(r"(?s)-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\z)"));
/// `KEY = VALUE`, `"KEY": "VALUE"`, `KEY=VALUE`
static KEYED: Pattern = Pattern::new(|| {
    compiled(r#"([A-Za-z0-9_.-]+)["']?\s*[:=]\s*("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;}&\]"']+)"#)
});
/// `Authorization: Bearer VALUE`: the whole rest of the line.
static HEADER: Pattern = Pattern::new(|| {
    compiled(r#"(?i)\b(?:proxy-)?(?:authorization|cookie|set-cookie)["']?\s*[:=]\s*["']?([^"'\n\\]+)"#)
});
static SCHEME: Pattern = Pattern::new(|| compiled(r#"(?i)\b(?:bearer|basic|digest)\s+([^\s,;"']{8,})"#));
/// `--password VALUE`, and the same in a list.
static OPTION: Pattern =
    Pattern::new(|| compiled(r#"--([A-Za-z0-9-]+)(?:["']\s*,\s*["']|\s+)([^\s"',\]]+)"#));
static IN_URL: Pattern = Pattern::new(|| compiled(r#"://[^\s/@:"'<>]*:([^\s/@"'<>]+)@"#));
static QUERY: Pattern = Pattern::new(|| {
    compiled(r#"(?i)[?&][a-z0-9_.-]*(?:key|sig|signature|auth|code|session|sid)=([^\s&"'#]+)"#)
});
/// The path of a webhook is often all that its receiver asks for.
static WEBHOOK: Pattern =
    Pattern::new(|| compiled(r#"(?is)webhook[^\[]{0,300}?\burl\s*=\s*["'][a-z]+://[^/"']+/([^"']+)["']"#));
static INVITATION: Pattern = Pattern::new(|| compiled(r#"\bbw\d+\.([^\s"',]+)"#));
static LONG: Pattern = Pattern::new(|| compiled(r"[A-Za-z0-9_+-]{20,}={0,2}"));

/// The endings of names of secrets, in lower case and without `-`, `_` and `.`: compare `core/src/health/line.rs`.
const SECRET_NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "token",
    "auth",
    "passcode",
    "key",
    "credential",
    "credentials",
    "cookie",
];
/// Such a name with one of these values has no secret, or it follows.
const NO_SECRETS: [&str; 7] = ["true", "false", "null", "none", "bearer", "basic", "digest"];

/// The text without anything in PEM.
pub(super) fn without_keys(text: &str) -> Cow<'_, str> {
    PEM.replace_all(text, LEFT_OUT)
}

/// All secrets in a text, in every form in which they may occur elsewhere.
pub(super) fn secrets(text: &str) -> Vec<(Kind, String)> {
    let found = spans(text);
    let joined = joined(&found);
    let mut secrets = Vec::new();
    for secret in found.into_iter().chain(joined).filter_map(|span| text.get(span)) {
        secrets.push(secret.to_owned());
        // Without the escapes of TOML and JSON.
        secrets.extend(serde_json::from_str::<String>(&format!("\"{secret}\"")).ok());
        // `Bearer` does not belong to it.
        secrets.extend(secret.split_whitespace().next_back().map(str::to_owned));
    }
    secrets.into_iter().map(|secret| (Kind::Secret, secret)).collect()
}

/// The text with every secret replaced by its stand-in, or by `***` if it has none.
pub(super) fn masked<'s>(text: &str, stand_in: impl Fn(&str) -> Option<&'s str>) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in joined(&spans(text)) {
        masked.push_str(text.get(end..span.start).unwrap_or_default());
        masked.push_str(text.get(span.clone()).and_then(&stand_in).unwrap_or(MASK));
        end = span.end;
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

/// Which part of a match is a secret, if one is.
type Part = fn(&Captures<'_>) -> Option<usize>;

/// Where secrets are. They may overlap.
fn spans(text: &str) -> Vec<Range<usize>> {
    let patterns: [(&Regex, Part); 9] = [
        (&INVITATION, |_| Some(1)),
        (&IN_URL, |_| Some(1)),
        (&WEBHOOK, |_| Some(1)),
        (&QUERY, |_| Some(1)),
        (&HEADER, |found| (!is_nothing(&found[1])).then_some(1)),
        (&SCHEME, |found| looks_random(&found[1]).then_some(1)),
        (&OPTION, |found| (is_secret_name(&found[1]) && !is_nothing(&found[2])).then_some(2)),
        (&KEYED, |found| (is_secret_name(&found[1]) && !is_nothing(&found[2])).then_some(2)),
        (&LONG, |found| is_token(&found[0]).then_some(0)),
    ];
    let mut spans = Vec::new();
    for (pattern, part) in patterns {
        let found = pattern.captures_iter(text);
        let found = found.filter_map(|found| part(&found).and_then(|group| found.get(group)));
        spans.extend(found.map(|secret| {
            let unopened = secret.as_str().trim_start_matches(['"', '\'']);
            let start = secret.end() - unopened.len();
            start..start + unopened.trim_end_matches(['"', '\'', ' ']).len()
        }));
    }
    spans.retain(|span| !span.is_empty());
    spans
}

/// What overlaps is one secret.
fn joined(spans: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut sorted = spans.to_vec();
    sorted.sort_unstable_by_key(|span| (span.start, span.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for span in sorted {
        match joined.last_mut() {
            Some(last) if span.start < last.end => last.end = last.end.max(span.end),
            _ => joined.push(span),
        }
    }
    joined
}

/// Whether the value of a key of this name is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.replace(['-', '_', '.'], "").to_ascii_lowercase();
    // A `key` alone is a file of a certificate's key, or the key of a table.
    name == "authorization" || name != "key" && SECRET_NAMES.iter().any(|secret| name.ends_with(secret))
}

fn is_nothing(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', ' ']);
    let is_masked = value.chars().all(|c| c == '*');
    is_masked || NO_SECRETS.contains(&value.to_ascii_lowercase().as_str()) || value.starts_with(['{', '['])
}

/// Whether a word after `Basic` is no word of prose.
fn looks_random(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    let is_mixed = has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase);
    has(char::is_ascii_digit) || is_mixed || word.ends_with('=')
}

/// Whether it is a long word that no person would choose: a token, a digest.
fn is_token(word: &str) -> bool {
    let count = |kind: fn(&u8) -> bool| word.bytes().filter(kind).count();
    let digits = count(u8::is_ascii_digit);
    let (upper, lower) = (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase));
    let has_long_part = word.split(['-', '_']).any(|part| part.len() >= 16);
    let is_hex = word.len() >= 32 && word.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    is_hex || digits >= 2 && (upper >= 2 && lower >= 2 || has_long_part && upper + lower >= 2)
}
