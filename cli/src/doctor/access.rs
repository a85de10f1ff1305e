//! Who may do what: the config's mode and group against this user, and the way to the directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::asked::Asked;
use super::demand::Demand;
use super::finding::{Finding, Verdict};
use super::root::Root;

/// Number of CAP_CHOWN (capabilities(7)).
const CAP_CHOWN: u32 = 0;

/// What a class of users may do: by its bits of the mode.
pub fn rights(bits: u32) -> &'static str {
    match bits & 6 {
        6 => "subscribe",
        4 => "only observe",
        _ => "do nothing",
    }
}

/// Whether those who are meant to can use the streams.
pub fn access(root: &Root, asked: &Asked, demand: &Demand) -> Finding {
    let (group_bits, other_bits) = (demand.mode >> 3 & 6, demand.mode & 6);
    let finding = Finding::about(
        "access",
        "the group of the config exists, we are in it, and the mode lets it subscribe",
        "who is neither owner nor let in by mode and group is refused",
    )
    .figure("mode", format!("{:04o}", demand.mode))
    .figure("uid", asked.uid);
    let named = demand.group.as_deref();
    let Some(group) = &asked.group else {
        let name = named.unwrap_or_default();
        return finding
            .failure(format!("there is no group {name}, which the config names"))
            .remedy("now", format!("sudo groupadd --system {name}"))
            .remedy("then", format!("sudo usermod -aG {name} {}", asked.user));
    };
    let finding = finding.figure("gid", group.id);
    let name = &group.name;
    let mode = format!("mode {:04o}", demand.mode);
    let is_in = asked.is_in(group.id);
    // Root need not be in it, but the others it is for are in the same case.
    if named.is_some() && !is_in && asked.uid != 0 {
        let listed = group.members.contains(&asked.user);
        // Files may be given only to a group that one is in (chown(2)), System V objects to any.
        let refused = demand.directory().is_some() && !root.has_capability(CAP_CHOWN);
        let verdict = if refused { Verdict::Failure } else { Verdict::Warning };
        return match listed {
            true => finding
                .is(verdict, format!("{mode}; {} is in group {name} since the last login only", asked.user))
                .remedy("now", format!("newgrp {name}"))
                .remedy("for good", "log out and in again"),
            false => finding
                .is(verdict, format!("{mode}, group {name}, which {} is not in", asked.user))
                .remedy("next login", format!("sudo usermod -aG {name} {}", asked.user)),
        };
    }
    if named.is_some() && group_bits == 0 {
        return finding.warning(format!("{mode} gives nothing to group {name}")).remedy("config", "mode = \"0660\"");
    }
    if let Some(ClosedWay { directory, is_groups, group_passes }) =
        closed_way(root, demand, group.id, group_bits != 0, other_bits != 0)
    {
        let finding = finding.failure(format!("{mode}, but those whom it lets in can not pass {directory}"));
        let pass = if group_passes { String::new() } else { format!(" && sudo chmod g+x {directory}") };
        return match (other_bits, is_groups) {
            (0, true) => finding.remedy("now", format!("sudo chmod g+x {directory}")),
            (0, false) => finding
                .remedy("now", format!("sudo chgrp {name} {directory}{pass}"))
                .remedy("or for everybody", format!("sudo chmod o+x {directory}")),
            _ => finding.remedy("now", format!("sudo chmod a+x {directory}")),
        };
    }
    let alone =
        named.is_none() && group_bits != 0 && other_bits == 0 && group.name == asked.user && group.members.is_empty();
    if alone {
        return finding
            .warning(format!("{mode}, and nobody but {0} is in group {name}, the publisher's", asked.user))
            .remedy("config", "group = \"video\", or another that all have who shall read");
    }
    match (group_bits, other_bits) {
        (0, 0) => finding.ok(format!("{mode}: only {}", asked.user)),
        (group, 0) => finding.ok(format!("{mode}: {}, and group {name} may {}", asked.user, rights(group))),
        (_, other) => finding.ok(format!("{mode}: {}, and everybody may {}", asked.user, rights(other))),
    }
}

/// A directory on the way to the files that those who shall read can not pass.
struct ClosedWay {
    directory: String,
    /// It has their group.
    is_groups: bool,
    /// The group that it has may pass.
    group_passes: bool,
}

