//! The boundary proves itself: our own binary as the program inside a real draft tries everything that must not be
//! possible, and the same is tried by a process without an enclosure, where it has to get through.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use raincoat_os::process::{Worker, spawn_worker, worker_socket};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, getsockname, listen, socket_with};
use rustix::process::{WaitOptions, waitpid};

use super::checks::{Check, Ground, opens};
use super::probes::{self, SOCKET};
use super::sys::{self, Forked};
use super::watch::now;
use super::{Event, Folder, How, Plan, Streams, launch_with};
use crate::{Layer, SandboxFault};

/// The hidden first argument under which the binary runs [`prove_main`].
pub const PROVE: &str = "prove-inside";

/// Where our binary stands inside.
const OURSELVES: &[u8] = b"/run/raincoat";

/// All attempts together take milliseconds; on a machine that is busy, seconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Seconds for one attempt.
const ONE: u32 = 5;

const THROUGH: u8 = b'y';
const REFUSED: u8 = b'n';
const UNCLEAR: u8 = b'?';

/// What came of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// As a layer of `doctor`'s table; its name is that of the attempt.
    pub layer: Layer,
    /// It got through: the enclosure does not hold.
    pub through: bool,
}

/// Tries everything inside an enclosure as `plan` says (its command, streams and terminal apart) and outside of one.
/// `ground` names what stands outside and in the folders of the plan; sockets and the like are planted here, in
/// `ground.around` and in the plan's folders, and taken away again.
///
/// # Errors
/// The enclosure could not be built: nothing was tried.
pub fn prove(plan: &Plan, ground: &Ground) -> Result<Vec<Proof>, SandboxFault> {
    let outside = spawn_worker(&[PROVE]).map_err(SandboxFault::at("start a process that tries"))?;
    let mut ground = ground.clone();
    let _planted = Planted::new(&mut ground);
    // Numbers so low may be somebody else's inside.
    ground.process = i32::try_from(outside.id()).ok().filter(|pid| *pid > 100);
    ground.namespaces = Ground::of(plan).namespaces;
    let (inside, missing) = within(plan, &ground)?;
    let bare = without(outside, &ground).unwrap_or_default();
    let mut proofs = judge(&inside, &bare);
    proofs.extend(missing.into_iter().map(|layer| Proof { layer, through: false }));
    Ok(proofs)
}

/// What is said of each attempt, by how it went inside and outside; an answer that is not there is unclear.
fn judge(inside: &[u8], bare: &[u8]) -> Vec<Proof> {
    let answer = |of: &[u8], at: usize| of.get(at).copied().unwrap_or(UNCLEAR);
    let judged = probes::all().enumerate().map(|(at, check)| (check, answer(inside, at), answer(bare, at)));
    judged.map(|(check, inside, bare)| proof(check, inside, bare)).collect()
}

fn proof(check: &Check, inside: u8, bare: u8) -> Proof {
    const BROKEN: &str = "run nothing that you do not trust until this is settled, and please report it";
    let name = format!("inside-{}", check.name);
    let Check { layer, what, .. } = check;
    let through = inside == THROUGH;
    let layer = match (inside, bare) {
        (THROUGH, _) => Layer::missing(name, format!("{layer} does not hold: {what}"), BROKEN),
        (REFUSED, THROUGH) => Layer::enforced(name, format!("{layer}: refused inside, possible outside: {what}")),
        (REFUSED, REFUSED) => {
            Layer::unknown(name, format!("refused inside, and outside too, so it proves nothing here: {what}"), "")
        }
        (REFUSED, _) => Layer::unknown(name, format!("refused inside, not tried outside: {what}"), ""),
        _ => Layer::unknown(name, format!("the attempt did not come to an end: {what}"), "try again"),
    };
    Proof { layer, through }
}

