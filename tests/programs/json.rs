//! docs/json.md is a promise. Each command prints its objects, and each object is held against the tables of that page: every key
//! that is printed stands there, every key that stands there is printed, of its type, and null only where it says so.
//!
//! A new command is a row of [`ROWS`], and a section with a table in the page.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use framebus::{Content, Publisher};
use serde_json::Value;

use crate::harness::{Running, TestStream, WATCHDOG, attach, eventually, framebus, options};

/// A key of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    /// `integer`, `f64`, `string`, `boolean`, `array`, `object`.
    kind: String,
    nullable: bool,
}

type Table = BTreeMap<String, Field>;

/// The tables of each section of a page, by its heading.
fn parse(page: &str) -> BTreeMap<String, Vec<Table>> {
    let mut sections: BTreeMap<String, Vec<Table>> = BTreeMap::new();
    let (mut section, mut columns) = (String::new(), None);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = heading.to_owned();
        }
        let Some(row) = line.strip_prefix('|') else {
            columns = None;
            continue;
        };
        let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let Some((of_kind, of_null)) = columns else {
            let of = |name: &str| cells.iter().position(|cell| *cell == name);
            // Tables of something else than keys are tables, too: they are counted, and empty.
            columns = Some((of("type").filter(|_| cells[0].starts_with("key")), of("null")));
            sections.entry(section.clone()).or_default().push(Table::new());
            continue;
        };
        let (Some(of_kind), false) = (of_kind, cells[0].starts_with("---")) else { continue };
        let keys: Vec<&str> = cells[0].split('`').skip(1).step_by(2).collect();
        let kinds: Vec<&str> = cells[of_kind].split(", ").collect();
        let nullable = of_null.is_some_and(|column| cells[column] != "–");
        let table = sections.get_mut(&section).and_then(|tables| tables.last_mut()).unwrap();
        for (index, key) in keys.iter().enumerate() {
            let kind = kinds.get(index).unwrap_or(&kinds[0]).split(' ').next().unwrap().to_owned();
            let before = table.insert((*key).to_owned(), Field { kind, nullable });
            assert!(before.is_none(), "{key} stands twice in a table of {section}");
        }
    }
    sections
}

const TEXT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md"));

static PAGE: LazyLock<BTreeMap<String, Vec<Table>>> = LazyLock::new(|| parse(TEXT));

/// Tables that together have an object's keys: headings, and which of the section's tables.
type Tables = &'static [(&'static str, usize)];

fn schema(tables: Tables) -> Table {
    let mut schema = Table::new();
    for (heading, index) in tables {
        let table = PAGE.get(*heading).and_then(|tables| tables.get(*index));
        let table = table.unwrap_or_else(|| panic!("docs/json.md has a table {index} in a section {heading}"));
        assert!(!table.is_empty(), "table {index} of {heading} has no keys");
        schema.extend(table.clone());
    }
    schema
}

/// Objects of a kind.
struct Kind {
    /// The value of `kind`, and a key that tells them from others of that kind (`""`: none is needed).
    kind: &'static str,
    with: &'static str,
    tables: Tables,
    /// What lies within, by its path: `subscribers`, `subscribers.trouble`. Arrays are looked through.
    within: &'static [(&'static str, Tables)],
}

impl Kind {
    fn is_of(&self, object: &Value) -> bool {
        object["kind"] == self.kind && (self.with.is_empty() || object.get(self.with).is_some())
    }

    /// What is wrong with an object.
    fn faults(&self, object: &Value) -> Vec<String> {
        let mut faults = faults(object, &schema(self.tables), "");
        for (path, tables) in self.within {
            for inner in inside(object, path) {
                faults.extend(faults_of_inner(inner, &schema(tables), path));
            }
        }
        faults
    }
}

/// The objects at a path.
fn inside<'a>(object: &'a Value, path: &str) -> Vec<&'a Value> {
    let mut here = vec![object];
    for key in path.split('.') {
        here = here
            .into_iter()
            .flat_map(|value| match &value[key] {
                Value::Array(values) => values.iter().collect(),
                Value::Null => Vec::new(),
                value => vec![value],
            })
            .collect();
    }
    here
}

