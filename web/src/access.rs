//! Who may see anything.
//!
//! * With a token, whoever knows it: from the URL, a header, or the cookie that `/?token=…` sets.
//! * Without one, whoever is on this machine. A page of some other site, open in a browser here, is not: it may have made
//!   its own name lead to 127.0.0.1 (DNS rebinding), so the name that it asks for must be one of this machine.
//! * A WebSocket only from our own page: browsers let every page open one to anywhere, and send our cookie with it.
//! * Nothing but the page itself for pages of other sites, where the browser says that it is one of those who asks: it
//!   would show our pictures there, by our cookie or because it runs here. Whoever shows the token has been told it.

use std::net::{IpAddr, SocketAddr};

use axum::extract::Query;
use axum::http::header::{AUTHORIZATION, COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, Uri};
use serde::Deserialize;

use crate::token;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What is asked of whoever comes.
#[derive(Debug)]
pub(crate) struct Access {
    address: SocketAddr,
    token: Option<String>,
}

/// Why somebody is turned away, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Welcome,
    /// Welcome; the token stands in the URL of the page, and should not stay there.
    WithToken,
    NoToken,
    WrongHost,
    WrongOrigin,
    /// A page of another site asks, and knows no token.
    OtherSite,
}

impl Verdict {
    /// Why somebody is turned away, in words.
    pub(crate) fn refusal(self) -> Option<&'static str> {
        match self {
            Self::Welcome | Self::WithToken => None,
            Self::NoToken => Some("no token, or a wrong one"),
            Self::WrongHost => Some("a name that is not this machine's"),
            Self::WrongOrigin => Some("a WebSocket from another site's page"),
            Self::OtherSite => Some("a page of another site"),
        }
    }
}

#[derive(Deserialize)]
struct TokenWord {
    token: Option<String>,
}

impl Access {
    pub(crate) fn new(address: SocketAddr, token: Option<String>) -> Self {
        Self { address, token }
    }

    /// Looks at a request.
    pub(crate) fn judge(&self, uri: &Uri, headers: &HeaderMap) -> Verdict {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = text(HOST);
        if headers.contains_key(ORIGIN) && uri.path() == "/ws" && !is_same(text(ORIGIN), host) {
            return Verdict::WrongOrigin;
        }
        // What browsers alone send, and pages can not (https://www.w3.org/TR/fetch-metadata/).
        let is_foreign = uri.path() != "/" && matches!(text(SITE), Some("cross-site" | "same-site"));
        let Some(expected) = &self.token else {
            return match host.is_some_and(|host| self.is_ours(host)) {
                true if is_foreign => Verdict::OtherSite,
                true => Verdict::Welcome,
                false => Verdict::WrongHost,
            };
        };
        let in_url = Query::<TokenWord>::try_from_uri(uri).ok().and_then(|query| query.0.token);
        if in_url.is_some_and(|found| token::equal(&found, expected)) {
            return Verdict::WithToken;
        }
        let in_header = text(AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        if in_header.is_some_and(|found| token::equal(found, expected)) {
            return Verdict::Welcome;
        }
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|cookie| cookie.split_once('='));
        let name = self.cookie_name();
        let mut found = cookies.filter(|(found, _)| found.trim() == name).map(|(_, value)| value.trim());
        match found.any(|found| token::equal(found, expected)) {
            true if is_foreign => Verdict::OtherSite,
            true => Verdict::Welcome,
            false => Verdict::NoToken,
        }
    }

    /// The `Set-Cookie` that spares a browser the token from now on. `Lax`: also where a link of another site leads here.
    pub(crate) fn cookie(&self) -> String {
        let token = self.token.as_deref().unwrap_or_default();
        format!("{}={token}; Path=/; HttpOnly; SameSite=Lax", self.cookie_name())
    }

    /// Cookies do not know ports, and a machine may have two servers.
    fn cookie_name(&self) -> String {
        format!("framebus-{}", self.address.port())
    }

    fn is_ours(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            // Not one of the colons of an IPv6 address.
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !port.is_empty() => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        match bare.parse::<IpAddr>() {
            Ok(ip) => ip.is_loopback() || ip == self.address.ip(),
            Err(_) => name.eq_ignore_ascii_case("localhost"),
        }
    }
}

