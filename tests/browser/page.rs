//! A page as a person has it: looks at it, clicks, types, and expects no error and no request to anybody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::base64;
use crate::chromium::Chromium;
use crate::devtools::DevTools;
use crate::harness::eventually;

/// Width and height in CSS pixels of a desk and of a small phone.
pub const DESK: (u32, u32) = (1280, 800);
pub const PHONE: (u32, u32) = (360, 740);

/// One page with storage of its own.
pub struct Page {
    tools: DevTools,
    browser: DevTools,
    /// Of all that this page may speak to, `127.0.0.1:PORT`.
    host: String,
    context: String,
    downloads: PathBuf,
    /// The server is taken away on purpose: the browser's words on that are no trouble.
    pub expects_lost_connections: bool,
    chromium: Arc<Chromium>,
}

impl Page {
    /// A page of a server at `host`, at the place `hash`; `None` where there is no browser.
    pub fn open(host: &str, hash: &str) -> Option<Self> {
        let chromium = Chromium::shared()?;
        let mut browser = DevTools::connect(chromium.port, &chromium.path);
        let context = browser.call("Target.createBrowserContext", &json!({ "disposeOnDetach": true }));
        let context = context["browserContextId"].as_str().unwrap().to_owned();
        let blank = json!({ "url": "about:blank", "browserContextId": context });
        let target = browser.call("Target.createTarget", &blank)["targetId"].as_str().unwrap().to_owned();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let downloads = chromium.folder(&format!("downloads-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        let to = json!({ "behavior": "allow", "browserContextId": context, "downloadPath": downloads });
        browser.call("Browser.setDownloadBehavior", &to);
        let tools = DevTools::connect(chromium.port, &format!("/devtools/page/{target}"));
        let host = host.to_owned();
        let mut page = Self { tools, browser, host, context, downloads, expects_lost_connections: false, chromium };
        for domain in ["Page", "Runtime", "Network", "Log"] {
            page.tools.call(&format!("{domain}.enable"), &json!({}));
        }
        // As if each page was the one in front.
        page.tools.call("Emulation.setFocusEmulationEnabled", &json!({ "enabled": true }));
        page.size(DESK);
        page.theme("dark");
        page.visit(hash);
        Some(page)
    }

    /// Loads the page anew, at a place of it.
    pub fn visit(&mut self, hash: &str) {
        self.tools.call("Page.navigate", &json!({ "url": "about:blank" }));
        let url = format!("http://{}/{hash}", self.host);
        let answer = self.tools.call("Page.navigate", &json!({ "url": url }));
        assert!(answer["errorText"].is_null(), "{answer}");
        self.wait_for("the page has started", "typeof framebus === 'object' && framebus.model.heard");
    }

    pub fn size(&mut self, (width, height): (u32, u32)) {
        let phone = width < 600;
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": if phone { 2 } else { 1 }, "mobile": phone,
        });
        self.tools.call("Emulation.setDeviceMetricsOverride", &metrics);
        self.tools.call("Emulation.setTouchEmulationEnabled", &json!({ "enabled": phone }));
    }

    /// What the system prefers, `dark` or `light`.
    pub fn theme(&mut self, theme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": theme }] });
        self.tools.call("Emulation.setEmulatedMedia", &features);
    }

