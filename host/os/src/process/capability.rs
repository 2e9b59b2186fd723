//! The capabilities of capabilities(7), by their names.

/// Each has the bit of its place here (linux/capability.h).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// All known capabilities, each as `CAP_NET_BIND_SERVICE`.
pub fn names() -> impl Iterator<Item = String> {
    NAMES.into_iter().map(str::to_owned)
}

/// The bit of the capability of this name.
pub fn named(name: &str) -> Option<u64> {
    NAMES.iter().position(|known| *known == name).map(|place| 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::CapabilitySet;

    #[test]
    fn each_is_found_by_its_name_and_has_the_bit_that_the_kernel_gives_it() {
        for unknown in ["NET_BIND_SERVICE", "cap_net_raw", "CAP_", "CAP_EVERYTHING"] {
            assert_eq!(named(unknown), None, "{unknown}");
        }
        let known: Vec<(String, u64)> = CapabilitySet::all()
            .iter_names()
            .map(|(name, one)| (format!("CAP_{name}"), one.bits()))
            .collect();
        assert_eq!(names().map(|name| (name.clone(), named(&name).unwrap())).collect::<Vec<_>>(), known);
    }
}
