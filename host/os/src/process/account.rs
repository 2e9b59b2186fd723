//! The users and groups of this host, as `/etc/passwd` and `/etc/group` list them (passwd(5), group(5)).
//!
//! Read as files: a query to a directory service waits for the network, which neither the start of an application
//! nor the check of a file may do. A user of such a service is specified by number.

use std::fs;
use std::io;

const USERS: &str = "/etc/passwd";
const GROUPS: &str = "/etc/group";

/// A user, with the data of its login if it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    /// Its primary group; unknown if the number is not listed.
    pub gid: Option<u32>,
    /// Its entry in the list.
    pub login: Option<Login>,
}

/// The values that a login would set: `USER`, `HOME` and `SHELL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub name: String,
    pub home: String,
    pub shell: String,
}

/// Both lists, as they were when they were read.
#[derive(Debug, Clone, Default)]
pub struct Accounts {
    users: String,
    groups: String,
}

impl Accounts {
    /// Reads the lists of this host.
    pub fn read() -> io::Result<Self> {
        let read = |path| fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
        Ok(Self { users: read(USERS)?, groups: read(GROUPS)? })
    }

    /// The user with this name or number.
    pub fn user(&self, text: &str) -> Option<User> {
        let listed = self.users.lines().filter_map(user_of_line);
        let number = number(text);
        let mut listed = listed.filter_map(|user| {
            let named = user.login.as_ref().is_some_and(|login| login.name == text);
            (named || Some(user.uid) == number).then_some(user)
        });
        listed.next().or_else(|| Some(User { uid: number?, gid: None, login: None }))
    }

    /// The number of the group with this name or number.
    pub fn group(&self, text: &str) -> Option<u32> {
        self.groups
            .lines()
            .filter_map(group_of_line)
            .find_map(|(name, gid, _)| (name == text).then_some(gid))
            .or_else(|| number(text))
    }

    /// The groups that list this user as a member.
    #[cfg(target_os = "linux")]
    pub(crate) fn groups_of(&self, user: &str) -> Vec<u32> {
        let groups = self.groups.lines().filter_map(group_of_line);
        groups
            .filter(|(_, _, members)| members.split(',').any(|name| name == user))
            .map(|(_, gid, _)| gid)
            .collect()
    }
}

/// The largest number means "none" in the system calls (setresuid(2)).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|number| *number != u32::MAX)
}

fn user_of_line(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let (_, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
    let login = Login { name: name.to_owned(), home: home.to_owned(), shell: shell.to_owned() };
    Some(User { uid: number(uid)?, gid: Some(number(gid)?), login: Some(login) })
}

fn group_of_line(line: &str) -> Option<(&str, u32, &str)> {
    let mut fields = line.split(':');
    let (name, _, gid, members) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    Some((name, number(gid)?, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            users: "root:x:0:0:root:/root:/bin/bash\nbroken\nshop:x:120:130::/srv/shop:/usr/sbin/nologin\n"
                .into(),
            groups: "root:x:0:\nshop:x:130:\nssl-cert:x:140:postgres,shop\nadm:x:4:shopper\n+\n".into(),
        }
    }

    #[test]
    fn a_user_is_found_by_name_or_number() {
        let accounts = accounts();
        let shop = accounts.user("shop").unwrap();
        assert_eq!((shop.uid, shop.gid), (120, Some(130)));
        assert_eq!(shop.login.as_ref().unwrap().home, "/srv/shop");
        assert_eq!(accounts.user("120"), Some(shop));
        assert_eq!(accounts.user("4711"), Some(User { uid: 4711, gid: None, login: None }));
        for unknown in ["", "nobody-here", "broken", "-1", "+5", "4294967295", "99999999999"] {
            assert_eq!(accounts.user(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_group_is_found_by_name_or_number_and_by_its_members() {
        let accounts = accounts();
        assert_eq!(accounts.group("ssl-cert"), Some(140));
        assert_eq!(accounts.group("4711"), Some(4711));
        assert_eq!(accounts.group("+"), None);
        assert_eq!(accounts.groups_of("shop"), [140]);
        assert_eq!(accounts.groups_of("root"), [0u32; 0]);
    }
}
