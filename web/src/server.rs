//! The server: listens, keeps the limits of connections, and ends.

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};

use crate::access::Access;
use crate::encoders::Encoders;
use crate::frozen::Room;
use crate::routes::{Hub, router};
use crate::streams::{Scope, Streams};
use crate::visitors::{Peer, Visitors};
use crate::watches::Watches;

/// Most bytes of a request's line and headers, and of hyper's buffer, the smallest that it has.
const MOST_HEADER_BYTES: usize = 8192;

/// How long a request's headers may take, and an idle connection may stay.
const HEADER_TIME: Duration = Duration::from_secs(10);

/// A connection over which nothing comes for so long is asked whether its peer is still there, so often, so many times (tcp(7)):
/// one that vanished while nothing was sent to it would stay for ever, and with it what it looks at.
const KEEP_ALIVE: (Duration, Duration, u32) = (Duration::from_secs(30), Duration::from_secs(10), 3);

/// Bytes of a connection's send buffer; the kernel takes twice as many. A slow reader lags by what is in it.
const SEND_BUFFER: usize = 128 << 10;

/// How long a peer may take nothing of what was sent; then its connection ends (tcp(7), `TCP_USER_TIMEOUT`).
const UNTAKEN_MS: u32 = 60_000;

/// Memory for frozen frames, where nothing else is said: four of 8K in colours and some.
const FROZEN_BYTES: usize = 512 << 20;

/// Connections that are told that there are too many, at a time; further ones are closed without a word.
const MOST_REFUSALS: usize = 16;

const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\nContent-Type: \
    text/plain\r\nContent-Length: 51\r\n\r\ntoo many connections; --max-clients says how many.\n";

/// What a server is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where to listen; port 0 is any that is free.
    pub listen: SocketAddr,
    /// Which streams are shown.
    pub scope: Scope,
    /// What a browser must know. Whoever listens on an address that is not loopback must have one.
    pub token: Option<String>,
    /// Threads that make pictures.
    pub encoders: usize,
    /// Quality of JPEGs where a browser does not say, 1 to 100.
    pub quality: u8,
    /// Most connections at a time.
    pub max_clients: usize,
    /// Most bytes of the frames that browsers have frozen, all browsers together.
    pub frozen_bytes: usize,
    /// How long a stream stays subscribed to after the last who looked at it.
    pub linger: Duration,
    /// Who comes and who is refused is told to who debugs alone.
    pub quiet: bool,
}

impl Settings {
    /// The defaults, at an address.
    pub fn at(listen: SocketAddr) -> Self {
        let (scope, linger) = (Scope::default(), Duration::from_secs(5));
        Self {
            listen,
            scope,
            token: None,
            encoders: 1,
            quality: 75,
            max_clients: 32,
            frozen_bytes: FROZEN_BYTES,
            linger,
            quiet: false,
        }
    }
}

/// A server at work; it ends when it is dropped, and gives back its places in streams.
pub struct Server {
    address: SocketAddr,
    watches: Arc<Watches>,
    runtime: Option<Runtime>,
}

impl Server {
    /// Listens, and serves from threads of its own.
    ///
    /// # Errors
    /// The address is in use, or no address of this machine, or others reach it and no token is asked for; there are no
    /// threads.
    pub fn start(settings: Settings) -> anyhow::Result<Self> {
        let listen = settings.listen;
        if settings.token.is_none() && !listen.ip().is_loopback() {
            anyhow::bail!(
                "will not listen on {listen} without a token: whoever reaches it would see all streams; set a token, or \
                 listen on a loopback address such as 127.0.0.1"
            );
        }
        let listener = TcpListener::bind(listen).with_context(|| format!("can not listen on {listen}"))?;
        let address = listener.local_addr()?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .thread_name("web")
            .enable_all()
            .build()
            .context("starting the server's threads")?;
        let watches = Arc::new(Watches::new(Encoders::start(settings.encoders)?, settings.linger));
        let hub = Arc::new(Hub {
            access: Access::new(address, settings.token),
            streams: Streams::new(settings.scope),
            watches: watches.clone(),
            room: Arc::new(Room::new(settings.frozen_bytes)),
            quality: settings.quality,
            clients: AtomicUsize::new(0),
            visitors: Visitors::new(settings.quiet),
        });
        let listener = {
            let _entered = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        runtime.spawn(accept(listener, hub, settings.max_clients));
        Ok(Self { address, watches, runtime: Some(runtime) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // First those who look, then what they look at.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(1));
        }
        self.watches.end();
    }
}

/// A connection's place among the most that there may be; a WebSocket keeps it.
pub(crate) type Place = Arc<OwnedSemaphorePermit>;

async fn accept(listener: tokio::net::TcpListener, hub: Arc<Hub>, max_clients: usize) {
    let router = router(hub.clone());
    let (places, refusals) = (Arc::new(Semaphore::new(max_clients)), Arc::new(Semaphore::new(MOST_REFUSALS)));
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // No descriptors, as a rule: some connection has to end first.
                tracing::debug!(%error, "can not accept");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        match places.clone().try_acquire_owned() {
            Ok(place) => drop(tokio::spawn(serve(socket, Peer(peer), router.clone(), Arc::new(place)))),
            Err(_) => {
                hub.visitors.refuse(peer, "too many connections");
                if let Ok(refusal) = refusals.clone().try_acquire_owned() {
                    tokio::spawn(timeout(Duration::from_secs(2), refuse(socket, refusal)));
                }
            }
        }
    }
}

async fn serve(socket: TcpStream, peer: Peer, router: Router, place: Place) {
    // Without them it works, too.
    let _ = socket.set_nodelay(true);
    let _ = sockopt::set_socket_send_buffer_size(&socket, SEND_BUFFER);
    let _ = sockopt::set_tcp_user_timeout(&socket, UNTAKEN_MS);
    let (idle, interval, count) = KEEP_ALIVE;
    let _ = sockopt::set_tcp_keepidle(&socket, idle);
    let _ = sockopt::set_tcp_keepintvl(&socket, interval);
    let _ = sockopt::set_tcp_keepcnt(&socket, count);
    let _ = sockopt::set_socket_keepalive(&socket, true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(place.clone());
        request.extensions_mut().insert(peer);
        let answer = router.call(request.map(Body::new));
        async move { answer.await as Result<Response, Infallible> }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MOST_HEADER_BYTES)
        .max_header_size(MOST_HEADER_BYTES)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    if let Err(error) = connection.await {
        tracing::debug!(peer = %peer.0, %error, "a connection ended");
    }
}

/// Says that there are too many connections.
async fn refuse(mut socket: TcpStream, _refusal: OwnedSemaphorePermit) -> std::io::Result<()> {
    socket.write_all(TOO_MANY).await?;
    socket.shutdown().await?;
    // What was not read when a socket is closed takes what was said with it.
    let mut request = [0; 1024];
    while socket.read(&mut request).await? > 0 {}
    Ok(())
}
