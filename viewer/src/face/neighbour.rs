//! Which stream the keys n and p lead to.

use super::Direction;
use framebus::{Backend, Content, StreamName};

/// The next or previous stream with pictures on the same bus, round in a circle; `None` where there is no other.
pub(crate) fn neighbour(
    backend: &Backend,
    name: &StreamName,
    direction: Direction,
) -> anyhow::Result<Option<StreamName>> {
    let found = framebus_program::list(std::slice::from_ref(backend))?;
    let pictures = found.into_iter().filter(|stream| matches!(stream.content, Some(Content::Image(_))));
    let on_the_bus = pictures.map(|stream| stream.name).filter(|other| other.bus() == name.bus() && other != name);
    Ok(choose(on_the_bus.collect(), name, direction))
}

/// `others` are in order.
fn choose(mut others: Vec<StreamName>, name: &StreamName, direction: Direction) -> Option<StreamName> {
    let behind = others.partition_point(|other| other < name);
    let at = match direction {
        Direction::Next => behind % others.len().max(1),
        Direction::Previous => behind.checked_sub(1).unwrap_or(others.len().saturating_sub(1)),
    };
    (at < others.len()).then(|| others.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_in_a_circle_and_one_alone_has_no_neighbour() {
        let name = |stream: &str| StreamName::new("bus", stream).unwrap();
        let from = |others: &[&str], at: &str, direction| {
            let others = others.iter().map(|other| name(other)).collect();
            choose(others, &name(at), direction).map(|found| found.stream().to_owned()).unwrap_or_default()
        };
        let others = ["a", "c", "d"];
        assert_eq!(
            (from(&others, "b", Direction::Next), from(&others, "b", Direction::Previous)),
            ("c".into(), "a".into())
        );
        assert_eq!(
            (from(&others, "e", Direction::Next), from(&others, "0", Direction::Previous)),
            ("a".into(), "d".into())
        );
        assert_eq!(from(&[], "b", Direction::Next) + &from(&[], "b", Direction::Previous), "");
    }
}
