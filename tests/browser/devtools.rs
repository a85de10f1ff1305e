//! The DevTools protocol: calls and their answers over a WebSocket, and what came in between.
//!
//! <https://chromedevtools.github.io/devtools-protocol/>

use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

/// An answer that takes so long does not come.
const WATCHDOG: Duration = Duration::from_secs(60);

/// One connection: to the browser, or to one page.
pub struct DevTools {
    socket: WebSocket<TcpStream>,
    number: u64,
    /// Events, in the order of their arrival.
    pub events: Vec<Value>,
}

impl DevTools {
    pub fn connect(port: u16, path: &str) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        let (socket, _) = tungstenite::client(format!("ws://127.0.0.1:{port}{path}"), stream).unwrap();
        Self { socket, number: 0, events: Vec::new() }
    }

    /// Calls a method; an error is one of the test.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: &Value) -> Value {
        self.try_call(method, parameters).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// Calls a method.
    pub fn try_call(&mut self, method: &str, parameters: &Value) -> Result<Value, String> {
        self.number += 1;
        let call = json!({ "id": self.number, "method": method, "params": parameters });
        self.socket.send(Message::text(call.to_string())).map_err(|error| error.to_string())?;
        loop {
            let message = self.socket.read().map_err(|error| error.to_string())?;
            let Message::Text(text) = message else { continue };
            let mut answer: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            if answer["id"].as_u64() == Some(self.number) {
                return match answer["error"].is_null() {
                    true => Ok(answer["result"].take()),
                    false => Err(answer["error"].to_string()),
                };
            }
            if answer["method"].is_string() {
                self.events.push(answer);
            }
        }
    }
}
