//! The WebSocket of a page: wants come in, answers and each second's figures go out.
//!
//! Wants are fulfilled at the same time, and answered in any order; but each sees what the ones before it have frozen and let go
//! (`frozen`). An answer that is large has a place in flight, which it keeps until the
//! socket took it; a picture is made only by who has a place. So whoever reads slowly gets fewer pictures and no old ones.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::routes::Hub;
use crate::server::Place;
use crate::snapshot::refuse;
use crate::visitors::Peer;
use crate::wants::{Answer, Browser};

/// Most bytes of a message that is understood.
const MOST_BYTES: usize = 4096;

/// Most bytes of a message that is read at all, so that a longer one can be refused in words.
const MOST_READ_BYTES: usize = 64 << 10;

/// Most wants that are open at a time.
const MOST_OPEN: usize = 64;

/// How often the figures are sent.
const SECOND: Duration = Duration::from_secs(1);

/// Opens the WebSocket.
pub(crate) async fn open(
    State(hub): State<Arc<Hub>>,
    Extension(place): Extension<Place>,
    Extension(peer): Extension<Peer>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(upgrade) = upgrade else {
        return refuse(
            StatusCode::BAD_REQUEST,
            "expected a request that opens a WebSocket; scripts may ask for /api/streams",
        );
    };
    let upgrade = upgrade.max_message_size(MOST_READ_BYTES).max_frame_size(MOST_READ_BYTES);
    upgrade.on_upgrade(async move |socket| {
        let (counted, visit) = (Counted::new(hub.clone()), hub.visitors.enter(peer, "page", None));
        serve(socket, hub).await;
        drop((visit, counted, place));
    })
}

/// One of the WebSockets that are open.
struct Counted(Arc<Hub>);

impl Counted {
    fn new(hub: Arc<Hub>) -> Self {
        hub.clients.fetch_add(1, Ordering::Relaxed);
        Self(hub)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

async fn serve(socket: WebSocket, hub: Arc<Hub>) {
    let (to_page, mut from_page) = socket.split();
    // Each want has one answer at most; and there are the figures, and a last word.
    let (answers, outbox) = mpsc::channel(MOST_OPEN + 2);
    let mut writer = std::pin::pin!(write(to_page, outbox));
    let closing = tokio::select! {
        closing = read(&mut from_page, Browser::new(hub.clone()), answers.clone()) => closing,
        () = tell_figures(&hub, answers.clone()) => None,
        () = &mut writer => return,
    };
    if let Some(closing) = closing {
        let last = Answer { message: Message::Close(Some(closing)), permit: None };
        let farewell = async {
            // Where the socket is closed already, there is nobody to tell.
            let _ = answers.send(last).await;
            // Until the page has heard it: what it still sends would otherwise take the word with it.
            let drained = async { while let Some(Ok(_)) = from_page.next().await {} };
            tokio::join!(writer, drained)
        };
        let _ = timeout(SECOND, farewell).await;
    }
}

/// Sends what is to be sent, until the socket is closed.
async fn write(mut to_page: SplitSink<WebSocket, Message>, mut outbox: mpsc::Receiver<Answer>) {
    while let Some(Answer { message, permit }) = outbox.recv().await {
        let is_last = matches!(message, Message::Close(_));
        if to_page.send(message).await.is_err() || is_last {
            return;
        }
        drop(permit);
    }
}

/// Reads wants and has them fulfilled, until the page closes the socket, or says what it should not: then with the reason.
async fn read(
    from_page: &mut SplitStream<WebSocket>,
    browser: Browser,
    answers: mpsc::Sender<Answer>,
) -> Option<CloseFrame> {
    let browser = Arc::new(browser);
    // Ends with them: who has gone wants nothing.
    let mut open = JoinSet::new();
    loop {
        let message = tokio::select! {
            message = from_page.next() => message,
            Some(_) = open.join_next() => continue,
        };
        let text = match message {
            Some(Ok(Message::Text(text))) => text,
            // They are answered below us.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Binary(_))) => return Some(close(close_code::UNSUPPORTED, "wants are text")),
            Some(Ok(Message::Close(_))) | None => return None,
            Some(Err(error)) => return Some(why(&error.to_string())),
        };
        if text.len() > MOST_BYTES {
            return Some(close(close_code::SIZE, "a want has at most 4 KiB"));
        }
        let Ok(message) = serde_json::from_str::<Value>(&text) else {
            return Some(close(close_code::INVALID, "a want is a JSON object"));
        };
        let id = message.get("id").filter(|id| id.is_number()).cloned().unwrap_or_default();
        if open.len() >= MOST_OPEN {
            let error = format!("{MOST_OPEN} wants are open already, the most that may be: wait for their answers");
            // Behind what it wanted; where the outbox is full, it does not read.
            answers.send(Answer::error(&id, &error)).await.ok()?;
            continue;
        }
        // Here and not in the task: wants have their places in the order in which they came.
        let placed = browser.place(message).await;
        let (browser, answers) = (browser.clone(), answers.clone());
        open.spawn(async move {
            let answer = browser.answer(&id, placed).await;
            // Where the socket is closed, nobody waits for it.
            let _ = answers.send(answer).await;
        });
    }
}

/// Why reading failed, as a close frame has it.
fn why(error: &str) -> CloseFrame {
    match error {
        // tungstenite's words; a code of its own does not come through axum.
        error if error.contains("too long") || error.contains("too large") => {
            close(close_code::SIZE, "a want has at most 4 KiB")
        }
        error if error.contains("UTF-8") => close(close_code::INVALID, "a want is a JSON object"),
        _ => close(close_code::PROTOCOL, "not understood"),
    }
}

fn close(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: reason.into() }
}

/// Sends the figures each second; whoever has not taken the last ones is left out.
async fn tell_figures(hub: &Hub, answers: mpsc::Sender<Answer>) {
    let untaken = Arc::new(Semaphore::new(1));
    let mut seconds = interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        seconds.tick().await;
        let Ok(permit) = untaken.clone().try_acquire_owned() else { continue };
        let list = hub.streams.list().await;
        let streams = hub.streams.told(&list, &hub.watches);
        let encoders = hub.watches.encoders();
        let server = json!({
            "clients": hub.clients.load(Ordering::Relaxed),
            "encoders": encoders.count(),
            "busy_percent": encoders.busy_percent(),
        });
        let unlisted = json!(list.unlisted);
        let text = format!("{{\"server\":{server},\"unlisted\":{unlisted},\"streams\":{streams}}}");
        let figures = Answer { message: Message::text(text), permit: None };
        if answers.send(Answer { permit: Some(permit), ..figures }).await.is_err() {
            return;
        }
    }
}
