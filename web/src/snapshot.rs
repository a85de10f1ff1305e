//! `/snapshot/BUS/STREAM.png`: the newest frame as a file.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{self, Query, State};
use axum::http::header::{CONTENT_TYPE, HeaderName};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use framebus_picture::FileKind;

use crate::picture::{About, Style, StyleWords, Task};
use crate::routes::{Hub, refuse_for_now};
use crate::still::NO_IMAGE;
use crate::streams::Unfound;
use crate::watches::Came;

/// How long a first frame is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Of a path that is no text.
pub(crate) const NO_ADDRESS: &str = "the address is no UTF-8: expected BUS/STREAM of letters, digits, '-', '_' and '.'";

/// How a script wants its pictures.
#[derive(Debug, Default)]
pub(crate) struct PictureQuery {
    width: u32,
    height: u32,
    palette: Option<String>,
    quality: Option<u8>,
    low: Option<f32>,
    high: Option<f32>,
    /// Most pictures a second.
    pub fps: Option<f64>,
    pub backend: Option<String>,
}

impl PictureQuery {
    /// Reads the words of an address; words that it does not know are somebody else's.
    ///
    /// # Errors
    /// In words: one that can not be, and what would be right.
    pub(crate) fn of(uri: &Uri) -> Result<Self, String> {
        let words = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(words) = words.map_err(|_| "the query is none: expected name=value&name=value".to_owned())?;
        let mut query = Self::default();
        for (name, value) in &words {
            match name.as_str() {
                "width" => query.width = number(name, value, "pixels, 0 or 16 to 8192, as in width=480")?,
                "height" => query.height = number(name, value, "pixels, 0 or 16 to 8192, as in height=270")?,
                "quality" => query.quality = Some(number(name, value, "1 to 100, as in quality=75")?),
                "low" => query.low = Some(number(name, value, "metres of depth or counts of grey, as in low=0.5")?),
                "high" => query.high = Some(number(name, value, "metres of depth or counts of grey, as in high=10")?),
                "fps" => query.fps = Some(number(name, value, "pictures a second, as in fps=5")?),
                "palette" => query.palette = Some(value.clone()),
                "backend" => query.backend = Some(value.clone()),
                _ => {}
            }
        }
        Ok(query)
    }

    /// The style, where anything is said of it.
    pub(crate) fn style(&self, quality: u8) -> Result<Style, String> {
        let range = match (self.low, self.high) {
            (Some(low), Some(high)) => Some([low, high]),
            (None, None) => None,
            _ => return Err("a range has both low and high".to_owned()),
        };
        let Self { width, height, quality: wanted, .. } = *self;
        StyleWords { width, height, palette: self.palette.clone(), quality: wanted }.style(range, quality)
    }

    /// Nothing is said of the style: the frame is wanted as it is.
    fn is_whole(&self) -> bool {
        let Self { width, height, palette, quality, low, high, .. } = self;
        (*width, *height) == (0, 0) && palette.is_none() && quality.is_none() && low.is_none() && high.is_none()
    }
}

fn number<T: FromStr>(name: &str, value: &str, expected: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("{name}={value} can not be: expected {expected}"))
}

/// An answer that is an error, in words.
pub(crate) fn refuse(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}

/// Why a stream has no picture, as HTTP has it.
pub(crate) fn refuse_stream(unfound: Unfound) -> Response {
    match unfound {
        Unfound::Name(text) => refuse(StatusCode::BAD_REQUEST, &text),
        Unfound::Stream(text) => refuse(StatusCode::NOT_FOUND, &text),
        Unfound::Unlisted(text) => refuse_for_now(&text),
    }
}

fn refuse_picture(error: &str) -> Response {
    match error {
        NO_IMAGE => refuse(StatusCode::CONFLICT, "the stream carries no images"),
        error => refuse_for_now(error),
    }
}

/// The newest frame, whole; or a preview of it, where the query says how.
pub(crate) async fn snapshot(
    State(hub): State<Arc<Hub>>,
    path: Result<extract::Path<(String, String)>, PathRejection>,
    uri: Uri,
) -> Response {
    let Ok(extract::Path((bus, file))) = path else { return refuse(StatusCode::BAD_REQUEST, NO_ADDRESS) };
    let Some((stream, kind)) =
        file.rsplit_once('.').and_then(|(stream, _)| Some((stream, FileKind::of(Path::new(&file))?)))
    else {
        return refuse(StatusCode::NOT_FOUND, "expected /snapshot/BUS/STREAM.png, .jpg or .tiff");
    };
    let read = PictureQuery::of(&uri).and_then(|query| Ok((query.style(hub.quality)?, query)));
    let (style, query) = match read {
        Ok(read) => read,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, &error),
    };
    if !query.is_whole() && kind != FileKind::Jpeg {
        return refuse(
            StatusCode::BAD_REQUEST,
            "previews (width, height, palette, quality, low, high) are JPEGs: ask for .jpg",
        );
    }
    let name = format!("{bus}/{stream}");
    let key = match hub.streams.find(&name, query.backend.as_deref(), &hub.watches).await {
        Ok(key) => key,
        Err(unfound) => return refuse_stream(unfound),
    };
    let looking = match hub.watches.look(&key) {
        Ok(looking) => looking,
        Err(error) => return refuse_picture(&error),
    };
    let waiting = looking.wait();
    match looking.newer(0, PATIENCE).await {
        Ok(Came::Frame) => {}
        Ok(Came::Nothing(_)) => return refuse_picture(&format!("stream {name} has no frame so far")),
        Err(error) => return refuse_picture(&error),
    }
    let made = if query.is_whole() {
        match looking.still().await {
            Ok(still) => hub.watches.ask_still(still, |reply| Task::Save(kind, reply)).await,
            Err(error) => Err(error),
        }
    } else {
        looking.picture(style).await.map(|picture| (picture.about, picture.jpeg.clone()))
    };
    drop(waiting);
    match made {
        Ok((about, file)) => ([(CONTENT_TYPE, media_type(kind))], tell(&about), file).into_response(),
        Err(error) => refuse_picture(&error),
    }
}

/// What scripts may want to know of the frame.
fn tell(about: &About) -> [(HeaderName, String); 2] {
    [
        (HeaderName::from_static("x-framebus-sequence"), about.sequence.to_string()),
        (HeaderName::from_static("x-framebus-capture-ns"), about.capture_ns.to_string()),
    ]
}

fn media_type(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Png => "image/png",
        FileKind::Jpeg => "image/jpeg",
        FileKind::Tiff => "image/tiff",
    }
}
