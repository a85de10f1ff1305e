//! A whole run: listen, say where, and serve until Ctrl-C.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use framebus::check_part;
use framebus_program::{Level, backends, say, usage};
use serde_json::json;

use crate::arguments::{self, Arguments};
use crate::server::{Server, Settings};
use crate::token;

/// The environment variable that has the token.
const VARIABLE: &str = "FRAMEBUS_TOKEN";

/// How often to look whether the user wants it to end.
const SLICE: Duration = Duration::from_millis(100);

/// Serves, as the arguments say, until Ctrl-C, SIGTERM or SIGHUP, which it takes over.
///
/// # Errors
/// Whatever kept it from listening.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if let Some(bus) = &arguments.bus {
        check_part("bus", bus).context("--bus")?;
    }
    let mut settings = Settings::at(arguments.listen);
    settings.scope.backends = backends(arguments.backend.as_ref());
    settings.scope.bus = arguments.bus.clone();
    settings.scope.prefix = arguments.prefix.clone().unwrap_or_default();
    settings.scope.stream = arguments.stream.clone();
    settings.token = token(arguments)?;
    settings.encoders = arguments.encoders;
    settings.quality = arguments.quality;
    settings.max_clients = arguments.max_clients.into();
    settings.quiet = arguments.quiet;

    let stop = Arc::new(AtomicBool::new(false));
    framebus_program::on_interrupt(&stop).context("preparing for Ctrl-C")?;
    let token = settings.token.clone();
    let server = Server::start(settings).map_err(|error| match is_of_the_address(&error) {
        true => error.context(format!("choose another address or port with {}", arguments.listen_option)),
        false => error,
    })?;
    announce(arguments, &server, token.as_deref())?;
    while !stop.load(Ordering::Relaxed) {
        std::thread::sleep(SLICE);
    }
    let address = server.address();
    drop(server);
    if !arguments.quiet {
        tracing::info!(%address, cause = framebus_program::signal_name(), "server ended");
    }
    Ok(())
}

/// Whether another address would do.
fn is_of_the_address(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(kind, Some(ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable | ErrorKind::PermissionDenied))
}

/// The token that is asked for; one is made up where others than this machine's users may come.
fn token(arguments: &Arguments) -> anyhow::Result<Option<String>> {
    if let Some(token) = &arguments.token {
        return Ok(Some(token.clone()));
    }
    match std::env::var(VARIABLE) {
        Ok(token) if !token.is_empty() => {
            arguments::token(&token).map(Some).map_err(|error| usage!("{VARIABLE}: {error}"))
        }
        _ if arguments.listen.ip().is_loopback() => Ok(None),
        _ => token::random().map(Some),
    }
}

/// Where it listens: one line on standard output.
fn announce(arguments: &Arguments, server: &Server, token: Option<&str>) -> io::Result<()> {
    let address = server.address();
    let query = token.map_or(String::new(), |token| format!("?token={token}"));
    let url = format!("http://{address}/{query}");
    let mut out = io::stdout().lock();
    if arguments.json {
        writeln!(
            out,
            "{}",
            json!({ "kind": "listening", "url": url, "address": address.to_string(), "token": token })
        )?;
    } else {
        writeln!(out, "{url}")?;
    }
    out.flush()?;
    if !arguments.quiet {
        if address.ip().is_unspecified() {
            let ip = address.ip();
            say(Level::Note, format_args!("from elsewhere, with this machine's name or address in place of {ip}"));
        }
        say(Level::Note, "open it in a browser; Ctrl-C ends");
    }
    Ok(())
}