fn faults_of_inner(inner: &Value, schema: &Table, path: &str) -> Vec<String> {
    if inner.is_null() { Vec::new() } else { faults(inner, schema, &format!("{path}.")) }
}

fn faults(object: &Value, schema: &Table, path: &str) -> Vec<String> {
    let Some(object) = object.as_object() else { return vec![format!("{path} is no object: {object}")] };
    let mut faults: Vec<String> = Vec::new();
    for key in object.keys().filter(|key| !schema.contains_key(*key)) {
        faults.push(format!("{path}{key} is printed and not documented"));
    }
    for (key, field) in schema {
        let Some(value) = object.get(key) else {
            faults.push(format!("{path}{key} is documented and not printed"));
            continue;
        };
        let fits = match (field.kind.as_str(), value) {
            (_, Value::Null) => field.nullable,
            ("integer", value) => value.is_u64() || value.is_i64(),
            ("f64" | "number", value) => value.is_number(),
            ("string", value) => value.is_string(),
            ("boolean", value) => value.is_boolean(),
            ("array", value) => value.is_array(),
            ("object", value) => value.is_object(),
            (other, _) => panic!("{path}{key} has an unknown type in docs/json.md: {other}"),
        };
        if !fits {
            let null = if field.nullable { " or null" } else { "" };
            faults.push(format!("{path}{key} is {value}, documented as {}{null}", field.kind));
        }
    }
    faults
}

/// A command that prints objects.
struct Row {
    name: &'static str,
    /// What it prints. The stream has a producer of 50 Hz and a viewer.
    run: fn(&TestStream) -> String,
    kinds: &'static [Kind],
}

const PRODUCER_INTERVAL: Kind =
    Kind { kind: "interval", with: "published", tables: &[("`producer`: interval", 0)], within: &[] };
const PRODUCER_SUMMARY: Kind =
    Kind { kind: "summary", with: "published", tables: &[("`producer`: summary", 0)], within: &[] };
const VIEWER_INTERVAL: Kind = Kind {
    kind: "interval",
    with: "label",
    tables: &[("`viewer`: interval", 0)],
    within: &[("violations", VIOLATIONS)],
};
const VIEWER_SUMMARY: Kind =
    Kind { kind: "summary", with: "label", tables: &[("`viewer`: summary", 0)], within: &[("violations", VIOLATIONS)] };
const VIOLATIONS: Tables = &[("`viewer`: interval", 1)];
const CULPRIT: Tables = &[("`ls`", 3)];
const SUBSCRIBER_OF_TRACE: Tables = &[("`trace`: event", 1)];