/// Tries everything within an enclosure. Layers that this machine lacks come along.
fn within(plan: &Plan, ground: &Ground) -> Result<(Vec<u8>, Vec<Layer>), SandboxFault> {
    let mut plan = plan.clone();
    plan.command = vec![OURSELVES.to_vec(), PROVE.as_bytes().to_vec()];
    plan.terminal = [false; 3];
    plan.folders.push(Folder { at: OURSELVES.to_vec(), how: How::Ourselves });
    let tried = SandboxFault::at::<io::Error>;
    let (mut ours, theirs) = UnixStream::pair().map_err(tried("make a socket"))?;
    let null = opens(c"/dev/null", OFlags::WRONLY).map_err(tried("open `/dev/null`"))?;
    let again = null.try_clone().map_err(tried("open `/dev/null`"))?;
    let streams = Streams { stdin: Some(theirs.into()), stdout: Some(null), stderr: Some(again) };
    let mut program = launch_with(&plan, streams)?;
    let ready = program.ready()?;
    program.go().map_err(tried("start what tries"))?;
    let missing = ready.layers.into_iter().filter(|layer| !layer.enforced);
    let missing = missing.map(|layer| Layer::missing(layer.name, layer.why, layer.fix)).collect();
    let answers = ask(&mut ours, ground).map_err(tried("hear what was tried"))?;
    let until = now().saturating_add(PATIENCE);
    loop {
        match program.next(PATIENCE).map_err(tried("hear of what tries"))? {
            Some(Event::Ended { .. }) => return Ok((answers, missing)),
            Some(Event::NotStarted(why, _)) => {
                return Err(SandboxFault::Enclosure {
                    layer: "program".to_owned(),
                    why: format!("what tries could not be started inside: {why}"),
                    fix: "try again; if it happens again, please report it".to_owned(),
                });
            }
            // Dropped, it is killed; what it did not answer is unclear.
            None if now() > until => return Ok((answers, missing)),
            _ => {}
        }
    }
}

/// Tries everything without an enclosure, in a process that ends with it. There something of our own stands for the
/// root folder and for the supervisor.
fn without(mut worker: Worker, ground: &Ground) -> io::Result<Vec<u8>> {
    let mut ground = ground.clone();
    ground.first = i32::try_from(worker.id()).ok();
    ground.root = ground.around.clone().ok_or(io::ErrorKind::NotFound)?;
    let answers = ask(&mut worker.socket().try_clone()?, &ground)?;
    worker.wait(PATIENCE)?;
    Ok(answers)
}

fn ask(socket: &mut UnixStream, ground: &Ground) -> io::Result<Vec<u8>> {
    let ground = postcard::to_stdvec(ground).map_err(io::Error::other)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(&ground)?;
    socket.shutdown(std::net::Shutdown::Write)?;
    let mut answers = Vec::new();
    match socket.take(1024).read_to_end(&mut answers) {
        // Whoever dies leaves an error; what was said before counts.
        Ok(_) => Ok(answers),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(answers),
        Err(error) => Err(error),
    }
}

/// The whole of the process that tries, inside and outside, under the first argument [`PROVE`]. Called first thing in
/// `main`, in a process with one thread. Returns its exit code.
pub fn prove_main() -> i32 {
    i32::from(try_all().is_err())
}

fn try_all() -> io::Result<()> {
    const MOST: u64 = 1 << 20;
    // Outside, the attempts look into this process, and Yama lets no child do that unasked. Inside it changes nothing.
    // SAFETY: plain numbers.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0) };
    let mut socket = worker_socket()?;
    let mut bytes = Vec::new();
    (&socket).take(MOST).read_to_end(&mut bytes)?;
    let ground: Ground = postcard::from_bytes(&bytes).map_err(io::Error::other)?;
    let answers: Vec<u8> = probes::all().map(|check| try_apart(check, &ground)).collect();
    socket.write_all(&answers)
}

