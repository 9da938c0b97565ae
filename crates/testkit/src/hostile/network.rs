//! Sockets to anything outside: by address, by name, by path.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as Unix, UnixDatagram, UnixStream};
use std::time::Duration;

use super::{Outcome, Place, Technique, any, any_of, got, io, sys, technique};

pub(super) const ALL: &[Technique] = &[
    technique("tcp-to-the-host", tcp, true, &[], "its own network namespace; Landlock"),
    technique("tcp-by-version-six", tcp6, false, &[], "its own network namespace; Landlock"),
    technique("udp-and-dns", udp, true, &[], "its own network namespace without a route"),
    technique("raw-and-strange-sockets", raw, false, &["denied: socket"], "the system call filter; no capability"),
    technique("change-the-network", netlink, false, &[], "no capability in its own network namespace"),
    technique("abstract-sockets", abstract_socket, true, &[], "its own network namespace; Landlock's scopes"),
    technique(
        "sockets-by-path",
        path_socket,
        true,
        &[],
        "an overlay has sockets of its own; what was not granted does not exist",
    ),
    technique("sockets-of-the-session", session_sockets, false, &[], "a private `/run` and `/tmp`"),
];

const SOON: Duration = Duration::from_millis(300);

fn connect(to: &str) -> Outcome {
    let address: SocketAddr = to.parse().map_err(|_| "no address".to_owned())?;
    io(TcpStream::connect_timeout(&address, SOON)).map(got("connected"))
}

fn tcp(place: &Place) -> Outcome {
    let port = place.tcp;
    let hosts = ["127.0.0.1", "127.0.0.2", "0.0.0.0", "169.254.169.254", "10.0.0.1", "192.168.1.1", "172.17.0.1"];
    // Outside, nobody but this machine is asked.
    let most = if place.control { 2 } else { hosts.len() };
    any_of(hosts.into_iter().take(most).map(|host| (host.to_owned(), connect(&format!("{host}:{port}")))))
}

fn tcp6(place: &Place) -> Outcome {
    let port = place.tcp;
    let hosts = ["::1", "::ffff:127.0.0.1", "fe80::1", "::"];
    any_of(hosts.map(|host| (host.to_owned(), connect(&format!("[{host}]:{port}")))))
}

fn udp(place: &Place) -> Outcome {
    let ask = |to: String| {
        let socket = io(UdpSocket::bind("0.0.0.0:0"))?;
        io(socket.set_read_timeout(Some(SOON)))?;
        io(socket.send_to(b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01", to))?;
        let mut answer = [0; 64];
        io(socket.recv(&mut answer)).map(got("answered"))
    };
    let host = ask(format!("127.0.0.1:{}", place.udp));
    if place.control {
        return host;
    }
    any([
        ("host", host),
        ("name server", ask("127.0.0.53:53".to_owned())),
        ("far name server", ask("8.8.8.8:53".to_owned())),
        ("multicast", ask("224.0.0.251:5353".to_owned())),
        ("broadcast", ask("255.255.255.255:67".to_owned())),
    ])
}

fn raw(_: &Place) -> Outcome {
    let kinds = [
        ("raw", libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW),
        ("raw six", libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6),
        ("packet", libc::AF_PACKET, libc::SOCK_RAW, 0),
        ("vsock", libc::AF_VSOCK, libc::SOCK_STREAM, 0),
        ("crypto", 38, libc::SOCK_SEQPACKET, 0),
        ("bluetooth", 31, libc::SOCK_RAW, 1),
        ("can", 29, libc::SOCK_RAW, 1),
        ("tipc", 30, libc::SOCK_SEQPACKET, 0),
        ("xdp", 44, libc::SOCK_RAW, 0),
        ("sctp", libc::AF_INET, libc::SOCK_SEQPACKET, 132),
        ("dccp", libc::AF_INET, 6, 33),
        ("kcm", 41, libc::SOCK_DGRAM, 0),
        ("rds", 21, libc::SOCK_SEQPACKET, 0),
        ("key", 15, libc::SOCK_RAW, 2),
        ("netfilter", libc::AF_NETLINK, libc::SOCK_RAW, 12),
        ("uevents", libc::AF_NETLINK, libc::SOCK_RAW, 15),
        ("audit", libc::AF_NETLINK, libc::SOCK_RAW, 9),
    ];
    let plain = kinds.map(|(name, family, kind, protocol)| {
        (name.to_owned(), sys!(libc::SYS_socket, family, kind, protocol).map(got("a socket")))
    });
    // A filter that compares all 64 bits would take this for another family.
    let high = sys!(libc::SYS_socket, libc::AF_VSOCK as u64 | (1 << 32), libc::SOCK_STREAM, 0).map(got("a socket"));
    any_of(plain.into_iter().chain([("high bits".to_owned(), high)]))
}

/// A new address on the loopback interface, by netlink and by the old calls.
fn netlink(_: &Place) -> Outcome {
    let socket = sys!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0)?;
    // `struct nlmsghdr` and `ifinfomsg`: RTM_NEWLINK, acknowledged; interface 1 up.
    let mut message = [0_u8; 32];
    message[0] = 32;
    message[4] = 16;
    message[6] = 5;
    message[20] = 1;
    message[24] = 1;
    message[28] = 1;
    sys!(libc::SYS_sendto, socket, message.as_ptr(), 32, 0, 0, 0)?;
    let mut answer = [0_u8; 512];
    sys!(libc::SYS_recvfrom, socket, answer.as_mut_ptr(), 512, 0, 0, 0)?;
    let errno = i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]);
    if errno == 0 {
        Ok("the interface is up".to_owned())
    } else {
        Err(std::io::Error::from_raw_os_error(-errno).to_string())
    }
}

