//! Servers of mail and files.

use std::fs;

use bellwether_tests::root::free_address;

use super::application::{Application, Child, Laid, Question};
use super::place::Place;

pub(crate) const DOVECOT: Application = Application {
    name: "dovecot",
    packages: "dovecot-imapd",
    program: "/usr/sbin/dovecot",
    child: Child::IsReplaced("dovecot/anvil"),
    lay_out: dovecot,
};

fn dovecot(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    let conf = place.write(
        "dovecot.conf",
        format!(
            "protocols = imap
listen = {}
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = no
disable_plaintext_auth = no
mail_location = maildir:{folder}/mail
passdb {{\n  driver = static\n  args = password=secret\n}}
userdb {{\n  driver = static\n  args = uid=nobody gid=nogroup home={folder}/mail\n}}
service imap-login {{\n  inet_listener imap {{\n    port = {}\n  }}\n  inet_listener imaps {{\n    port = 0\n  }}\n}}\n",
            address.ip(),
            address.port()
        ),
    );
    place.folder_of("nobody", "mail");
    let words = "a login someone secret\r\nb status inbox (messages)\r\nc logout\r\n";
    Laid::new(Question::tcp(address, words, "MESSAGES 0"))
        .change("/etc/dovecot/dovecot.conf", conf)
        .change("127.0.0.1:143", address.to_string())
}

pub(crate) const POSTFIX: Application = Application {
    name: "postfix",
    packages: "postfix",
    program: "/usr/lib/postfix/sbin/master",
    child: Child::IsReplaced("smtpd"),
    lay_out: postfix,
};

/// A separate instance, without chroot for any of its processes.
fn postfix(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    let (data, queue) = (place.folder_of("postfix", "data"), place.folder_of("root", "queue"));
    let master = fs::read_to_string("/usr/share/postfix/master.cf.dist").expect("postfix is installed");
    let ours = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let is_service = fields.len() >= 8 && !line.starts_with(['#', ' ', '\t']);
        if is_service {
            fields.join(" ").replacen("smtp inet", &format!("{address} inet"), 1)
        } else {
            line.to_owned()
        }
    };
    place.write(
        "etc/master.cf",
        master.lines().map(ours).map(|line| line.replace(" y ", " n ") + "\n").collect::<String>(),
    );
    place.write(
        "etc/main.cf",
        format!(
            "compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = node.test
mydestination = node.test
inet_interfaces = loopback-only
local_transport = discard:
alias_maps =
alias_database =
mynetworks = 127.0.0.0/8\n"
        ),
    );
    for file in ["dynamicmaps.cf", "makedefs.out", "postfix-files", "postfix-script", "post-install"] {
        fs::copy(format!("/etc/postfix/{file}"), place.path().join("etc").join(file)).expect("it is there");
    }
    let words = "HELO client.test\r\nVRFY someone@node.test\r\nQUIT\r\n";
    Laid::new(Question::tcp(address, words, "221 "))
        .change("\"/etc/postfix\"", format!("\"{folder}/etc\""))
        .change("127.0.0.1:25", address.to_string())
}

pub(crate) const VSFTPD: Application = Application {
    name: "vsftpd",
    packages: "vsftpd",
    program: "/usr/sbin/vsftpd",
    child: Child::None,
    lay_out: vsftpd,
};

fn vsftpd(place: &Place) -> Laid {
    let (address, folder) = (free_address(), place.path().display());
    let conf = place.write(
        "vsftpd.conf",
        format!(
            "listen=YES
listen_address={}
listen_port={}
anonymous_enable=YES
anon_root={folder}/ftp
local_enable=NO
xferlog_enable=NO
secure_chroot_dir={folder}/empty
isolate=NO
isolate_network=NO
seccomp_sandbox=NO\n",
            address.ip(),
            address.port()
        ),
    );
    place.folder_of("root", "ftp");
    let words = "USER anonymous\r\nPASS nobody@\r\nQUIT\r\n";
    Laid::new(Question::tcp(address, words, "230 "))
        .change("/etc/vsftpd.conf", conf)
        .change("/run/vsftpd/empty", format!("{folder}/empty"))
        .change("127.0.0.1:21", address.to_string())
}
