//! Rejections: a problem document for programs, a page for browsers.

use askama::Template;
use axum::extract::Request;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse as _, Redirect, Response};
use bellwether_core::text::without_marks;

use crate::access::Refusal;
use crate::console;
use bellwether_api::Problem;

fn is_program(request: &Request) -> bool {
    request.uri().path().starts_with("/api/")
}

/// No user is signed in.
pub(super) fn nobody(request: &Request) -> Response {
    if is_program(request) {
        let problem = Problem {
            title: "not signed in".into(),
            status: 401,
            detail: "sign in, or use a valid token".into(),
            next:
                "send `Authorization: Bearer TOKEN`; an admin creates tokens with `bellwether token create`"
                    .into(),
        };
        let mut response = problem.into_response();
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return response;
    }
    let mut response = Redirect::to(&sign_in(request.uri(), request.method() == Method::GET)).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The sign-in page, with the requested page to continue with.
fn sign_in(uri: &Uri, come_back: bool) -> String {
    match uri.path_and_query().filter(|_| come_back).map(PathAndQuery::as_str) {
        None | Some("/") => "/login".to_owned(),
        Some(path) => format!("/login?next={}", console::encoded(path)),
    }
}

#[derive(Debug, Template)]
#[template(path = "refused.html")]
struct RefusedPage {
    frame: console::Bare,
    title: &'static str,
    detail: String,
    next: String,
    back: String,
}

fn refused(
    request: &Request,
    status: StatusCode,
    title: &'static str,
    detail: String,
    next: &'static str,
) -> Response {
    if is_program(request) {
        return Problem { title: title.into(), status: status.as_u16(), detail, next: next.into() }
            .into_response();
    }
    page(status, title, detail, next.to_owned(), request.uri().path().to_owned())
}

fn page(status: StatusCode, title: &'static str, detail: String, next: String, back: String) -> Response {
    let page = RefusedPage { frame: console::Bare::new(title), title, detail, next, back };
    match page.render() {
        Ok(text) => (status, Html(without_marks(&text).into_owned())).into_response(),
        Err(_) => status.into_response(),
    }
}

/// The role is not sufficient: as a page.
pub(super) fn forbidden(problem: &Problem) -> Response {
    let next = "Ask an admin to do it, or to give you that role.".to_owned();
    // The same address would be rejected again: the link leads to a page that every role may see.
    page(StatusCode::FORBIDDEN, "Not permitted", format!("{}.", problem.detail), next, "/".to_owned())
}

/// Another site sent it, or the sender is unknown.
pub(super) fn forged(request: &Request) -> Response {
    let detail = "This request does not come from a page of this console.".to_owned();
    refused(
        request,
        StatusCode::FORBIDDEN,
        "Not carried out",
        detail,
        "Open the console, and try again there.",
    )
}

/// It has neither key nor password.
pub(super) fn no_key(request: &Request) -> Response {
    let detail =
        "A change needs the key that this browser received when you signed in, or your password.".to_owned();
    refused(
        request,
        StatusCode::FORBIDDEN,
        "Not carried out",
        detail,
        "Enter your password in the form, or sign in again.",
    )
}

/// The password in place of the key is wrong.
pub(super) fn wrong_password(request: &Request, refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::TooSoon(_) => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::FORBIDDEN,
    };
    refused(request, status, "Not carried out", format!("{refusal}."), "Try again; nothing has been done.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_signs_in_goes_on_to_where_the_way_led() {
        let to = |text: &'static str| sign_in(&Uri::from_static(text), true);
        assert_eq!(to("/modules/web?since=1h&x=a"), "/login?next=/modules/web%3Fsince%3D1h%26x%3Da");
        assert_eq!(to("/"), "/login");
        assert_eq!(sign_in(&Uri::from_static("/modules/web/stop"), false), "/login");
    }
}
