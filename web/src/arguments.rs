//! The command line.

use std::net::{SocketAddr, ToSocketAddrs};

use clap::Args;
use framebus::{Backend, StreamName};

/// Where the server listens, where nothing else is said.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:8080";

/// What the server is to do. A front-door program flattens it into its own command line.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Only streams whose BUS/STREAM begins so
    pub prefix: Option<String>,

    /// Where to listen: HOST:PORT, or a PORT of this machine alone; port 0 is any that is free
    ///
    /// Whoever is not on this machine needs a token, see --token.
    #[arg(long, value_name = "ADDR", default_value = DEFAULT_ADDRESS, value_parser = address)]
    pub listen: SocketAddr,

    /// Only the streams of this bus
    #[arg(long, value_name = "NAME")]
    pub bus: Option<String>,

    /// Only streams made of this: sysv, file, or file:/DIRECTORY [default: sysv and file]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<Backend>,

    /// What a browser must know to see anything: 8 to 128 letters, digits, '-', '_', '.' or '~'
    ///
    /// Without it, it is $FRAMEBUS_TOKEN; without that, none is needed on a loopback address, and one is made up and
    /// printed on any other.
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    pub token: Option<String>,

    /// Threads that make pictures; at most twice the cores
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = encoders)]
    pub encoders: usize,

    /// Quality of JPEGs where a browser does not say
    #[arg(long, value_name = "1-100", default_value_t = 75, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: u8,

    /// Most connections at a time; a browser takes two or three
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub max_clients: u16,

    /// Print the address as a JSON object
    #[arg(long)]
    pub json: bool,

    /// Say nothing but the address and errors
    #[arg(long, short)]
    pub quiet: bool,

    /// Only this stream.
    #[arg(skip)]
    pub stream: Option<StreamName>,

    /// The option that says where to listen, for messages.
    #[arg(skip = LISTEN)]
    pub listen_option: &'static str,
}

const LISTEN: &str = "--listen";

impl Arguments {
    /// The defaults, at an address.
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            prefix: None,
            listen,
            bus: None,
            backend: None,
            token: None,
            encoders: 1,
            quality: 75,
            max_clients: 32,
            json: false,
            quiet: false,
            stream: None,
            listen_option: LISTEN,
        }
    }
}

/// Reads an address to listen on: `HOST:PORT`, or a `PORT` of 127.0.0.1.
///
/// # Errors
/// What is no address, in words.
pub fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(port) = text.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let expected = "expected HOST:PORT, as in 127.0.0.1:8080, or a PORT";
    let mut found = text.to_socket_addrs().map_err(|error| format!("{text:?} is no address ({error}): {expected}"))?;
    found.next().ok_or_else(|| format!("{text:?} has no address: {expected}"))
}

/// A token goes into URLs and cookies as it is.
pub(crate) fn token(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    match (8..=128).contains(&text.len()) && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err("a token has 8 to 128 characters: letters, digits, '-', '_', '.' and '~'".to_owned()),
    }
}

fn encoders(text: &str) -> Result<usize, String> {
    let most = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    match text.parse() {
        Ok(count) if (1..=most).contains(&count) => Ok(count),
        _ => Err(format!("{text:?} is out of range: expected 1 to {most}, twice the cores of this machine")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(words: &[&str]) -> Result<Arguments, String> {
        let words = std::iter::once(&"web").chain(words);
        Program::try_parse_from(words).map(|program| program.arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_at_all_is_a_good_command_line_and_stays_on_this_machine() {
        let arguments = parse(&[]).unwrap();
        assert!(arguments.listen.ip().is_loopback());
        assert_eq!((arguments.listen.port(), arguments.encoders, arguments.max_clients), (8080, 1, 32));
    }

    #[test]
    fn addresses_are_read_with_and_without_a_host() {
        assert_eq!(parse(&["--listen", "9000"]).unwrap().listen.to_string(), "127.0.0.1:9000");
        assert_eq!(parse(&["--listen", "[::1]:0"]).unwrap().listen.to_string(), "[::1]:0");
        assert!(parse(&["--listen", "localhost:1"]).unwrap().listen.ip().is_loopback());
        assert!(parse(&["--listen", "nowhere"]).unwrap_err().contains("expected HOST:PORT"));
    }

    #[test]
    fn values_that_can_not_be_are_refused_with_what_was_expected() {
        assert!(parse(&["--token", "short"]).unwrap_err().contains("8 to 128 characters"));
        assert!(parse(&["--token", "with space"]).unwrap_err().contains("8 to 128 characters"));
        assert!(parse(&["--encoders", "0"]).unwrap_err().contains("expected 1 to"));
        assert!(parse(&["--encoders", "9999"]).unwrap_err().contains("twice the cores"));
        assert!(parse(&["--quality", "0"]).is_err());
        assert!(parse(&["--max-clients", "0"]).is_err());
    }
}