/// Whether a page of this origin came from this host.
fn is_same(origin: Option<&str>, host: Option<&str>) -> bool {
    let authority = origin.and_then(|origin| origin.split_once("://")).map(|(_, authority)| authority);
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(access: &Access, uri: &str, headers: &[(HeaderName, &str)]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect();
        access.judge(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn without_a_token_only_names_of_this_machine_are_served() {
        let access = Access::new("127.0.0.1:8080".parse().unwrap(), None);
        for host in ["127.0.0.1:8080", "localhost:8080", "LOCALHOST", "127.9.9.9", "[::1]:80", "[::1]"] {
            assert_eq!(judge(&access, "/", &[(HOST, host)]), Verdict::Welcome, "{host}");
        }
        for host in ["evil.example:8080", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "", "::::"] {
            assert_eq!(judge(&access, "/", &[(HOST, host)]), Verdict::WrongHost, "{host}");
        }
        assert_eq!(judge(&access, "/", &[]), Verdict::WrongHost);
    }

    #[test]
    fn with_a_token_it_is_asked_for_in_url_header_or_cookie() {
        let access = Access::new("0.0.0.0:8080".parse().unwrap(), Some("s3cret-s3cret".to_owned()));
        let host = (HOST, "robot.example:8080");
        assert_eq!(judge(&access, "/", std::slice::from_ref(&host)), Verdict::NoToken);
        assert_eq!(judge(&access, "/?token=s3cret-s3cret", std::slice::from_ref(&host)), Verdict::WithToken);
        assert_eq!(judge(&access, "/?a=b&token=wrong-wrong-1", std::slice::from_ref(&host)), Verdict::NoToken);
        assert_eq!(judge(&access, "/", &[host.clone(), (AUTHORIZATION, "Bearer s3cret-s3cret")]), Verdict::Welcome);
        assert_eq!(judge(&access, "/", &[host.clone(), (AUTHORIZATION, "Basic s3cret-s3cret")]), Verdict::NoToken);
        let cookie = (COOKIE, "a=b; framebus-8080=s3cret-s3cret; c=d");
        assert_eq!(judge(&access, "/ws", &[host.clone(), cookie]), Verdict::Welcome);
        assert_eq!(judge(&access, "/", &[host, (COOKIE, "framebus-8081=s3cret-s3cret")]), Verdict::NoToken);
        assert!(access.cookie().contains("HttpOnly; SameSite=Lax"));
    }

    #[test]
    fn pages_of_other_sites_get_nothing_but_the_page_unless_they_know_the_token() {
        let (host, other) = ((HOST, "127.0.0.1:8080"), Verdict::OtherSite);
        let open = Access::new("127.0.0.1:8080".parse().unwrap(), None);
        let closed = Access::new("127.0.0.1:8080".parse().unwrap(), Some("s3cret-s3cret".to_owned()));
        let cookie = (COOKIE, "framebus-8080=s3cret-s3cret");
        for site in ["cross-site", "same-site"] {
            let headers = [host.clone(), (SITE, site), cookie.clone()];
            for access in [&open, &closed] {
                assert_eq!(judge(access, "/", &headers), Verdict::Welcome, "a link");
                for path in ["/api/streams", "/snapshot/a/b.jpg", "/stream/a/b.mjpeg", "/metrics", "/ws"] {
                    assert_eq!(judge(access, path, &headers), other, "{site}: {path}");
                }
            }
            assert_eq!(judge(&closed, "/api/streams?token=s3cret-s3cret", &headers[..2]), Verdict::WithToken);
            let header = (AUTHORIZATION, "Bearer s3cret-s3cret");
            assert_eq!(judge(&closed, "/api/streams", &[host.clone(), (SITE, site), header]), Verdict::Welcome);
        }
        for site in ["same-origin", "none"] {
            for access in [&open, &closed] {
                let headers = [host.clone(), (SITE, site), cookie.clone()];
                assert_eq!(judge(access, "/api/streams", &headers), Verdict::Welcome, "{site}");
            }
        }
    }

    #[test]
    fn a_websocket_is_opened_by_our_own_page_alone() {
        let access = Access::new("127.0.0.1:8080".parse().unwrap(), None);
        let host = (HOST, "127.0.0.1:8080");
        assert_eq!(judge(&access, "/ws", &[host.clone(), (ORIGIN, "http://127.0.0.1:8080")]), Verdict::Welcome);
        for origin in ["http://evil.example", "null", "http://127.0.0.1:9090", ""] {
            assert_eq!(judge(&access, "/ws", &[host.clone(), (ORIGIN, origin)]), Verdict::WrongOrigin, "{origin}");
        }
        // Scripts have none.
        assert_eq!(judge(&access, "/ws", &[host]), Verdict::Welcome);
    }
}
