//! `/stream/BUS/STREAM.mjpeg`: pictures one behind the other, for players and `<img>`.
//!
//! The next picture is made when the socket has taken the last: hyper asks for it then. So a slow reader gets fewer pictures,
//! each the newest of its moment, and a stream is not looked at on behalf of one that reads nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use framebus::Content;
use futures_util::stream::unfold;
use tokio::time::{Instant, sleep, sleep_until};

use crate::picture::{Picture, Style};
use crate::routes::Hub;
use crate::snapshot::{NO_ADDRESS, PictureQuery, refuse, refuse_stream};
use crate::visitors::{Peer, Visit};
use crate::watch::Key;
use crate::watches::Came;

/// How long a picture is waited for at a time.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long to wait before the next try, where the stream can not be seen.
const PAUSE: Duration = Duration::from_secs(1);

/// Pictures until the reader goes.
pub(crate) async fn mjpeg(
    State(hub): State<Arc<Hub>>,
    Extension(peer): Extension<Peer>,
    path: Result<Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(Path((bus, file))) = path else { return refuse(StatusCode::BAD_REQUEST, NO_ADDRESS) };
    let Some(stream) = file.strip_suffix(".mjpeg") else {
        return refuse(StatusCode::NOT_FOUND, "expected /stream/BUS/STREAM.mjpeg");
    };
    let read = PictureQuery::of(&uri).and_then(|query| Ok((query.style(hub.quality)?, query)));
    let (style, query) = match read {
        Ok(read) => read,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error),
    };
    // At most an hour: what is slower is no video.
    let period = match query.fps.map(|fps| Duration::try_from_secs_f64(fps.recip())) {
        None => Duration::ZERO,
        Some(Ok(period)) if period <= Duration::from_secs(3600) => period,
        Some(_) => {
            return refuse(
                StatusCode::BAD_REQUEST,
                "fps must be more than 0, as in fps=5; without it, pictures come as quickly as they are taken",
            );
        }
    };
    let key = match hub.streams.find(&format!("{bus}/{stream}"), query.backend.as_deref(), &hub.watches).await {
        Ok(key) => key,
        Err(unfound) => return refuse_stream(unfound),
    };
    if let Some(listed) = hub.streams.list().await.streams.iter().find(|listed| listed.key == key)
        && !matches!(listed.status.content, Some(Content::Image(_)))
    {
        return refuse(StatusCode::CONFLICT, "the stream carries no images");
    }
    let _visit = hub.visitors.enter(peer, "video", Some(key.name.to_string()));
    let reader = Reader { hub, key, style, period, after: 0, due: Instant::now(), is_first: true, _visit };
    let parts = unfold(reader, async |mut reader| {
        let part = reader.next().await;
        Some((Ok::<_, Infallible>(part), reader))
    });
    ([(CONTENT_TYPE, "multipart/x-mixed-replace; boundary=frame")], Body::from_stream(parts)).into_response()
}

struct Reader {
    hub: Arc<Hub>,
    key: Key,
    style: Style,
    /// Least time from a picture to the next.
    period: Duration,
    after: u64,
    due: Instant,
    is_first: bool,
    _visit: Visit,
}

impl Reader {
    async fn next(&mut self) -> Bytes {
        loop {
            sleep_until(self.due).await;
            match self.picture().await {
                Ok(Some(picture)) => {
                    self.after = picture.about.sequence;
                    // Without drift, and after a long pause not for each picture that was left out.
                    self.due =
                        (self.due + self.period).max(Instant::now().checked_sub(self.period).unwrap_or(self.due));
                    return part(&picture, std::mem::take(&mut self.is_first));
                }
                Ok(None) => {}
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    /// The next picture; `None` where nothing came for a while.
    async fn picture(&self) -> Result<Option<Arc<Picture>>, String> {
        let looking = self.hub.watches.look(&self.key)?;
        let _waiting = looking.wait();
        match looking.newer(self.after, PATIENCE).await? {
            Came::Frame => looking.picture(self.style).await.map(Some),
            Came::Nothing(_) => Ok(None),
        }
    }
}

/// A part, and the boundary behind it: browsers show a picture when they have seen its end.
fn part(picture: &Picture, is_first: bool) -> Bytes {
    let (sequence, length) = (picture.about.sequence, picture.jpeg.len());
    let begin = if is_first { "--frame\r\n" } else { "" };
    let head = format!(
        "{begin}Content-Type: image/jpeg\r\nContent-Length: {length}\r\nX-Framebus-Sequence: {sequence}\r\n\r\n"
    );
    let mut part = Vec::with_capacity(head.len() + length + 16);
    part.extend_from_slice(head.as_bytes());
    part.extend_from_slice(&picture.jpeg);
    part.extend_from_slice(b"\r\n--frame\r\n");
    part.into()
}
