//! Who is let in.

use crate::support::{Bus, Page};

const TOKEN: &str = "a-token-of-this-test";

#[test]
fn with_a_token_nothing_is_shown_without_it() {
    let bus = Bus::new();
    let web = bus.serve_with(|settings| settings.token = Some(TOKEN.to_owned()));
    for path in ["/", "/api/streams", "/metrics", "/snapshot/a/b.png", "/nothing", "/?token=an-other-token-x"] {
        let reply = web.get(path);
        assert_eq!(reply.status, 401, "{path}");
        assert!(reply.text().contains("a token is needed"), "{path}");
    }
    assert_eq!(Page::open(&web, &[]).err(), Some(401));
    assert_eq!(web.get(&format!("/api/streams?token={TOKEN}")).status, 200);
    assert_eq!(web.get_with("/api/streams", &[&format!("Authorization: Bearer {TOKEN}")]).status, 200);
    assert_eq!(web.get_with("/", &["Host: robot.example", &format!("Authorization: Bearer {TOKEN}")]).status, 200);
}

#[test]
fn the_pages_token_becomes_a_cookie_and_leaves_the_address_bar() {
    let bus = Bus::new();
    let web = bus.serve_with(|settings| settings.token = Some(TOKEN.to_owned()));
    let reply = web.get(&format!("/?token={TOKEN}"));
    assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
    let cookie = reply.header("set-cookie").unwrap();
    assert!(cookie.contains("httponly") && cookie.contains("samesite=lax"), "{cookie}");
    let pair = cookie.split(';').next().unwrap();
    assert_eq!(web.get_with("/", &[&format!("Cookie: {pair}")]).status, 200);
    assert!(Page::open(&web, &[("cookie", pair)]).is_ok());
    assert_eq!(web.get_with("/", &[&format!("Cookie: {pair}x")]).status, 401);
}

#[test]
fn other_sites_reach_nothing_by_a_name_that_leads_here() {
    let bus = Bus::new();
    let web = bus.serve();
    assert_eq!(web.get_with("/api/streams", &["Host: evil.example"]).status, 403);
    assert_eq!(web.get_with("/api/streams", &["Host: localhost"]).status, 200);
    assert_eq!(Page::open(&web, &[("host", "evil.example")]).err(), Some(403));
}

#[test]
fn a_websocket_is_refused_to_pages_of_other_sites() {
    let bus = Bus::new();
    let web = bus.serve();
    assert_eq!(Page::open(&web, &[("origin", "http://evil.example")]).err(), Some(403));
    let own = format!("http://{}", web.address());
    assert!(Page::open(&web, &[("origin", &own)]).is_ok());
}

#[test]
fn pages_of_other_sites_get_nothing_but_the_page() {
    let bus = Bus::new();
    let web = bus.serve();
    let foreign = ["Sec-Fetch-Site: cross-site"];
    assert_eq!(web.get_with("/", &foreign).status, 200, "a link");
    for path in ["/api/streams", "/metrics", "/snapshot/a/b.png"] {
        let reply = web.get_with(path, &foreign);
        assert_eq!(reply.status, 403, "{path}");
        assert!(reply.text().contains("another site") && reply.text().ends_with('\n'), "{}", reply.text());
    }
    assert_eq!(web.get_with("/api/streams", &["Sec-Fetch-Site: same-origin"]).status, 200);
}

#[test]
fn who_listens_to_others_has_a_token() {
    let settings = framebus_web::Settings::at("0.0.0.0:0".parse().unwrap());
    let error = format!("{:#}", framebus_web::Server::start(settings).err().expect("refused"));
    assert!(error.contains("0.0.0.0:0") && error.contains("token") && error.contains("127.0.0.1"), "{error}");
}

#[test]
fn every_answer_says_what_a_browser_must_not_do() {
    let bus = Bus::new();
    let web = bus.serve();
    for path in ["/", "/api/streams", "/metrics", "/nothing", "/snapshot/a/b.png"] {
        let reply = web.get(path);
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert_eq!(reply.header("cache-control"), Some("no-store"), "{path}");
        assert!(reply.header("content-security-policy").unwrap().starts_with("default-src 'none'"), "{path}");
    }
    let nonces = [web.get("/"), web.get("/")].map(|reply| {
        let policy = reply.header("content-security-policy").unwrap().to_owned();
        let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap().to_owned();
        assert!(reply.text().contains(&format!("<script nonce=\"{nonce}\">")));
        nonce
    });
    assert_ne!(nonces[0], nonces[1]);
}