const ROWS: &[Row] = &[
    Row {
        name: "producer",
        run: |_| {
            let stream = TestStream::new("json-producer");
            output(stream.command("producer", "--json --interval 0.2 --seconds 1 --width 64 --height 48 --format rgb8"))
        },
        kinds: &[PRODUCER_INTERVAL, PRODUCER_SUMMARY],
    },
    Row {
        name: "viewer",
        run: |stream| output(stream.command("viewer", "--json --interval 0.2 --seconds 1 --verify")),
        kinds: &[VIEWER_INTERVAL, VIEWER_SUMMARY],
    },
    Row {
        name: "viewer --wait predict",
        run: |stream| output(stream.command("viewer", "--json --interval 0.2 --seconds 1 --wait predict")),
        kinds: &[VIEWER_INTERVAL, VIEWER_SUMMARY],
    },
    Row {
        name: "viewer of nothing",
        run: |_| {
            let stream = TestStream::new("json-nothing");
            let publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 100 })).unwrap();
            let printed = output(stream.command("viewer", "--json --interval 0.1 --seconds 0.5"));
            drop(publisher);
            printed
        },
        kinds: &[VIEWER_INTERVAL, VIEWER_SUMMARY],
    },
    Row {
        name: "ls",
        run: |stream| {
            let mut ls = framebus();
            ls.args(["ls", "--json", &stream.name.to_string()]);
            output(ls)
        },
        kinds: &[Kind {
            kind: "stream",
            with: "",
            tables: &[("`ls`", 0)],
            within: &[("subscribers", &[("`ls`", 1)]), ("culprit", CULPRIT)],
        }],
    },
    Row {
        name: "trace",
        run: |_| {
            let stream = TestStream::new("json-trace");
            let mut publisher = Publisher::open(&stream.name, &options(Content::Bytes { capacity: 64 })).unwrap();
            publisher.count_late(1, Duration::from_millis(1));
            // Whom an event is about.
            let _reader = attach(&stream.name).unwrap();
            let mut trace = framebus();
            trace.args(["trace", "--json", "--past", "--summary", "--for", "0.3", &stream.name.to_string()]);
            output(trace)
        },
        kinds: &[
            Kind {
                kind: "event",
                with: "",
                tables: &[("`trace`: event", 0)],
                within: &[("by", SUBSCRIBER_OF_TRACE), ("culprits", SUBSCRIBER_OF_TRACE)],
            },
            Kind {
                kind: "summary",
                with: "",
                tables: &[("`trace`: lost and summary", 1)],
                within: &[
                    ("fates", &[("`trace`: lost and summary", 2)]),
                    ("fates.by", SUBSCRIBER_OF_TRACE),
                    ("fates.culprits", SUBSCRIBER_OF_TRACE),
                    ("others", &[("`trace`: lost and summary", 3)]),
                ],
            },
        ],
    },
    Row {
        name: "gc",
        run: |_| {
            let stream = TestStream::new("json-gc");
            let producer = stream.producer("--width 64 --height 48 --format rgb8 --rate 50");
            stream.wait_for_frame(1);
            producer.kill();
            let gc = || {
                let mut gc = framebus();
                gc.args(["gc", "--json", &stream.name.to_string()]);
                output(gc)
            };
            // Whoever lists the machine's streams has each mapped for a moment, and keeps it.
            eventually("it is removed", || Some(gc()).filter(|printed| printed.contains("removed")))
        },
        kinds: &[Kind { kind: "removed", with: "", tables: &[("`gc`", 0)], within: &[] }],
    },
    Row {
        name: "check",
        run: |_| {
            let mut check = framebus();
            check.args(["check", "--json", concat!(env!("CARGO_MANIFEST_DIR"), "/../config/presets/robot.toml")]);
            output(check)
        },
        kinds: &[
            Kind { kind: "bus", with: "", tables: &[("`check`", 0)], within: &[] },
            Kind { kind: "stream", with: "", tables: &[("`check`", 1)], within: &[] },
            Kind { kind: "summary", with: "", tables: &[("`check`", 2)], within: &[] },
        ],
    },
    Row {
        name: "doctor",
        run: |_| {
            let mut doctor = framebus();
            doctor.args(["doctor", "--json"]);
            // What it thinks of this machine is another question.
            String::from_utf8(doctor.output().unwrap().stdout).unwrap()
        },
        kinds: &[
            Kind { kind: "check", with: "", tables: &[("`doctor`: check", 0)], within: &[] },
            Kind { kind: "summary", with: "", tables: &[("`doctor`: summary", 0)], within: &[] },
        ],
    },
    Row {
        name: "top",
        run: |stream| {
            let mut top = framebus();
            top.args(["top", "--json", "--once", "--probe", "--interval", "0.5", &stream.name.to_string()]);
            output(top)
        },
        kinds: &[Kind {
            kind: "stream",
            with: "",
            tables: &[("`ls`", 0), ("`top`", 0)],
            within: &[
                ("subscribers", &[("`ls`", 1), ("`top`", 1)]),
                ("culprit", CULPRIT),
                ("trouble", &[("`top`", 2)]),
                ("subscribers.trouble", &[("`top`", 2)]),
            ],
        }],
    },
    Row {
        name: "web",
        run: |stream| {
            let mut web = framebus();
            web.args(["web", "--json", "--quiet", "--listen", "127.0.0.1:0", "--bus", stream.name.bus()]);
            let web = Running::start(web);
            let listening = web.next_object();
            web.interrupt();
            listening.to_string()
        },
        kinds: &[Kind { kind: "listening", with: "", tables: &[("`web`: listening", 0)], within: &[] }],
    },
    Row {
        name: "web /api/streams",
        run: |stream| {
            let mut web = framebus();
            web.args(["web", "--json", "--quiet", "--listen", "127.0.0.1:0", "--bus", stream.name.bus()]);
            let web = Running::start(web);
            let address = web.next_object()["address"].as_str().unwrap().to_owned();
            let mut socket = TcpStream::connect(&address).unwrap();
            socket.set_read_timeout(Some(WATCHDOG)).unwrap();
            write!(socket, "GET /api/streams HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
            let mut answer = String::new();
            socket.read_to_string(&mut answer).unwrap();
            web.interrupt();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(!head.to_lowercase().contains("chunked"), "{head}");
            let streams: Vec<Value> = serde_json::from_str(body).unwrap();
            streams.iter().map(|stream| format!("{stream}\n")).collect()
        },
        kinds: &[Kind {
            kind: "stream",
            with: "",
            tables: &[("`ls`", 0), ("`web`: `/api/streams`", 0)],
            within: &[("subscribers", &[("`ls`", 1)]), ("watch", &[("`web`: `/api/streams`", 1)])],
        }],
    },
    Row {
        name: "demo",
        run: |_| {
            let stream = TestStream::new("json-demo");
            let folder = tempfile::tempdir().unwrap();
            let mut demo = framebus();
            demo.args(["demo", "--json", "--seconds", "2", "--bus", stream.name.bus(), "--snapshot"]);
            demo.arg(folder.path().join("picture.png"));
            output(demo)
        },
        kinds: &[
            PRODUCER_INTERVAL,
            VIEWER_INTERVAL,
            Kind {
                kind: "summary",
                with: "viewers",
                tables: &[("`demo`", 0)],
                within: &[
                    ("producer", &[("`producer`: summary", 0)]),
                    ("viewers", &[("`viewer`: summary", 0)]),
                    ("viewers.violations", VIOLATIONS),
                ],
            },
        ],
    },
    Row {
        name: "soak",
        run: |_| {
            let folder = tempfile::tempdir().unwrap();
            let stream = TestStream::new("json-soak");
            let mut soak = framebus();
            soak.args(["soak", "--json", "--seconds", "3", "--streams", "1", "--viewers", "1", "--size", "64x48"]);
            soak.args(["--bus", stream.name.bus(), "--report"]).arg(folder.path());
            output(soak)
        },
        kinds: &[
            Kind { kind: "interval", with: "at_s", tables: &[("`soak`: interval", 0)], within: &[] },
            Kind {
                kind: "summary",
                with: "verdict",
                tables: &[("`soak`: summary", 0)],
                within: &[
                    ("totals", &[("`soak`: summary", 1)]),
                    ("verdict", &[("`soak`: summary", 2)]),
                    ("verdict.promises", &[("`soak`: summary", 3)]),
                    ("verdict.findings", &[("`soak`: summary", 4)]),
                ],
            },
        ],
    },
];

