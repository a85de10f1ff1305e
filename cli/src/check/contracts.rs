//! What a config agrees on with subscribers: the contract of all, and the tables of those who rely on something else.

use framebus::{Contract, OnFull};
use framebus_config::{StreamConfig, SubscriberConfig};

use super::guarantees::{Guarantee, guarantee, quoted};

/// `max_age_ms`, `max_skipped_per_s`, and a line for each label of `subscribers`.
pub fn of_stream(stream: &StreamConfig) -> Vec<Guarantee> {
    let contract = &stream.contract;
    let mut guarantees = vec![
        guarantee("max_age_ms", max_age_value(contract), max_age(contract)),
        guarantee("max_skipped_per_s", max_skipped_value(contract), max_skipped(contract)),
    ];
    if stream.subscribers.is_empty() {
        let sentence = "all subscribers have the stream's contract, and decide themselves whether they are lossless";
        guarantees.push(guarantee("subscribers", None, sentence));
    }
    guarantees.extend(stream.subscribers.iter().map(|(label, subscriber)| {
        guarantee(format!("subscribers.{}", key(label)), value(stream, subscriber), sentence(stream, label, subscriber))
    }));
    guarantees
}

fn max_age_value(contract: &Contract) -> Option<String> {
    contract.max_age.map(|age| (age.as_nanos() as f64 / 1e6).to_string())
}

fn max_skipped_value(contract: &Contract) -> Option<String> {
    contract.max_skipped_per_s.map(|most| most.to_string())
}

fn max_age(contract: &Contract) -> String {
    match max_age_value(contract) {
        Some(ms) => format!(
            "who takes a frame later than {ms} ms after its capture, or finds no newer one, has that counted and traced as a \
             violation; the frame is given all the same"
        ),
        None => "frames of any age are taken without a word".to_owned(),
    }
}

fn max_skipped(contract: &Contract) -> String {
    match contract.max_skipped_per_s {
        Some(most) => {
            format!(
                "who loses more than {most} within a second has that counted and traced as a violation; nothing else happens"
            )
        }
        None => "frames that a subscriber loses are counted, and are no violation".to_owned(),
    }
}

/// As TOML has a key.
fn key(label: &str) -> String {
    let is_bare = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { label.to_owned() } else { quoted(label) }
}

/// What differs from the stream's, as it would stand in the file.
fn value(stream: &StreamConfig, subscriber: &SubscriberConfig) -> String {
    let SubscriberConfig { contract, lossless } = subscriber;
    let none = || quoted("none");
    let settings = [
        lossless.map(|lossless| format!("lossless = {lossless}")),
        (contract.max_age != stream.contract.max_age)
            .then(|| format!("max_age_ms = {}", max_age_value(contract).unwrap_or_else(none))),
        (contract.max_skipped_per_s != stream.contract.max_skipped_per_s)
            .then(|| format!("max_skipped_per_s = {}", max_skipped_value(contract).unwrap_or_else(none))),
    ];
    match &settings.into_iter().flatten().collect::<Vec<_>>()[..] {
        [] => "{}".to_owned(),
        settings => format!("{{ {} }}", settings.join(", ")),
    }
}

fn sentence(stream: &StreamConfig, label: &str, subscriber: &SubscriberConfig) -> String {
    let lossless = match (subscriber.lossless, stream.options.on_full) {
        (Some(true), _) => "the publisher waits for it as on_full says",
        (Some(false), OnFull::Wait(_)) => "the publisher does not wait until it has read",
        (None, OnFull::Wait(_)) => "it decides itself whether it is lossless",
        (_, OnFull::Drop) => "the publisher waits for nobody",
    };
    let contract = &subscriber.contract;
    let age = max_age_value(contract).map_or("of any age".to_owned(), |ms| format!("up to {ms} ms old"));
    let skipped = match contract.max_skipped_per_s {
        Some(most) => format!("it may lose {most} a second"),
        None => "it may lose any number".to_owned(),
    };
    format!("whoever calls itself {label:?} takes frames {age}, and {skipped}; {lossless}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use framebus_config::Config;

    fn said(stream: &str) -> Vec<String> {
        let text = format!("[bus]\nname = \"b\"\n[streams.s]\nsize = 100\n{stream}\n");
        let config = Config::parse(&text, "x").unwrap_or_else(|error| panic!("{error}"));
        let guarantees = of_stream(&config.streams["s"]);
        guarantees.iter().map(|guarantee| format!("{}: {}", guarantee.setting(), guarantee.sentence)).collect()
    }

    #[test]
    fn a_contract_says_what_is_a_violation_and_that_nothing_else_happens() {
        let none = said("");
        assert!(
            none[0].starts_with("no max_age_ms: frames of any age") && none[1].starts_with("no max_skipped_per_s: ")
        );
        assert!(none[2].starts_with("no subscribers: all subscribers have the stream's contract"), "{none:?}");
        let both = said("max_age_ms = 16.7\nmax_skipped_per_s = 0");
        assert!(
            both[0].starts_with("max_age_ms = 16.7: who takes a frame later than 16.7 ms after its capture"),
            "{both:?}"
        );
        assert!(both[1].starts_with("max_skipped_per_s = 0: who loses more than 0 within a second"), "{both:?}");
    }

    #[test]
    fn each_label_has_a_line_of_what_it_relies_on() {
        let lines = said(
            "max_age_ms = 50\non_full = \"wait\"\nsubscribers.\"a b\" = {}\n\
             subscribers.recorder = { lossless = true, max_age_ms = \"none\", max_skipped_per_s = 0 }\n\
             subscribers.view = { lossless = false, max_skipped_per_s = 5 }",
        );
        assert_eq!(
            lines[2..],
            [
                "subscribers.\"a b\" = {}: whoever calls itself \"a b\" takes frames up to 50 ms old, and it may lose any number; \
                 it decides itself whether it is lossless",
                "subscribers.recorder = { lossless = true, max_age_ms = \"none\", max_skipped_per_s = 0 }: whoever calls itself \
                 \"recorder\" takes frames of any age, and it may lose 0 a second; the publisher waits for it as on_full says",
                "subscribers.view = { lossless = false, max_skipped_per_s = 5 }: whoever calls itself \"view\" takes frames up to 50 ms \
                 old, and it may lose 5 a second; the publisher does not wait until it has read",
            ]
        );
        assert!(said("subscribers.x = { lossless = false }")[2].ends_with("the publisher waits for nobody"));
    }

    #[test]
    fn every_key_of_a_subscribers_table_is_shown() {
        let lines =
            said("on_full = \"wait\"\nsubscribers.all = { lossless = true, max_age_ms = 7, max_skipped_per_s = 7 }");
        for key in framebus_config::SUBSCRIBER_KEYS {
            assert!(lines[2].contains(&format!(" {key} = ")), "{key} is not in {}", lines[2]);
        }
    }
}
