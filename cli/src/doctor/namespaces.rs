//! Where this process is: on the machine itself, or in namespaces of its own, as containers are.
//!
//! The kernel's first namespaces have fixed numbers (`PROC_IPC_INIT_INO` and its like in linux/proc_ns.h, since Linux 3.8), so
//! nobody need be asked who may not tell: /proc/1/ns is closed to most.

use framebus::Backend;

use super::demand::Demand;
use super::finding::Finding;
use super::root::Root;

const FIRST_IPC: &str = "ipc:[4026531839]";
const FIRST_PID: &str = "pid:[4026531836]";

/// Words in the names of control groups that container managers make.
const MANAGERS: [&str; 6] = ["docker", "containerd", "kubepods", "libpod", "lxc", "crio"];

/// Whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// The machine's.
    First,
    /// Another one, of this process and those that it was started with.
    Own,
    /// The kernel does not say.
    Unknown,
}

/// Where this process is.
#[derive(Clone, Debug)]
pub struct Place {
    pub ipc: Namespace,
    pub pid: Namespace,
    /// By what it is seen that this is a container; `None` where nothing tells.
    pub container: Option<String>,
    /// Process 1, as it is seen from here, has another IPC namespace than we.
    pub leads_elsewhere: bool,
}

impl Place {
    /// `variable` is the environment's `container`, which most managers set.
    pub fn of(root: &Root, variable: Option<&str>) -> Self {
        let link = |file: &str| root.link(file);
        let whose = |link: Option<String>, first: &str| match link {
            Some(link) if link == first => Namespace::First,
            Some(_) => Namespace::Own,
            None => Namespace::Unknown,
        };
        let (ours, first) = (link("/proc/self/ns/ipc"), link("/proc/1/ns/ipc"));
        Self {
            leads_elsewhere: first.is_some() && first != ours,
            ipc: whose(ours, FIRST_IPC),
            pid: whose(link("/proc/self/ns/pid"), FIRST_PID),
            container: container(root, variable),
        }
    }

    /// In an IPC namespace other than the machine's.
    pub fn has_own_ipc(&self) -> bool {
        self.ipc == Namespace::Own
    }
}

fn container(root: &Root, variable: Option<&str>) -> Option<String> {
    let files = ["/.dockerenv", "/run/.containerenv", "/run/systemd/container"];
    if let Some(file) = files.into_iter().find(|file| root.exists(file)) {
        return Some(file.to_owned());
    }
    if let Some(value) = variable.filter(|value| !value.is_empty()) {
        return Some(format!("container={value}"));
    }
    let groups = root.text("/proc/self/cgroup")?;
    let manager = MANAGERS.into_iter().find(|manager| groups.contains(manager))?;
    Some(format!("{manager} in /proc/self/cgroup"))
}

fn where_it_is(place: &Place) -> String {
    match &place.container {
        Some(mark) => format!(" (a container: {mark})"),
        None => String::new(),
    }
}

/// Whether all who publish and read can meet.
pub fn ipc(place: &Place, demand: &Demand) -> Finding {
    let finding = Finding::about(
        "ipc_namespace",
        "that of all who publish and read",
        "System V segments of one IPC namespace are not there in another",
    )
    .figure("container", place.container.is_some());
    let inside = where_it_is(place);
    match (place.ipc, &demand.backend) {
        (Namespace::Unknown, _) => finding.not_checked("/proc/self/ns/ipc can not be read"),
        (Namespace::First, _) => finding.ok(format!("the machine's{inside}")),
        (Namespace::Own, Backend::File { .. }) => finding.ok(format!("its own{inside}; files need none in common")),
        (Namespace::Own, _) => {
            let apart = if place.leads_elsewhere { ", not even that of process 1" } else { "" };
            finding
                .warning(format!("its own{apart}{inside}: only streams made in it are seen"))
                .remedy("with the host", "docker run --ipc=host ...")
                .remedy("with another", "docker run --ipc=shareable --name NAME ...; docker run --ipc=container:NAME ...")
                .remedy(
                    "with files",
                    "backend = \"file\" in the config's [bus], and docker run -v /dev/shm/framebus:/dev/shm/framebus ...",
                )
        }
    }
}

