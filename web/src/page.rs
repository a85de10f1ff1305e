//! The page: its files joined into one, so that it is one response and needs no other address.

use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::response::{Html, IntoResponse, Response};

use crate::token;

const FRAME: &str = include_str!("../page/index.html");

/// Files that stand in the page as `<link rel="stylesheet" href="…">`.
const STYLES: [(&str, &str); 1] = [("style.css", include_str!("../page/style.css"))];

/// Files that stand in the page as `<script src="…"></script>`.
const SCRIPTS: [(&str, &str); 11] = [
    ("text.js", include_str!("../page/text.js")),
    ("link.js", include_str!("../page/link.js")),
    ("model.js", include_str!("../page/model.js")),
    ("feeds.js", include_str!("../page/feeds.js")),
    ("plots.js", include_str!("../page/plots.js")),
    ("records.js", include_str!("../page/records.js")),
    ("wall.js", include_str!("../page/wall.js")),
    ("stage.js", include_str!("../page/stage.js")),
    ("readings.js", include_str!("../page/readings.js")),
    ("full.js", include_str!("../page/full.js")),
    ("app.js", include_str!("../page/app.js")),
];

/// The page. Only what has this response's nonce is run by a browser.
pub(crate) async fn page() -> Response {
    let Ok(nonce) = token::random() else {
        return (axum::http::StatusCode::INTERNAL_SERVER_ERROR, "the system has no random bits\n").into_response();
    };
    let policy = format!(
        "default-src 'none'; img-src 'self' blob: data:; connect-src 'self'; style-src 'nonce-{nonce}'; script-src \
         'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = Html(joined(&nonce)).into_response();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

fn joined(nonce: &str) -> String {
    let mut page = FRAME.to_owned();
    for (name, text) in STYLES {
        let link = format!("<link rel=\"stylesheet\" href=\"{name}\">");
        page = page.replacen(&link, &format!("<style nonce=\"{nonce}\">\n{text}</style>"), 1);
    }
    for (name, text) in SCRIPTS {
        let script = format!("<script src=\"{name}\"></script>");
        page = page.replacen(&script, &format!("<script nonce=\"{nonce}\">\n{text}</script>"), 1);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_needs_no_other_address() {
        let page = joined("N");
        for part in
            ["<link rel=\"stylesheet\"", " src=\"", "href=\"http", "@import", "url(http", " style=\"", " onclick="]
        {
            assert!(!page.contains(part), "{part}");
        }
        for (name, text) in STYLES.into_iter().chain(SCRIPTS) {
            assert!(page.contains(text), "{name} is not in index.html");
            assert!(!text.contains("</script") && !text.contains("</style"), "{name}");
        }
        assert_eq!(page.matches("nonce=\"N\"").count(), STYLES.len() + SCRIPTS.len());
    }
}
