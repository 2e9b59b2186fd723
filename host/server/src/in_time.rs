//! Time limits for what clients send and receive.
//!
//! ```text
//!   head ──▶ body: all of it in time, or 408 and the end of the connection
//!   answer ──▶ something of it is taken in time, again and again, or the end of the connection
//! ```
//! The time limit of the head is enforced where the connection is served. Without all three, a client that sends or
//! receives nothing would keep its place forever, and their number is limited.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use hyper::body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use bellwether_api::Problem;

/// The time limit for a body, which is small.
const BODY_WITHIN: Duration = Duration::from_secs(10);
/// A client that receives nothing for this long is disconnected.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// Limits the time of every request's body.
pub(super) async fn body(request: Request, next: Next) -> Response {
    body_within(BODY_WITHIN, request, next).await
}

async fn body_within(within: Duration, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if body.is_end_stream() {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let late = Arc::new(AtomicBool::new(false));
    let in_time = InTime { body, until: Box::pin(sleep(within)), late: Arc::clone(&late) };
    let response = next.run(Request::from_parts(parts, Body::new(in_time))).await;
    if !late.load(Ordering::Relaxed) {
        return response;
    }
    let mut response = too_late().into_response();
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn too_late() -> Problem {
    Problem {
        title: "too slow".into(),
        status: 408,
        detail: "what the request says did not arrive in time".into(),
        next: "send it again, all of it at once".into(),
    }
}

/// A body that ends in an error if it has not arrived completely by then.
struct InTime {
    body: Body,
    until: Pin<Box<Sleep>>,
    late: Arc<AtomicBool>,
}

impl HttpBody for InTime {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if this.until.as_mut().poll(context).is_ready() {
            this.late.store(true, Ordering::Relaxed);
            let late = io::Error::new(io::ErrorKind::TimedOut, "the body did not arrive in time");
            return Poll::Ready(Some(Err(axum::Error::new(late))));
        }
        Pin::new(&mut this.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that ends in an error if none of the written data is received for a while.
#[derive(Debug)]
pub(super) struct Taken<S> {
    stream: S,
    within: Duration,
    /// The deadline, while data waits to be received.
    until: Pin<Box<Sleep>>,
    waits: bool,
}

impl<S> Taken<S> {
    pub(super) fn new(stream: S) -> Self {
        Self::within(TAKEN_WITHIN, stream)
    }

    fn within(within: Duration, stream: S) -> Self {
        Self { stream, within, until: Box::pin(sleep(within)), waits: false }
    }

    /// Handles the result of an attempt to write.
    fn judge<T>(&mut self, tried: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if tried.is_ready() {
            self.waits = false;
            return tried;
        }
        if !std::mem::replace(&mut self.waits, true) {
            self.until.as_mut().reset(Instant::now() + self.within);
        }
        ready!(self.until.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client receives nothing")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Taken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Taken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(tried, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tried = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.judge(tried, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_flush(context);
        self.judge(tried, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let tried = Pin::new(&mut self.stream).poll_shutdown(context);
        self.judge(tried, context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::middleware::from_fn;
    use axum::routing::post;
    use hyper::service::Service as _;
    use hyper_util::service::TowerToHyperService;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    async fn ask(body: Body, within: Duration) -> Response {
        let answer = |body: String| async move { format!("got {body}") };
        let layer = from_fn(move |request, next| body_within(within, request, next));
        let router = Router::new().route("/", post(answer)).layer(layer);
        let request = Request::post("/").body(body).unwrap();
        TowerToHyperService::new(router).call(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_answered_and_its_connection_ends() {
        use futures_util::StreamExt as _;
        let begun = futures_util::stream::iter([Ok::<_, io::Error>("something")]);
        let endless = Body::from_stream(begun.chain(futures_util::stream::pending()));
        let response = ask(endless, Duration::from_millis(50)).await;
        assert_eq!(response.status(), 408);
        assert_eq!(response.headers()[header::CONNECTION], "close");
        // A client that sends a little all the time is no better.
        let drops = futures_util::stream::repeat(()).then(|()| async {
            tokio::task::yield_now().await;
            Ok::<_, io::Error>(Bytes::new())
        });
        let response = ask(Body::from_stream(drops), Duration::from_millis(50)).await;
        assert_eq!(response.status(), 408);
        let whole = ask(Body::from("whole"), Duration::from_secs(60)).await;
        assert_eq!(text(whole).await, "got whole");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_let_go_and_a_slow_one_is_not() {
        let (here, mut there) = tokio::io::duplex(4);
        let mut connection = Taken::within(Duration::from_millis(50), here);
        let error = connection.write_all(b"more than it has room for").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let mut taken = [0; 4];
        there.read_exact(&mut taken).await.unwrap();
        assert_eq!(&taken, b"more");

        let (here, mut there) = tokio::io::duplex(4);
        let mut connection = Taken::within(Duration::from_secs(60), here);
        let taking = async {
            let mut taken = Vec::new();
            there.read_to_end(&mut taken).await.unwrap();
            taken
        };
        let telling = async {
            connection.write_all(b"more than it has room for").await.unwrap();
            connection.shutdown().await.unwrap();
        };
        assert_eq!(tokio::join!(taking, telling).0, b"more than it has room for");
    }
}
