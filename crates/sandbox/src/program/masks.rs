//! What stands in the program's way within the system folders and `/proc`: data, reviewed, the reason beside each.
//!
//! The program runs with the user's own rights, so for an ordinary user most of these are unreadable anyway, and then
//! nothing is mounted over them; for root nothing is unreadable.

/// A name and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    /// Where, without the leading `/`. A `*` in the last name stands for any text.
    pub(super) path: &'static str,
    /// What the program finds.
    pub(super) finds: Finds,
    /// Why.
    #[cfg_attr(not(test), expect(dead_code, reason = "for whoever reviews the table; the tests demand it"))]
    pub(super) why: &'static str,
}

/// What the program finds in the place of a masked name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Finds {
    /// An empty file or folder, where it could read or write the real one.
    Nothing,
    /// The real one, not to be written.
    ReadOnly,
    /// A file with these words in it.
    Words(&'static str),
}

const fn secret(path: &'static str, why: &'static str) -> Mask {
    Mask { path, finds: Finds::Nothing, why }
}

const fn fixed(path: &'static str, why: &'static str) -> Mask {
    Mask { path, finds: Finds::ReadOnly, why }
}

const fn words(path: &'static str, words: &'static str, why: &'static str) -> Mask {
    Mask { path, finds: Finds::Words(words), why }
}

/// Folders at the root that a program needs to run at all. Symbolic links among them stay symbolic links.
pub(super) const SYSTEM: &[&str] =
    &["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "libexec", "etc", "opt", "nix", "gnu"];

/// Within the system folders.
pub(super) const ETC: &[Mask] = &[
    secret("etc/shadow", "password hashes"),
    secret("etc/shadow-", "password hashes, the copy before"),
    secret("etc/gshadow", "group password hashes"),
    secret("etc/gshadow-", "group password hashes, the copy before"),
    secret("etc/security/opasswd", "old password hashes"),
    secret("etc/sudoers", "who may become root, and how"),
    secret("etc/sudoers.d", "who may become root, and how"),
    secret("etc/doas.conf", "who may become root, and how"),
    secret("etc/ssh/ssh_host_*_key", "the machine's SSH keys"),
    secret("etc/ssl/private", "the machine's TLS keys"),
    secret("etc/pki/tls/private", "the machine's TLS keys"),
    secret("etc/letsencrypt", "the machine's TLS keys and account"),
    secret("etc/krb5.keytab", "the machine's Kerberos keys"),
    secret("etc/ipsec.secrets", "VPN keys"),
    secret("etc/ipsec.d", "VPN keys"),
    secret("etc/swanctl", "VPN keys"),
    secret("etc/wireguard", "VPN keys"),
    secret("etc/openvpn", "VPN keys"),
    secret("etc/ppp/chap-secrets", "dial-in passwords"),
    secret("etc/ppp/pap-secrets", "dial-in passwords"),
    secret("etc/NetworkManager/system-connections", "Wi-Fi and VPN passwords"),
    secret("etc/wpa_supplicant", "Wi-Fi passwords"),
    secret("etc/iwd", "Wi-Fi passwords"),
    secret("etc/credstore", "systemd's credentials"),
    secret("etc/credstore.encrypted", "systemd's credentials"),
    secret("etc/cryptsetup-keys.d", "disk keys"),
    secret("etc/luks-keys", "disk keys"),
    secret("etc/mysql/debian.cnf", "database password"),
    secret("etc/cups", "printers' passwords"),
    secret("etc/docker/key.json", "the Docker daemon's key"),
    secret("etc/kubernetes", "cluster keys"),
    secret("etc/rancher", "cluster keys"),
    secret("etc/ceph", "storage keys"),
    secret("etc/chrony.keys", "time server keys"),
    secret("etc/chrony/chrony.keys", "time server keys"),
    secret("etc/bind/rndc.key", "name server key"),
    secret("etc/exim4/passwd.client", "mail password"),
    secret("etc/postfix/sasl", "mail passwords"),
    secret("etc/apt/auth.conf", "repository passwords"),
    secret("etc/apt/auth.conf.d", "repository passwords"),
    words("etc/resolv.conf", "# no name server: names are resolved outside\n", "names of the local network"),
    words("etc/machine-id", "7261696e636f61740000000000000001\n", "tells this machine from all others"),
];

/// Within `/proc`.
pub(super) const PROC: &[Mask] = &[
    // Written by root they change the machine, namespaces or not: `kernel.core_pattern` runs a program as root outside.
    fixed("sys", "the kernel's settings"),
    fixed("sysrq-trigger", "reboots, kills, dumps"),
    fixed("irq", "which processor serves which device"),
    fixed("bus", "devices' registers"),
    fixed("fs", "file systems' settings"),
    fixed("mtrr", "memory types"),
    secret("kcore", "the machine's memory"),
    secret("kmsg", "the kernel's messages"),
    secret("kallsyms", "the kernel's addresses"),
    secret("modules", "the kernel's addresses"),
    secret("keys", "key rings"),
    secret("key-users", "key rings"),
    secret("timer_list", "other processes' timers"),
    secret("timer_stats", "other processes' timers"),
    secret("sched_debug", "other processes"),
    secret("latency_stats", "other processes"),
    secret("lockdep", "other processes"),
    secret("vmallocinfo", "the kernel's addresses"),
    secret("slabinfo", "what the kernel holds"),
    secret("pagetypeinfo", "what the kernel holds"),
    secret("kpagecount", "which memory is shared"),
    secret("kpageflags", "which memory is shared"),
    secret("kpagecgroup", "which memory is shared"),
    secret("acpi", "the firmware"),
    secret("scsi", "devices"),
    secret("asound", "devices"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mask_has_a_reason_and_a_clean_path() {
        for mask in ETC.iter().chain(PROC) {
            assert!(!mask.why.is_empty(), "{}", mask.path);
            assert!(!mask.path.starts_with('/') && !mask.path.split('/').any(|p| p.is_empty() || p == ".."));
            let (folder, _) = mask.path.rsplit_once('/').unwrap_or(("", mask.path));
            assert!(!folder.contains('*'), "{}", mask.path);
        }
        assert!(ETC.iter().all(|m| SYSTEM.iter().any(|s| m.path.starts_with(&format!("{s}/")))));
    }
}