    /// The value of an expression; promises are awaited.
    #[track_caller]
    pub fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.tools.call("Runtime.evaluate", &parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression gives something that is true in JavaScript's sense.
    #[track_caller]
    pub fn wait_for(&mut self, what: &str, expression: &str) -> Value {
        let expression = format!("(() => {{ try {{ return ({expression}) }} catch {{ return null }} }})()");
        eventually(what, || {
            let value = self.evaluate(&expression);
            let nothing = value.is_null() || value == json!(false) || value == json!(0) || value == json!("");
            (!nothing).then_some(value)
        })
    }

    /// The text of an element, as a person sees it.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({})?.innerText ?? null", quoted(selector)));
        text.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// A number that changes when the picture of a canvas does.
    #[track_caller]
    pub fn pixels(&mut self, selector: &str) -> u64 {
        let canvas = format!("document.querySelector({})", quoted(selector));
        self.evaluate(&format!(
            "(canvas => {{
                const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
                let sum = 7;
                for (let at = 0; at < data.length; at += 1) sum = (sum * 31 + data[at]) % 4294967291;
                return sum;
            }})({canvas})"
        ))
        .as_u64()
        .unwrap()
    }

    /// Waits until the picture of a canvas is another one.
    #[track_caller]
    pub fn wait_for_movement(&mut self, selector: &str) {
        let there = format!("document.querySelector({}).width > 0", quoted(selector));
        self.wait_for(&format!("{selector} is there"), &there);
        let before = self.pixels(selector);
        eventually(&format!("{selector} moves"), || (self.pixels(selector) != before).then_some(()));
    }

    /// The middle of an element that can be seen, in CSS pixels.
    #[track_caller]
    fn middle(&mut self, selector: &str) -> (f64, f64) {
        let selector = quoted(selector);
        let place = self.wait_for(
            &format!("{selector} can be seen"),
            &format!(
                "(node => {{
                    node.scrollIntoView({{ block: 'nearest' }});
                    const box = node.getBoundingClientRect();
                    return box.width > 0 && [box.x + box.width / 2, box.y + box.height / 2];
                }})(document.querySelector({selector}))"
            ),
        );
        (place[0].as_f64().unwrap(), place[1].as_f64().unwrap())
    }

    /// Clicks an element with the mouse.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let (x, y) = self.middle(selector);
        self.point(x, y);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({ "type": kind, "x": x, "y": y, "button": "left", "clickCount": 1 });
            self.tools.call("Input.dispatchMouseEvent", &event);
        }
    }

    /// Moves the mouse.
    pub fn point(&mut self, x: f64, y: f64) {
        self.tools.call("Input.dispatchMouseEvent", &json!({ "type": "mouseMoved", "x": x, "y": y }));
    }

    /// Turns the wheel at a place; up is negative.
    pub fn wheel(&mut self, x: f64, y: f64, down: f64) {
        let event = json!({ "type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": down });
        self.tools.call("Input.dispatchMouseEvent", &event);
    }

    /// Presses a key: a character, or a name like `Escape`.
    pub fn key(&mut self, key: &str) {
        let mut down = json!({ "type": "keyDown", "key": key });
        if key.chars().count() == 1 {
            down["text"] = json!(key);
        }
        if key == " " {
            down["windowsVirtualKeyCode"] = json!(32);
        }
        if key == "Backspace" {
            down["windowsVirtualKeyCode"] = json!(8);
        }
        if key == "Enter" {
            (down["text"], down["windowsVirtualKeyCode"]) = (json!("\r"), json!(13));
        }
        self.tools.call("Input.dispatchKeyEvent", &down);
        let code = down["windowsVirtualKeyCode"].as_u64().unwrap_or_default();
        let up = json!({ "type": "keyUp", "key": key, "windowsVirtualKeyCode": code });
        self.tools.call("Input.dispatchKeyEvent", &up);
    }

    /// Waits for a download whose name ends so.
    #[track_caller]
    pub fn download(&mut self, ending: &str) -> (String, Vec<u8>) {
        eventually(&format!("a download *{ending}"), || {
            let entries = std::fs::read_dir(&self.downloads).unwrap().flatten();
            let path = entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with(ending))?;
            Some((path.file_name()?.to_str()?.to_owned(), std::fs::read(&path).unwrap()))
        })
    }

    /// A picture of what can be seen, as PNG; also in `$FRAMEBUS_SCREENSHOTS`, where that is set.
    pub fn screenshot(&mut self, name: &str) -> Vec<u8> {
        let answer = self.tools.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = base64::decode(answer["data"].as_str().unwrap());
        if let Some(folder) = std::env::var_os("FRAMEBUS_SCREENSHOTS") {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(PathBuf::from(folder).join(format!("{name}.png")), &png).unwrap();
        }
        png
    }

    /// Errors in the console, exceptions, and requests to others than the server.
    pub fn trouble(&mut self) -> Vec<String> {
        // All that happened before this has been told by then.
        self.evaluate("0");
        let events = std::mem::take(&mut self.tools.events);
        events.iter().filter_map(|event| self.trouble_in(event)).collect()
    }

    fn trouble_in(&self, event: &Value) -> Option<String> {
        let parameters = &event["params"];
        match event["method"].as_str()? {
            "Runtime.exceptionThrown" => Some(format!("exception: {}", parameters["exceptionDetails"])),
            "Runtime.consoleAPICalled" if parameters["type"] == "error" || parameters["type"] == "assert" => {
                Some(format!("console: {}", parameters["args"]))
            }
            "Log.entryAdded" if parameters["entry"]["level"] == "error" => {
                let text = parameters["entry"]["text"].as_str().unwrap_or_default();
                let words = ["ERR_CONNECTION_REFUSED", "closed before the connection is established"];
                let lost = self.expects_lost_connections && words.iter().any(|words| text.contains(words));
                (!lost).then(|| format!("log: {}", parameters["entry"]))
            }
            "Network.requestWillBeSent" | "Network.webSocketCreated" => {
                let url = parameters["request"]["url"].as_str().or(parameters["url"].as_str()).unwrap_or_default();
                let ours = [format!("http://{}/", self.host), format!("ws://{}/", self.host)];
                let local = ["blob:", "data:", "about:"].iter().any(|scheme| url.starts_with(scheme));
                (!local && !ours.iter().any(|address| url.starts_with(address))).then(|| format!("request: {url}"))
            }
            _ => None,
        }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(self.trouble(), Vec::<String>::new());
        }
        // With its pages; the browser itself ends with the last test.
        let _ = self.browser.try_call("Target.disposeBrowserContext", &json!({ "browserContextId": self.context }));
        let _ = &self.chromium;
    }
}

/// A text as JavaScript has it.
pub fn quoted(text: &str) -> String {
    json!(text).to_string()
}
