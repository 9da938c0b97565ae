//! What an enclosed program finds of a network, and what it may do to the process that supervises it, which is the
//! first one inside and runs as the same user (issue 3, "What encloses the program").
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod scene;

use raincoat_sandbox::program::{Event, Network};
use scene::Scene;

/// Serves a page and fetches it, on every loopback address.
const SERVES_ITSELF: &str = r#"
import http.server, threading, urllib.request, socket
class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"page")
    def log_message(self, *a): pass
class Six(http.server.HTTPServer): address_family = socket.AF_INET6
fetch = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
for kind, at in [(http.server.HTTPServer, "127.0.0.1"), (http.server.HTTPServer, "127.0.0.7"), (Six, "::1")]:
    server = kind((at, 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(fetch("http://%s:%d/" % ("[::1]" if kind is Six else at, server.server_port)).read().decode(), end=" ")
one, two = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0)); two.sendto(b"datagram", one.getsockname()); print(one.recv(99).decode())
"#;

#[test]
fn a_program_serves_and_reaches_itself_on_its_own_loopback() {
    for network in [Network::None, Network::Proxy] {
        let mut scene = Scene::new(&["python3", "-c", SERVES_ITSELF]);
        scene.plan.network = network;
        assert_eq!(scene.run().well(), "page page page datagram\n", "{network:?}; python3 must be installed");
    }
}

#[test]
fn the_loopback_is_not_the_machines_and_nothing_else_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Without an enclosure it is reached: else the rest would prove nothing.
    std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let script = format!(
        "import socket, os
for at in [('127.0.0.1', {port}), ('192.0.2.1', 80), ('10.0.0.1', 53)]:
    s = socket.socket(); s.settimeout(5)
    try: s.connect(at); print('reached', at)
    except OSError as e: print(e.errno, end=' ')
print(sorted(os.listdir('/proc/sys/net/ipv4/conf')), [name for _, name in socket.if_nameindex()])"
    );
    for network in [Network::None, Network::Proxy] {
        let mut scene = Scene::new(&["python3", "-c", &script]);
        scene.plan.network = network;
        // Refused, and unreachable twice.
        assert_eq!(scene.run().well(), "111 101 101 ['all', 'default', 'lo'] ['lo']\n", "{network:?}");
    }
}

#[test]
fn the_proxys_port_is_the_keepers() {
    let connect = "python3 -c 'import socket; socket.create_connection((\"127.0.0.1\", 3128)); print(\"reached\")'";
    let none = Scene::sh(connect).run();
    assert!(none.code() == Some(1) && !none.said.contains("reached"), "{none:?}");
    let mut scene = Scene::sh(connect);
    scene.plan.network = Network::Proxy;
    let running = scene.start();
    let listener = std::net::TcpListener::from(running.ready.listener.as_ref().unwrap().try_clone().unwrap());
    let accepted = std::thread::spawn(move || listener.accept().unwrap().1);
    assert_eq!(running.done().well(), "reached\n");
    assert!(accepted.join().unwrap().ip().is_loopback());
}

/// Calls that would act on the first process inside, by number: `(call, arguments, what it answers elsewhere)`.
const ON_THE_SUPERVISOR: &str = r#"
import ctypes, errno, os, struct
call = ctypes.CDLL(None, use_errno=True).syscall
def does(*args):
    return 0 if call(*[ctypes.c_long(a) if isinstance(a, int) else a for a in args]) >= 0 else ctypes.get_errno()
new, zero = ctypes.create_string_buffer(struct.pack('QQ', 0, 0)), ctypes.create_string_buffer(64)
mask = ctypes.create_string_buffer(b'\x01' + b'\0' * 127)
attr = ctypes.create_string_buffer(struct.pack('IIQiIQQQ', 48, 0, 0, 19, 0, 0, 0, 0))
attempts = {
    'prlimit64': (302, 1, 7, new, None),
    'sched_setaffinity': (203, 1, 128, mask),
    'sched_setscheduler': (144, 1, 5, zero),
    'sched_setparam': (142, 1, zero),
    'sched_setattr': (314, 1, attr, 0),
    'setpriority process': (141, 0, 1, 19),
    'setpriority group': (141, 1, 1, 19),
    'setpriority user': (141, 2, 0, 19),
    'setpriority this user': (141, 2, os.getuid(), 19),
    'ioprio_set process': (251, 1, 1, 3 << 13),
    'ioprio_set group': (251, 2, 1, 3 << 13),
    'ioprio_set user': (251, 3, os.getuid(), 3 << 13),
    'setpgid': (109, 0, 1),
    'process_vm_readv': (310, 1, zero, 1, zero, 1, 0),
    'ptrace': (101, 16, 1, 0, 0),
    'kcmp': (312, 1, os.getpid(), 0, 0, 0),
    'move_pages': (279, 1, 0, None, None, None, 0),
    'high bits': (302, 1 | 1 << 32, 7, new, None),
}
for name, what in attempts.items():
    if does(*what) not in (errno.EPERM, errno.ENOSYS): print('got through:', name)
# The same is everybody's right on itself.
me = os.getpid()
for name, what in {'prlimit64': (302, me, 7, None, zero), 'prlimit64 0': (302, 0, 7, None, zero),
        'sched_setaffinity': (203, 0, 128, ctypes.create_string_buffer(b'\xff' * 128)),
        'setpriority': (141, 0, 0, 1), 'ioprio_set': (251, 1, 0, 2 << 13 | 5), 'setpgid': (109, 0, 0)}.items():
    if does(*what): print('refused:', name, errno.errorcode[ctypes.get_errno()])
for signal in list(range(0, 65)):
    for what in [(62, 1, signal), (200, 1, signal), (234, 1, 1, signal)]: does(*what)
fd = call(434, 1, 0)
if fd >= 0:
    for signal in range(1, 65): does(424, fd, signal, None, 0)
    if does(438, fd, 0, 0) == 0: print('got through: pidfd_getfd')
for name in ['root', 'mem', 'environ', 'cwd', 'oom_score_adj', 'autogroup', 'fd']:
    if os.path.exists('/proc/1/' + name): print('is there:', name)
print('tried')
"#;

#[test]
#[cfg(target_arch = "x86_64")]
fn a_program_can_do_nothing_to_its_supervisor() {
    let mut scene =
        Scene::sh("python3 -c \"$0\"; i=0; while [ $i -lt 50 ]; do sleep 0.02; i=$((i+1)); done; unshare -U true");
    scene.plan.command.push(ON_THE_SUPERVISOR.as_bytes().to_vec());
    // It supervises still: what was left is ended, refusals are told, limits are kept.
    let done = scene.run();
    assert_eq!(done.said.lines().next(), Some("tried"), "{done:?}");
    let told = |call: &str| done.events.iter().any(|e| matches!(e, Event::Refused { call: told, .. } if told == call));
    for call in ["prlimit64", "sched_setscheduler", "setpriority", "ioprio_set", "setpgid", "unshare"] {
        assert!(told(call), "{call} was not told: {done:?}");
    }
}

/// All of the above once more, as a user without any privilege.
#[test]
fn an_ordinary_user_can_do_all_this() {
    scene::as_an_ordinary_user();
}