/// What a command prints that ends well.
fn output(mut command: std::process::Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn every_object_is_as_documented_and_every_documented_key_is_printed() {
    let stream = TestStream::new("json");
    let producer = stream.producer("--width 64 --height 48 --format rgb8 --rate 50");
    let viewer = stream.viewer("");
    viewer.wait_for("frames", 1);
    let mut faults: Vec<String> = Vec::new();
    for row in ROWS {
        let printed = (row.run)(&stream);
        let mut seen = vec![0; row.kinds.len()];
        for line in printed.lines() {
            let object: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", row.name));
            let Some(index) = row.kinds.iter().position(|kind| kind.is_of(&object)) else {
                faults.push(format!("{}: a kind that is not expected: {line}", row.name));
                continue;
            };
            seen[index] += 1;
            faults.extend(row.kinds[index].faults(&object).into_iter().map(|fault| format!("{}: {fault}", row.name)));
        }
        for (kind, _) in row.kinds.iter().zip(seen).filter(|(_, seen)| *seen == 0) {
            faults.push(format!("{}: no {} with {:?} was printed", row.name, kind.kind, kind.with));
        }
    }
    viewer.interrupt();
    producer.interrupt();
    faults.sort();
    faults.dedup();
    assert!(faults.is_empty(), "docs/json.md and the programs differ:\n{}", faults.join("\n"));
}

/// The objects that a page shows, with the sections that they stand in.
fn examples(page: &str) -> Vec<(String, Value)> {
    let (mut section, mut is_shown, mut examples) = (String::new(), false, Vec::new());
    for line in page.lines() {
        match line.strip_prefix("## ") {
            Some(heading) => section = heading.to_owned(),
            None if line.starts_with("```") => is_shown = line == "```json",
            None if is_shown => examples.push((section.clone(), serde_json::from_str(line).unwrap())),
            None => {}
        }
    }
    examples
}

#[test]
fn every_example_of_the_page_is_as_the_tables_say() {
    let examples = examples(TEXT);
    assert!(examples.len() >= 9, "{examples:?}");
    for (section, object) in examples {
        // A kind's own table is the last one: those before it are of what it has besides.
        let is_of_section = |kind: &&Kind| kind.tables.last().unwrap().0 == section && kind.is_of(&object);
        let kind = ROWS.iter().flat_map(|row| row.kinds).find(is_of_section);
        let faults =
            kind.unwrap_or_else(|| panic!("{section} has an object of another kind: {object}")).faults(&object);
        assert!(faults.is_empty(), "the example of {section} differs from the tables:\n{}", faults.join("\n"));
    }
}

#[test]
fn each_command_that_has_json_stands_in_the_table_of_this_test() {
    let help = |arguments: &[&str]| {
        output({
            let mut command = framebus();
            command.args(arguments).arg("--help");
            command
        })
    };
    let text = help(&[]);
    let commands = text.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // What does not begin in the third column is the rest of a longer explanation.
    let commands = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    for command in commands.filter_map(|line| line.split(' ').next()).filter(|command| *command != "help") {
        let has_json = help(&[command]).lines().any(|line| line.trim_start().starts_with("--json"));
        let stands_there = ROWS.iter().any(|row| row.name.split(' ').next() == Some(command));
        assert_eq!(has_json, stands_there, "{command} --json, and its row in tests/programs/json.rs");
    }
}

#[test]
fn a_page_and_an_object_that_differ_are_found() {
    let page = "## `x`\n\n| key | type | unit | null | meaning |\n|---|---|---|---|---|\n| `a`, `b` | integer | | – | |\n\
                | `c` | string | | never seen | |\n\nAnd\n\n| key | type | meaning |\n|---|---|---|\n| `d`, `e` | boolean, array of two | |\n";
    let tables = parse(page).remove("`x`").unwrap();
    assert_eq!(tables.len(), 2);
    let told = |object: &str, table: &Table| faults(&serde_json::from_str(object).unwrap(), table, "").join("; ");
    assert_eq!(told(r#"{"a":1,"b":2,"c":null}"#, &tables[0]), "");
    assert_eq!(told(r#"{"a":1,"b":2}"#, &tables[0]), "c is documented and not printed");
    assert_eq!(told(r#"{"a":1,"b":2,"c":"","z":1}"#, &tables[0]), "z is printed and not documented");
    assert_eq!(told(r#"{"a":1.5,"b":null,"c":3}"#, &tables[0]).matches("documented as").count(), 3);
    assert_eq!(told(r#"{"d":true,"e":[]}"#, &tables[1]), "");
    assert_eq!(told(r#"{"d":null,"e":{}}"#, &tables[1]).matches("documented as").count(), 2);
}
