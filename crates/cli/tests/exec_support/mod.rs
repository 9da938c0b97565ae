//! A scene for a hostile program: a world with a home worth stealing, sockets that somebody listens at, a process of
//! the same user, and the program itself.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: not every file uses everything"
)]

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use raincoat_testkit::hostile::{self, Place, VARIABLE};

use super::support::{User, World, bait};

pub struct Scene {
    pub world: World,
    pub place: Place,
    process: Child,
}

/// What the test binary does when it is the hostile program.
pub fn hostile_here() {
    if let Some(place) = Place::of_environment() {
        std::env::set_current_dir(&place.folder).unwrap();
        hostile::play(&place);
    }
}

impl Scene {
    pub fn new(user: User) -> Scene {
        let world = World::new(user);
        let (folder, read, outside) = (world.granted(), world.around().join("readable"), world.around().join("other"));
        let home = world.path("home");
        for dir in [
            home.join(".ssh"),
            home.join(".aws"),
            home.join(".config"),
            folder.join("race/dir"),
            folder.join("moving/deep"),
            folder.join(".ssh"),
            read.clone(),
        ] {
            fs::create_dir_all(dir).unwrap();
        }
        for file in [
            home.join(".ssh/id_ed25519"),
            home.join(".bashrc"),
            home.join(".aws/credentials"),
            home.join("notes.txt"),
            folder.join(".env"),
            folder.join("a.txt"),
            folder.join("race/file"),
            folder.join("moving/deep/file"),
            read.join("kept.txt"),
            folder.join(".ssh/id"),
        ] {
            bait(&file);
        }
        let binary = read.join("hostile");
        let own = std::env::current_exe().unwrap();
        if fs::hard_link(&own, &binary).is_err() {
            fs::copy(&own, &binary).unwrap();
        }
        // A hard link is the target folder's file: its owner stays.
        let process = as_user(user, "sleep").arg("300").spawn().unwrap();
        let name = format!("hostile-{}-{}", std::process::id(), process.id());
        listen(UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap());
        for at in [&folder, &read, &outside] {
            let at = at.join("docker.sock");
            listen(UnixListener::bind(&at).unwrap());
            fs::set_permissions(&at, PermissionsExt::from_mode(0o777)).unwrap();
        }
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = tcp.local_addr().unwrap().port();
        thread::spawn(move || tcp.incoming().flatten().for_each(drop));
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let udp_port = udp.local_addr().unwrap().port();
        thread::spawn(move || {
            let mut heard = [0; 64];
            while let Ok((length, from)) = udp.recv_from(&mut heard) {
                drop(udp.send_to(&heard[..length], from));
            }
        });
        let place = Place {
            secret: world.around().join("secret.txt"),
            folder,
            read,
            outside,
            home,
            process: i32::try_from(process.id()).unwrap(),
            tcp: port,
            udp: udp_port,
            name,
            control: false,
        };
        for dir in ["home", "around/granted", "around/other", "around/secret.txt", "around/readable/kept.txt"] {
            world.own(dir);
        }
        let scene = Scene { world, place, process };
        scene.world.ok(&["init", "--no-input"]);
        scene
    }

    fn program(&self) -> Vec<String> {
        let binary = self.place.read.join("hostile").to_str().unwrap().to_owned();
        let rest = ["--ignored", "--exact", "the_hostile_program", "--nocapture", "--test-threads=1"];
        std::iter::once(binary).chain(rest.map(str::to_owned)).collect()
    }

    /// All techniques, in a draft.
    pub fn exec(&self, more: &[&str]) -> Output {
        let variable = format!("{VARIABLE}={}", self.place.to_text());
        let program = self.program();
        let (folder, read) = (self.place.folder.to_str().unwrap(), self.place.read.to_str().unwrap());
        let mut arguments = vec!["exec", "--in", folder, "--read", read, "--env", &variable, "--limit", "time=100s"];
        arguments.extend_from_slice(more);
        arguments.push("--");
        arguments.extend(program.iter().map(String::as_str));
        self.world.run(&arguments)
    }

    /// Those that work without a sandbox, without one.
    pub fn bare(&self) -> Output {
        let place = Place { control: true, ..self.place.clone() };
        let program = self.program();
        let mut command = as_user(self.world.user, &program[0]);
        command.args(&program[1..]).env_clear().env(VARIABLE, place.to_text()).env("PATH", "/usr/bin:/bin");
        command.current_dir(&self.place.folder).stdin(Stdio::null()).output().unwrap()
    }

    /// The run of the draft that is open.
    pub fn run(&self) -> String {
        open_draft(&self.world)
    }
}

/// The run of the one draft that is open.
pub fn open_draft(world: &World) -> String {
    let drafts = world.ok(&["drafts", "--json"]);
    let value: serde_json::Value = serde_json::from_str(drafts.lines().next().unwrap_or_default())
        .or_else(|_| serde_json::from_str(&drafts))
        .unwrap_or_else(|error| panic!("{error}: {drafts}"));
    let run = [&value["run"], &value["drafts"][0]["run"], &value[0]["run"]].into_iter().find_map(|run| run.as_str());
    run.unwrap_or_else(|| panic!("no draft is open: {drafts}")).to_owned()
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A command as the user whom raincoat runs as.
pub fn as_user(user: User, program: impl AsRef<std::ffi::OsStr>) -> Command {
    match user {
        User::Tester => Command::new(program),
        User::Ordinary => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(program);
            command
        }
    }
}

fn listen(listener: UnixListener) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            drop(stream.and_then(|mut stream| stream.write_all(b"welcome!")));
        }
    });
}

/// What must never come to a folder: devices, files that run as their owner, capabilities, marks of the overlay.
pub fn strange(at: &Path) -> Vec<String> {
    let mut found = attributes(at);
    let mut todo = vec![at.to_path_buf()];
    while let Some(at) = todo.pop() {
        let about = fs::symlink_metadata(&at).unwrap();
        let kind = about.file_type();
        if kind.is_char_device() || kind.is_block_device() || (kind.is_file() && about.mode() & 0o6000 != 0) {
            found.push(format!("{} {:o}", at.display(), about.mode()));
        }
        if kind.is_dir() {
            todo.extend(fs::read_dir(&at).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Attributes in a tree that overlayfs would read, or that the kernel gives rights for.
pub fn attributes(at: &Path) -> Vec<String> {
    const LIST: &str = r#"
import os, sys
def look(p):
    for n in os.listxattr(p, follow_symlinks=False):
        if n.startswith(('user.overlay.', 'trusted.', 'security.cap')) and not n.startswith('user.overlay.overlay.'):
            print(p, n)
look(sys.argv[1])
for top, folders, files in os.walk(sys.argv[1]):
    for name in folders + files: look(os.path.join(top, name))
"#;
    let listed = Command::new("python3").args(["-c", LIST]).arg(at).output().expect("python3 must be installed");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect()
}