/// Whether processes can be named.
pub fn pid(place: &Place) -> Finding {
    let finding = Finding::about(
        "pid_namespace",
        "that of all who publish and read",
        "leases work across, but processes of another PID namespace are listed without pid",
    );
    let inside = where_it_is(place);
    match (place.pid, place.ipc) {
        (Namespace::Unknown, _) => finding.not_checked("/proc/self/ns/pid can not be read"),
        (Namespace::First, _) => finding.ok(format!("the machine's{inside}")),
        (Namespace::Own, Namespace::Own) => finding.ok(format!("its own{inside}, as the IPC namespace is")),
        (Namespace::Own, _) => finding
            .warning(format!("its own{inside}: who is outside has no pid here"))
            .remedy("in a container", "docker run --pid=host ..."),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, container, demand, file_demand, host};
    use super::*;

    #[test]
    fn on_the_machine_itself_all_meet() {
        let place = host();
        assert_eq!((ipc(&place, &demand("", "")).verdict, pid(&place).verdict), (Verdict::Ok, Verdict::Ok));
        assert_eq!(ipc(&place, &demand("", "")).found, "the machine's");
    }

    #[test]
    fn a_container_with_an_ipc_namespace_of_its_own_is_told_the_flags_and_the_other_backend() {
        let found = ipc(&container(), &demand("", ""));
        assert_eq!(found.verdict, Verdict::Warning);
        assert_eq!(found.found, "its own (a container: /.dockerenv): only streams made in it are seen");
        for flag in
            ["--ipc=host", "--ipc=container:NAME", "-v /dev/shm/framebus:/dev/shm/framebus", "backend = \"file\""]
        {
            assert!(found.commands().contains(flag), "{flag}");
        }
        assert_eq!(ipc(&container(), &file_demand("/dev/shm/framebus")).verdict, Verdict::Ok, "files need none");
    }

    #[test]
    fn pids_are_missed_only_where_others_can_be_met() {
        assert_eq!(pid(&container()).verdict, Verdict::Ok);
        let machine = Machine::new().with_namespaces(0xefff_ffff, 4_026_532_501);
        let found = pid(&Place::of(&machine.root(), None));
        assert_eq!((found.verdict, found.commands().contains("--pid=host")), (Verdict::Warning, true));
    }

    #[test]
    fn a_process_that_left_the_systems_namespace_is_told_so() {
        let machine = Machine::new().with_namespaces(7, 0xefff_fffc).with_link("/proc/1/ns/ipc", FIRST_IPC);
        let found = ipc(&Place::of(&machine.root(), None), &demand("", ""));
        assert!(found.found.contains("not even that of process 1"), "{}", found.found);
    }

    #[test]
    fn a_kernel_that_does_not_say_is_not_judged() {
        let place = Place::of(&Machine::new().root(), None);
        assert_eq!(
            (ipc(&place, &demand("", "")).verdict, pid(&place).verdict),
            (Verdict::NotChecked, Verdict::NotChecked)
        );
    }

    #[test]
    fn containers_are_known_by_a_file_a_variable_or_a_control_group() {
        let mark = |machine: Machine, variable| Place::of(&machine.root(), variable).container;
        assert_eq!(mark(Machine::new(), None), None);
        assert_eq!(mark(Machine::new().with("/run/.containerenv", ""), None).as_deref(), Some("/run/.containerenv"));
        assert_eq!(mark(Machine::new(), Some("podman")).as_deref(), Some("container=podman"));
        let groups = Machine::new().with("/proc/self/cgroup", "0::/kubepods/besteffort/pod1\n");
        assert_eq!(mark(groups, None).as_deref(), Some("kubepods in /proc/self/cgroup"));
        let groups = Machine::new().with("/proc/self/cgroup", "0::/user.slice/user-1000.slice\n");
        assert_eq!(mark(groups, None), None);
    }
}
