//! The addresses, and what holds for all of them.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, RETRY_AFTER,
    SET_COOKIE, TRANSFER_ENCODING, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::access::{Access, Verdict};
use crate::frozen::Room;
use crate::streams::{self, Streams};
use crate::visitors::{Peer, Visitors};
use crate::watches::Watches;
use crate::{client, metrics, mjpeg, page, snapshot};

/// What all connections share.
pub(crate) struct Hub {
    pub access: Access,
    pub streams: Streams,
    pub watches: Arc<Watches>,
    /// Of frozen frames.
    pub room: Arc<Room>,
    /// Of JPEGs, where nobody says.
    pub quality: u8,
    /// WebSockets that are open.
    pub clients: AtomicUsize,
    pub visitors: Visitors,
}

/// What an array of streams leaves out.
const UNLISTED: HeaderName = HeaderName::from_static("x-framebus-unlisted");

const NO_TOKEN: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>framebus</title><h1>401: a token is \
    needed</h1><p>Open the address that the server printed when it began: it has the token in it, as in \
    <code>/?token=…</code>. Scripts may send <code>Authorization: Bearer …</code>.";

const WRONG_HOST: &str = "this server is reached by an address of its own machine, such as 127.0.0.1 or localhost; with \
    --token it can be reached by any name\n";

const OTHER_SITE: &str = "a page of another site asks for this: of what another site asks for, / alone is answered; with \
    ?token= or an Authorization header, which such a page has to know, all is\n";

/// The server's addresses.
pub(crate) fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/api/streams", get(api_streams))
        .route("/metrics", get(metrics::metrics))
        .route("/snapshot/{bus}/{file}", get(snapshot::snapshot))
        .route("/stream/{bus}/{file}", get(mjpeg::mjpeg))
        .route("/ws", get(client::open))
        // A page whose WebSocket is silent asks here whether there is a server at all.
        .route("/ping", get(async || StatusCode::NO_CONTENT))
        .fallback(async || (StatusCode::NOT_FOUND, "there is nothing here; the page is at /\n"))
        .layer(from_fn_with_state(hub.clone(), guard))
        .with_state(hub)
}

/// What comes before and after every answer.
async fn guard(
    State(hub): State<Arc<Hub>>,
    Extension(Peer(peer)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let verdict = hub.access.judge(request.uri(), request.headers());
    let has_body = has_body(request.headers());
    // Not the whole URI: the token may stand in it.
    tracing::debug!(%peer, method = %request.method(), path = request.uri().path(), ?verdict, "a request");
    if let Some(cause) = has_body.then_some("a request with a body").or_else(|| verdict.refusal()) {
        hub.visitors.refuse(peer, cause);
    }
    let mut response = match verdict {
        _ if has_body => {
            // Nothing is read of it, so nothing else can come over this connection.
            let mut response = (StatusCode::PAYLOAD_TOO_LARGE, "requests have no body here\n").into_response();
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }
        Verdict::WithToken if request.uri().path() == "/" => {
            let mut response = (StatusCode::SEE_OTHER, [(LOCATION, "/")]).into_response();
            if let Ok(cookie) = hub.access.cookie().parse() {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Verdict::Welcome | Verdict::WithToken => next.run(request).await,
        Verdict::NoToken => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], Html(NO_TOKEN)).into_response(),
        Verdict::WrongHost => (StatusCode::FORBIDDEN, WRONG_HOST).into_response(),
        Verdict::OtherSite => (StatusCode::FORBIDDEN, OTHER_SITE).into_response(),
        Verdict::WrongOrigin => {
            (StatusCode::FORBIDDEN, "a WebSocket is opened by this server's own page alone\n").into_response()
        }
    };
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static("default-src 'none'"));
    response
}

fn has_body(headers: &HeaderMap) -> bool {
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

async fn api_streams(State(hub): State<Arc<Hub>>) -> Response {
    let list = hub.streams.list().await;
    if list.streams.is_empty() && !list.unlisted.is_empty() {
        return refuse_for_now(&list.unlisted.join("; "));
    }
    let streams: Vec<_> = list.streams.iter().map(|listed| streams::json(listed, &hub.watches)).collect();
    let mut response = Json(streams).into_response();
    for text in &list.unlisted {
        // Whatever a directory is called.
        if let Ok(text) = HeaderValue::from_bytes(text.as_bytes()) {
            response.headers_mut().append(UNLISTED, text);
        }
    }
    response
}

/// Something that may be another time, in words.
pub(crate) fn refuse_for_now(text: &str) -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "2")], format!("{text}\n")).into_response()
}
