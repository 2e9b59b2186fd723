//! `/nodes/{name}/…`: the API of any node, through this one. The node that is asked checks the role.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse as _, Response};
use bellwether_api::Problem;
use bellwether_core::id::NodeName;
use futures_util::StreamExt as _;

use super::forwarded::call;
use super::handlers::{no_such_node, part};
use crate::api::extract::Path;
use crate::api::problem::no_such_page;
use crate::api::{Caller, Handle, MAX_BODY, routes};

/// The maximum size of a JSON response of another node, which is held in memory.
const MAX_ANSWER: usize = 64 << 20;
/// The headers of a request that are forwarded. Cookies and tokens are not.
const FORWARDED: [header::HeaderName; 2] = [header::ACCEPT, header::CONTENT_TYPE];
/// The headers of a response that are passed on.
const PASSED_ON: [header::HeaderName; 3] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::ALLOW];

pub(in crate::api) async fn ask(
    State(daemon): State<Handle>,
    Extension(mut caller): Extension<Caller>,
    Path((name, _)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(path) = path_there(request.uri()) else { return Err(no_such_page().await) };
    let Ok(node) = NodeName::new(&name) else { return Err(no_such_node(&*daemon, &name).await) };
    let request = forwarded_request(path, request).await?;
    if node == daemon.snapshot().node {
        return Ok(call(routes(daemon).layer(Extension(caller)), request).await);
    }
    if daemon.farm().is_none() {
        return Err(no_such_node(&*daemon, &name).await);
    }
    let as_whom = (caller.name.clone(), caller.role);
    let response = match part(&*daemon)?.ask(node, request, as_whom).await {
        Ok(response) => response,
        Err(refusal) if refusal.kind == super::FarmRefusalKind::NoSuchNode => {
            return Err(no_such_node(&*daemon, &name).await);
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let (parts, body) = response.into_parts();
    let headers = only(&parts.headers, &PASSED_ON);
    let body = if is_json(&headers) {
        Body::from(to_bytes(body, MAX_ANSWER).await.map_err(|error| incomplete(&name, &error))?)
    } else {
        // Ends with the caller's session, as it does on this node.
        Body::from_stream(body.into_data_stream().take_until(async move { caller.ended().await }))
    };
    Ok((parts.status, headers, body).into_response())
}

/// The path at the other node. `None` for a request that would be forwarded once more from there.
fn path_there(uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix("/nodes/")?.split_once('/')?.1;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let again = rest == "nodes" || rest.starts_with("nodes/");
    if again { None } else { format!("/api/v1/{rest}{query}").parse().ok() }
}

/// The request for the other node, with all of its body.
async fn forwarded_request(path: Uri, request: Request) -> Result<Request, Problem> {
    let (parts, body) = request.into_parts();
    let too_large = || Problem {
        title: "too large".into(),
        status: 413,
        ..Problem::bad_request(format!("a request to another node has at most {MAX_BODY} bytes"))
    };
    if body.size_hint().lower() > MAX_BODY as u64 {
        return Err(too_large());
    }
    let body = to_bytes(body, MAX_BODY).await.map_err(|_| too_large())?;
    let mut forwarded = Request::new(Body::from(body));
    *forwarded.method_mut() = parts.method;
    *forwarded.uri_mut() = path;
    *forwarded.headers_mut() = only(&parts.headers, &FORWARDED);
    Ok(forwarded)
}

fn only(headers: &HeaderMap, names: &[header::HeaderName]) -> HeaderMap {
    let value = |name: &header::HeaderName| Some((name.clone(), headers.get(name)?.clone()));
    names.iter().filter_map(value).collect()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| matches!(kind, "application/json" | "application/problem+json"))
}

fn incomplete(node: &str, error: &axum::Error) -> Problem {
    Problem {
        title: "incomplete".into(),
        status: 503,
        detail: format!("the response of `{node}` did not arrive completely: {error}"),
        next: "check the state of that node before you try again".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_there_is_the_rest_as_it_was_written() {
        let there = |text: &'static str| path_there(&Uri::from_static(text)).map(|uri| uri.to_string());
        let to = |text: &str| Some(text.to_owned());
        assert_eq!(there("/nodes/b/status"), to("/api/v1/status"));
        assert_eq!(there("/nodes/b/modules/web/stop?seen=1"), to("/api/v1/modules/web/stop?seen=1"));
        assert_eq!(there("/nodes/b/modules/a%2Fb/why"), to("/api/v1/modules/a%2Fb/why"));
        assert_eq!(there("/nodes/b/nodes/a/status"), None);
        assert_eq!(there("/nodes/b/nodes"), None);
        assert_eq!(there("/nodes/b"), None);
    }
}