fn closed_way(root: &Root, demand: &Demand, group: u32, for_group: bool, for_others: bool) -> Option<ClosedWay> {
    let directory = demand.directory()?;
    let ways = directory.ancestors().filter(|way| *way != Path::new("/") && (for_group || for_others));
    ways.filter_map(|way| {
        let status = root.path(way).metadata().ok()?;
        let (group_passes, others_pass) = (status.mode() & 0o010 != 0, status.mode() & 0o001 != 0);
        let is_groups = status.gid() == group;
        // Of a directory of one's group, the group's bits alone count.
        let open = if is_groups && !for_others { group_passes } else { others_pass };
        (!open).then(|| ClosedWay { directory: way.display().to_string(), is_groups, group_passes })
    })
    .next()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Machine, asked, demand};
    use super::*;

    fn found(bus: &str, asked: &Asked) -> Finding {
        access(&Machine::new().root(), asked, &demand(bus, ""))
    }

    const SHARED: &str = "mode = \"0660\"\ngroup = \"video\"";

    #[test]
    fn what_each_may_do_is_said() {
        let asked = asked();
        assert_eq!(found("", &asked).found, "mode 0600: only robot");
        assert_eq!(found(SHARED, &asked).found, "mode 0660: robot, and group video may subscribe");
        assert_eq!(found("mode = \"0644\"", &asked).found, "mode 0644: robot, and everybody may only observe");
    }

    #[test]
    fn a_group_that_is_not_there_is_a_failure_and_one_that_we_are_not_in_a_warning() {
        let mut asked = asked();
        asked.groups.clear();
        let again = found(SHARED, &asked);
        assert_eq!((again.verdict, again.commands().contains("newgrp video")), (Verdict::Warning, true));
        if let Some(group) = &mut asked.group {
            group.members.clear();
        }
        let outside = found(SHARED, &asked);
        assert_eq!(
            (outside.verdict, outside.found.as_str()),
            (Verdict::Warning, "mode 0660, group video, which robot is not in")
        );
        assert_eq!(outside.commands(), "next login: sudo usermod -aG video robot\n");
        // Files can not even be given to it.
        assert_eq!(found(&format!("backend = \"file\"\n{SHARED}"), &asked).verdict, Verdict::Failure);
        asked.group = None;
        let none = found(SHARED, &asked);
        assert_eq!(
            (none.verdict, none.found.as_str()),
            (Verdict::Failure, "there is no group video, which the config names")
        );
        assert_eq!(none.commands(), "now: sudo groupadd --system video\nthen: sudo usermod -aG video robot\n");
    }

    #[test]
    fn a_mode_that_gives_the_group_nothing_and_a_group_of_one_are_warned_of() {
        let mut asked = asked();
        let nothing = found("group = \"video\"", &asked);
        assert_eq!((nothing.verdict, nothing.commands().as_str()), (Verdict::Warning, "config: mode = \"0660\"\n"));
        asked.group = Some(super::super::asked::GroupEntry { name: "robot".into(), id: 1000, members: Vec::new() });
        let alone = found("mode = \"0660\"", &asked);
        assert_eq!((alone.verdict, alone.commands().contains("group = \"video\"")), (Verdict::Warning, true));
        assert_eq!(found("mode = \"0600\"", &asked).verdict, Verdict::Ok);
    }

    #[test]
    fn a_directory_that_others_can_not_pass_is_named() {
        let machine =
            Machine::new().with_directory("/run/user/1000", 0o700).with_directory("/run/user/1000/fb", 0o1777);
        let found = |mode: &str| {
            let bus = format!("backend = \"file\"\ndirectory = \"/run/user/1000/fb\"\nmode = \"{mode}\"");
            access(&machine.root(), &asked(), &demand(&bus, ""))
        };
        assert_eq!(found("0600").verdict, Verdict::Ok);
        let closed = found("0666");
        assert_eq!(
            (closed.verdict, closed.commands().as_str()),
            (Verdict::Failure, "now: sudo chmod a+x /run/user/1000\n")
        );
    }

    #[test]
    fn a_directory_of_another_group_is_given_to_the_group_or_opened_and_one_of_its_own_is_opened_to_it() {
        let commands = |mode: u32, is_groups: bool| {
            let machine = Machine::new().with_directory("/srv/fb", mode);
            let mut asked = asked();
            let status = machine.root().path("/srv/fb").metadata().unwrap();
            let id = if is_groups { status.gid() } else { status.gid() + 1 };
            asked.group = Some(super::super::asked::GroupEntry { name: "video".into(), id, members: Vec::new() });
            asked.groups.push(id);
            let bus = format!("backend = \"file\"\ndirectory = \"/srv/fb\"\n{SHARED}");
            access(&machine.root(), &asked, &demand(&bus, "")).commands()
        };
        assert_eq!(commands(0o770, false), "now: sudo chgrp video /srv/fb\nor for everybody: sudo chmod o+x /srv/fb\n");
        assert!(commands(0o700, false).starts_with("now: sudo chgrp video /srv/fb && sudo chmod g+x /srv/fb\n"));
        assert_eq!(commands(0o701, true), "now: sudo chmod g+x /srv/fb\n", "others' bits are not the group's");
        assert_eq!((commands(0o710, true), commands(0o701, false)), (String::new(), String::new()));
    }

    #[test]
    fn root_need_not_be_in_the_group_but_those_whom_it_publishes_for_must_get_through() {
        let mut asked = asked();
        (asked.uid, asked.gid, asked.user) = (0, 0, "root".to_owned());
        asked.groups.clear();
        assert_eq!(found(SHARED, &asked).found, "mode 0660: root, and group video may subscribe");
        assert_eq!(found(SHARED, &asked).verdict, Verdict::Ok);
        let nothing = found("mode = \"0600\"\ngroup = \"video\"", &asked);
        assert_eq!((nothing.verdict, nothing.commands().as_str()), (Verdict::Warning, "config: mode = \"0660\"\n"));
        let machine = Machine::new().with_directory("/srv/fb", 0o700);
        let bus = format!("backend = \"file\"\ndirectory = \"/srv/fb\"\n{SHARED}");
        let closed = access(&machine.root(), &asked, &demand(&bus, ""));
        assert_eq!((closed.verdict, closed.found.contains("can not pass /srv/fb")), (Verdict::Failure, true));
    }
}