fn abstract_socket(place: &Place) -> Outcome {
    let address = io(Unix::from_abstract_name(&place.name))?;
    let datagram = || {
        let socket = io(UnixDatagram::unbound())?;
        io(socket.connect_addr(&address))
    };
    any([
        ("stream", io(UnixStream::connect_addr(&address)).map(got("connected"))),
        ("datagram", datagram().map(got("connected"))),
        ("listed", {
            let table = io(std::fs::read_to_string("/proc/net/unix"))?;
            if table.contains(&place.name) { Ok("listed".to_owned()) } else { Err("not listed".to_owned()) }
        }),
    ])
}

/// Where somebody outside listens: in the folder, in a folder that may be read, elsewhere.
fn path_socket(place: &Place) -> Outcome {
    let reach = |at: std::path::PathBuf| {
        let mut stream = io(UnixStream::connect(at))?;
        // Whoever listens may have answered and gone by now.
        drop(stream.write_all(b"hostile"));
        io(stream.set_read_timeout(Some(SOON)))?;
        let mut answer = [0; 8];
        io(stream.read(&mut answer)).map(got("connected"))
    };
    any([
        ("folder", reach(place.folder.join("docker.sock"))),
        ("read only", reach(place.read.join("docker.sock"))),
        ("outside", reach(place.outside.join("docker.sock"))),
    ])
}

fn session_sockets(_: &Place) -> Outcome {
    // SAFETY: has no arguments.
    let user = unsafe { libc::geteuid() };
    let paths = [
        "/run/docker.sock".to_owned(),
        "/var/run/docker.sock".to_owned(),
        "/run/dbus/system_bus_socket".to_owned(),
        format!("/run/user/{user}/bus"),
        format!("/run/user/{user}/wayland-0"),
        "/tmp/.X11-unix/X0".to_owned(),
        "/run/systemd/private".to_owned(),
        "/run/containerd/containerd.sock".to_owned(),
        "/run/udev/control".to_owned(),
        "/run/systemd/notify".to_owned(),
        "/run/nscd/socket".to_owned(),
    ];
    let mut ways: Vec<_> = paths
        .into_iter()
        .map(|path| (path.clone(), io(std::fs::symlink_metadata(path)).map(got("is there"))))
        .collect();
    for variable in
        ["SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "XAUTHORITY", "GPG_AGENT_INFO", "LD_PRELOAD"]
    {
        let value = std::env::var(variable).map_err(|_| "not set".to_owned());
        ways.push((variable.to_owned(), value));
    }
    any_of(ways)
}
