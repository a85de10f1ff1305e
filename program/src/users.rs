//! Users and groups by name, where the system knows one.

use nix::unistd::{Gid, Group, Uid, User};

/// The name of a user; of a container's, or one that was removed, there is none.
pub fn user_name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}

/// The name of a group.
pub fn group_name(gid: u32) -> Option<String> {
    Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.name)
}

/// `user:group`, for people: names with their numbers, or the numbers alone.
pub fn owner(uid: u32, gid: u32) -> String {
    match (user_name(uid), group_name(gid)) {
        (None, None) => format!("{uid}:{gid}"),
        (user, group) => {
            let name = |name: Option<String>, number: u32| name.unwrap_or_else(|| number.to_string());
            format!("{}:{} ({uid}:{gid})", name(user, uid), name(group, gid))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_a_name_where_there_is_one() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(owner(4_000_000_001, 4_000_000_002), "4000000001:4000000002");
        assert!(owner(0, 4_000_000_002).starts_with("root:4000000002 ("));
    }
}
