//! Responses contain no terminal escape sequences and no direction marks, whatever their source: most responses are
//! shown on a terminal, and many of their texts come from components, applications and files.

use axum::body::{Body, to_bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use bellwether_core::text::json;

/// A complete JSON response. Lines of a stream are escaped one by one.
pub(super) async fn answer(response: Response) -> Response {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    if !kind.is_some_and(|kind| matches!(kind, "application/json" | "application/problem+json")) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // It is already in memory.
    let Ok(bytes) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let plain = std::str::from_utf8(&bytes).map(json);
    match plain {
        Ok(std::borrow::Cow::Owned(plain)) => {
            parts.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(parts, Body::from(plain))
        }
        _ => Response::from_parts(parts, Body::from(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_would_be_obeyed_is_taken_out() {
        let clean = |text: &'static str, kind: &'static str| async move {
            let response = ([(header::CONTENT_TYPE, kind)], text).into_response();
            let body = to_bytes(answer(response).await.into_body(), 1 << 10).await.unwrap();
            String::from_utf8(body.to_vec()).unwrap()
        };
        let text = r#"{"a":"x\u001b[1my\n\r"}"#;
        assert_eq!(clean(text, "application/json").await, r#"{"a":"x[1my\n"}"#);
        assert_eq!(clean(text, "application/problem+json").await, r#"{"a":"x[1my\n"}"#);
        assert_eq!(clean(text, "text/plain").await, text);
    }
}