/// In a process of its own: what gets through changes the process.
fn try_apart(check: &Check, ground: &Ground) -> u8 {
    match sys::fork() {
        Ok(Forked::Child) => {
            // SAFETY: a plain number; nothing else in this process uses the alarm.
            unsafe { libc::alarm(ONE) };
            sys::exit_now(i32::from(!check.gets_through(ground)))
        }
        Ok(Forked::Parent(pid)) => loop {
            match waitpid(Some(pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                Ok(Some((_, status))) => match (status.exit_status(), status.terminating_signal()) {
                    (Some(0), _) => return THROUGH,
                    (Some(1), _) | (_, Some(libc::SIGSYS)) => return REFUSED,
                    _ => return UNCLEAR,
                },
                _ => return UNCLEAR,
            }
        },
        Err(_) => UNCLEAR,
    }
}

/// What is there to be reached for, as long as this lives. What could not be planted is not tried.
struct Planted {
    /// Held open: somebody listens.
    _held: Vec<OwnedFd>,
    sockets: Vec<Vec<u8>>,
    segment: Option<i32>,
    key: Option<i32>,
}

const SESSION: libc::c_int = libc::KEY_SPEC_SESSION_KEYRING;

impl Planted {
    fn new(ground: &mut Ground) -> Planted {
        let mut held = Vec::new();
        let folders = [&ground.around, &ground.fixed, &ground.work].into_iter().flatten();
        let sockets: Vec<Vec<u8>> = folders.map(|folder| [folder.as_slice(), b"/", SOCKET].concat()).collect();
        for path in &sockets {
            // A path that is too long for a socket is not tried.
            held.extend(UnixListener::bind(Path::new(std::ffi::OsStr::from_bytes(path))).map(OwnedFd::from));
        }
        if let Ok((listener, port)) = listens_on_loopback() {
            ground.port = Some(port);
            held.push(listener);
        }
        let mut name = *b"raincoat-proof-................";
        let random = name.split_last_chunk_mut::<16>().map(|(_, random)| raincoat_os::fill_random(random));
        if matches!(random, Some(Ok(())))
            && let Ok(listener) = listens_abstractly(&name)
        {
            ground.listener = Some(name.to_vec());
            held.push(listener);
        }
        // SAFETY: a new segment of one page.
        let segment = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600) };
        ground.segment = Some(segment).filter(|segment| *segment >= 0);
        let name = c"raincoat-proof";
        // SAFETY: two texts that end, and one byte.
        let key = unsafe {
            libc::syscall(libc::SYS_add_key, c"user".as_ptr(), name.as_ptr(), c"x".as_ptr(), 1_usize, SESSION)
        };
        ground.key = i32::try_from(key).ok().filter(|key| *key > 0);
        Planted { _held: held, sockets, segment: ground.segment, key: ground.key }
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        for path in &self.sockets {
            let _ = rustix::fs::unlink(path.as_slice());
        }
        if let Some(segment) = self.segment {
            // SAFETY: our own segment, which nobody here has attached.
            unsafe { libc::shmctl(segment, libc::IPC_RMID, std::ptr::null_mut()) };
        }
        if let Some(key) = self.key {
            // SAFETY: plain numbers.
            unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_UNLINK, key, SESSION) };
        }
    }
}

fn listens_abstractly(name: &[u8]) -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    listen(&socket, 8)?;
    Ok(socket)
}

/// At a port of the kernel's choice.
fn listens_on_loopback() -> io::Result<(OwnedFd, u16)> {
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    listen(&socket, 8)?;
    let address = SocketAddrV4::try_from(getsockname(&socket)?)?;
    Ok((socket, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LayerState;

    #[test]
    fn what_gets_through_is_missing_and_what_proves_nothing_is_not_enforced() {
        let check = probes::all().next().unwrap();
        for (inside, bare, state, through) in [
            (THROUGH, THROUGH, LayerState::Missing, true),
            (THROUGH, REFUSED, LayerState::Missing, true),
            (THROUGH, UNCLEAR, LayerState::Missing, true),
            (REFUSED, THROUGH, LayerState::Enforced, false),
            (REFUSED, REFUSED, LayerState::Unknown, false),
            (REFUSED, UNCLEAR, LayerState::Unknown, false),
            (UNCLEAR, THROUGH, LayerState::Unknown, false),
        ] {
            let proof = proof(check, inside, bare);
            assert_eq!((proof.layer.state, proof.through), (state, through), "{inside} {bare}");
        }
        assert!(judge(&[], &[]).iter().all(|proof| proof.layer.state == LayerState::Unknown));
    }

    #[test]
    fn every_attempt_has_a_name_of_its_own() {
        let names: std::collections::BTreeSet<_> = probes::all().map(|check| check.name).collect();
        assert_eq!(names.len(), probes::all().count());
        assert!(names.len() >= 25);
    }
}
