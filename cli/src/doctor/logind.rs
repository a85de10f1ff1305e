//! `RemoveIPC` of systemd-logind (logind.conf(5)): when a user's last session ends, it removes his System V objects, and his
//! files in /dev/shm, whoever still uses them. System users and those who linger are spared.

use super::asked::Asked;
use super::demand::Demand;
use super::finding::Finding;
use super::namespaces::{Namespace, Place};
use super::root::Root;

/// From the last that counts to the first.
const DIRECTORIES: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
const PROGRAMS: [&str; 2] = ["/usr/lib/systemd/systemd-logind", "/lib/systemd/systemd-logind"];
/// Below it are system users (SYS_UID_MAX of login.defs(5), as most distributions build systemd).
const FIRST_USER: u32 = 1000;

/// What the files say, and which; `None`: nothing, so the default holds.
fn setting(root: &Root) -> Option<(bool, String)> {
    let main = DIRECTORIES.map(|directory| format!("{directory}/logind.conf"));
    let main = main.into_iter().find(|file| root.exists(file));
    // One that has the name of another in a directory that counts more is masked; the names' order decides.
    let mut drop_ins: Vec<(String, String)> = Vec::new();
    for directory in DIRECTORIES {
        for name in root.names(format!("{directory}/logind.conf.d")) {
            if name.ends_with(".conf") && !drop_ins.iter().any(|(masked, _)| *masked == name) {
                drop_ins.push((name.clone(), format!("{directory}/logind.conf.d/{name}")));
            }
        }
    }
    drop_ins.sort();
    let files = main.into_iter().chain(drop_ins.into_iter().map(|(_, file)| file));
    files.filter_map(|file| Some((remove_ipc(&root.text(&file)?)?, file))).next_back()
}

/// The last value in the section `[Login]`.
fn remove_ipc(text: &str) -> Option<bool> {
    let mut inside = false;
    let mut value = None;
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            inside = line == "[Login]";
        }
        let assigned = line.split_once('=').filter(|(key, _)| inside && key.trim() == "RemoveIPC");
        match assigned.map(|(_, value)| value.trim().to_ascii_lowercase()).as_deref() {
            Some("1" | "yes" | "y" | "true" | "t" | "on") => value = Some(true),
            Some("0" | "no" | "n" | "false" | "f" | "off") => value = Some(false),
            _ => {}
        }
    }
    value
}

/// Whether a logout takes the streams away.
pub fn remove_ipc_check(root: &Root, asked: &Asked, demand: &Demand, place: &Place) -> Finding {
    let finding = Finding::about(
        "remove_ipc",
        "RemoveIPC=no, a system user, or one who lingers",
        "at the user's last logout his streams are removed under running programs; they need a second to heal",
    );
    if demand.directory().is_some_and(|directory| !directory.starts_with("/dev/shm")) {
        return finding.ok("files outside of /dev/shm are not touched");
    }
    if place.ipc == Namespace::First && (place.container.is_some() || place.pid == Namespace::Own) {
        return finding.not_checked("the IPC namespace is the host's, whose logind can not be seen from a container");
    }
    let runs = root.exists("/run/systemd/system") && PROGRAMS.iter().any(|program| root.exists(program));
    if !runs {
        return finding.ok("there is no systemd-logind");
    }
    let (removes, file) = setting(root).unwrap_or((true, "the default".to_owned()));
    let finding = finding.figure("remove_ipc", removes).figure("uid", asked.uid);
    let user = &asked.user;
    let found = format!("RemoveIPC={} ({file})", if removes { "yes" } else { "no" });
    if !removes {
        return finding.ok(found);
    }
    if asked.uid < FIRST_USER {
        return finding.ok(format!("{found}, but {user} is a system user"));
    }
    if root.exists(format!("/var/lib/systemd/linger/{user}")) {
        return finding.ok(format!("{found}, but {user} lingers"));
    }
    finding
        .warning(format!("{found}, and {user} (uid {}) neither is a system user nor lingers", asked.uid))
        .remedy("this user", format!("sudo loginctl enable-linger {user}"))
        .remedy(
            "all users",
            "sudo mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nRemoveIPC=no\\n' | sudo tee \
             /etc/systemd/logind.conf.d/framebus.conf && sudo systemctl restart systemd-logind",
        )
}

#[cfg(test)]
mod tests {
    use super::super::finding::Verdict;
    use super::super::testing::{Machine, asked, container, demand, file_demand, host};
    use super::*;

    fn machine() -> Machine {
        Machine::new().with("/run/systemd/system/x", "").with("/usr/lib/systemd/systemd-logind", "")
    }

    fn found(machine: &Machine) -> Finding {
        remove_ipc_check(&machine.root(), &asked(), &demand("", ""), &host())
    }

    #[test]
    fn by_default_an_ordinary_users_streams_go_when_he_logs_out() {
        let warned = found(&machine().with("/etc/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n"));
        assert_eq!(warned.verdict, Verdict::Warning);
        assert_eq!(
            warned.found,
            "RemoveIPC=yes (the default), and robot (uid 1000) neither is a system user nor lingers"
        );
        assert!(
            warned.commands().starts_with("this user: sudo loginctl enable-linger robot\n"),
            "{}",
            warned.commands()
        );
        assert!(warned.commands().contains("RemoveIPC=no\\n' | sudo tee /etc/systemd/logind.conf.d/framebus.conf"));
    }

    #[test]
    fn system_users_and_those_who_linger_are_spared() {
        assert_eq!(found(&machine().with("/var/lib/systemd/linger/robot", "")).verdict, Verdict::Ok);
        let mut system = asked();
        (system.uid, system.user) = (999, "camera".to_owned());
        let machine = machine();
        let spared = remove_ipc_check(&machine.root(), &system, &demand("", ""), &host());
        assert_eq!((spared.verdict, spared.found.contains("camera is a system user")), (Verdict::Ok, true));
    }

    #[test]
    fn the_last_drop_in_decides_and_one_of_the_same_name_masks_another() {
        let main = machine().with("/etc/systemd/logind.conf", "[Login]\nRemoveIPC=no\n");
        assert_eq!(found(&main).found, "RemoveIPC=no (/etc/systemd/logind.conf)");
        let main = main.with("/usr/lib/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC = yes\n");
        assert_eq!(found(&main).verdict, Verdict::Warning);
        let main =
            main.with("/etc/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=off\n[Other]\nRemoveIPC=yes\n");
        assert_eq!(found(&main).found, "RemoveIPC=no (/etc/systemd/logind.conf.d/50-a.conf)");
        let main = main.with("/run/systemd/logind.conf.d/60-b.conf", "[Login]\nRemoveIPC=1\n");
        assert!(found(&main).found.contains("60-b.conf"));
    }

    #[test]
    fn where_it_can_do_nothing_all_is_well_and_where_it_can_not_be_seen_it_is_not_judged() {
        assert_eq!(found(&Machine::new()).found, "there is no systemd-logind");
        let machine = machine();
        let files = remove_ipc_check(&machine.root(), &asked(), &file_demand("/srv/framebus"), &host());
        assert_eq!(files.verdict, Verdict::Ok);
        let shm = remove_ipc_check(&machine.root(), &asked(), &file_demand("/dev/shm/framebus"), &host());
        assert_eq!(shm.verdict, Verdict::Warning, "logind empties /dev/shm, too");
        let mut place = container();
        place.ipc = Namespace::First;
        let hidden = remove_ipc_check(&machine.root(), &asked(), &demand("", ""), &place);
        assert_eq!(hidden.verdict, Verdict::NotChecked);
    }
}
