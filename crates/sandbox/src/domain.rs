//! Landlock: which files a thread may reach.

use std::os::fd::BorrowedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, make_bitflags,
};

use crate::{Layer, SandboxFault};

/// Upgrading is the only cure for an old kernel.
const NEWER_KERNEL: &str = "use a newer kernel (5.13 has Landlock, 6.12 all of what is used here)";

/// The version of Landlock that the kernel speaks; 0 where it has none, has it switched off, or a container's filter
/// hides it.
pub(crate) fn kernel_abi() -> i32 {
    const VERSION: libc::c_uint = 1;
    // SAFETY: with this flag and no attributes the call only returns a number (landlock_create_ruleset(2)).
    let abi = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, VERSION) };
    i32::try_from(abi.max(0)).unwrap_or(0)
}

/// Confines the calling thread, and those it starts later, to these directories and what is beneath them. Everything
/// that the kernel's Landlock can restrict is restricted, and nothing but this is given back.
///
/// # Errors
/// [`SandboxFault::Landlock`] where the kernel has Landlock and it could not be put fully in force.
pub(crate) fn restrict(read_only: &[BorrowedFd<'_>], writable: &[BorrowedFd<'_>]) -> Result<Vec<Layer>, SandboxFault> {
    let number = kernel_abi();
    let abi = ABI::from(number);
    if abi == ABI::Unsupported {
        return Ok(vec![Layer::missing(
            "landlock",
            "this kernel has no Landlock, or it is switched off or hidden by a container",
            "use a kernel of 5.13 or newer with `landlock` in its `lsm=` list",
        )]);
    }
    // The crate's default is to do what it can. Here all that this kernel claims must take, or it is an error.
    let mut rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    rules = rules.handle_access(AccessFs::from_all(abi))?;
    if abi >= ABI::V4 {
        rules = rules.handle_access(AccessNet::from_all(abi))?;
    }
    if abi >= ABI::V6 {
        rules = rules.scope(Scope::from_all(abi))?;
    }
    let mut rules = rules.create()?;
    for dir in read_only {
        rules = rules.add_rule(PathBeneath::new(*dir, reading()))?;
    }
    for dir in writable {
        rules = rules.add_rule(PathBeneath::new(*dir, writing(abi)))?;
    }
    if rules.restrict_self()?.ruleset != RulesetStatus::FullyEnforced {
        return Err(SandboxFault::Leaks("Landlock is only partly in force"));
    }
    let mut layers = vec![Layer::enforced("landlock", format!("Landlock ABI {number}"))];
    layers.extend(lacking(abi));
    Ok(layers)
}

fn reading() -> BitFlags<AccessFs> {
    make_bitflags!(AccessFs::{ReadFile | ReadDir})
}

/// All that effects do to files: no executing, no devices, FIFOs or sockets, no device ioctls.
fn writing(abi: ABI) -> BitFlags<AccessFs> {
    let wanted = reading()
        | make_bitflags!(AccessFs::{
            WriteFile | RemoveDir | RemoveFile | MakeDir | MakeReg | MakeSym | Refer | Truncate
        });
    wanted & AccessFs::from_all(abi)
}

/// What an older Landlock does not see, one layer each.
pub(crate) fn lacking(abi: ABI) -> impl Iterator<Item = Layer> {
    const LATER: [(ABI, &str, &str); 4] = [
        (ABI::V3, "landlock-truncate", "a file outside can be cut to nothing by opening it to read with `O_TRUNC`"),
        (ABI::V4, "landlock-tcp", "TCP is not restricted by Landlock; the system call filters refuse sockets"),
        (ABI::V5, "landlock-ioctl", "device ioctls are not restricted by Landlock; the filters allow a short list"),
        (ABI::V6, "landlock-scopes", "signals are not restricted by Landlock; the filters refuse other processes"),
    ];
    LATER
        .into_iter()
        .filter(move |(since, ..)| abi < *since)
        .map(|(_, name, why)| Layer::missing(name, why, NEWER_KERNEL))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests")]
mod tests {
    use super::*;

    /// A worker has the filter as well, which would hide a Landlock that does nothing.
    #[test]
    fn landlock_alone_refuses_files_tcp_and_signals() {
        let abi = kernel_abi();
        let tried = || {
            // SAFETY: signal 0 is none: only permission is looked at.
            let signal = unsafe { libc::kill(libc::getppid(), 0) } == 0;
            [std::fs::File::open("/etc/passwd").is_ok(), std::net::TcpListener::bind("127.0.0.1:0").is_ok(), signal]
        };
        let confined = || {
            let layers = restrict(&[], &[]).unwrap();
            assert_eq!(layers.first().unwrap().is_enforced(), abi > 0);
            tried()
        };
        assert_eq!(tried(), [true, true, true]);
        let after = std::thread::scope(|scope| scope.spawn(confined).join().unwrap());
        assert_eq!(after, [abi < 1, abi < 4, abi < 6]);
    }

    #[test]
    fn an_older_landlock_is_not_taken_for_a_newer_one() {
        let names = |abi| lacking(abi).map(|l| l.name).collect::<Vec<_>>();
        assert_eq!(names(ABI::V1), ["landlock-truncate", "landlock-tcp", "landlock-ioctl", "landlock-scopes"]);
        assert_eq!(names(ABI::V5), ["landlock-scopes"]);
        assert!(names(ABI::V7).is_empty());
    }

    #[test]
    fn a_writable_folder_is_no_place_to_run_programs_or_make_devices() {
        for abi in [ABI::V1, ABI::V7, ABI::V9] {
            let given = writing(abi);
            let never = make_bitflags!(AccessFs::{
                Execute | MakeChar | MakeBlock | MakeSock | MakeFifo | IoctlDev | ResolveUnix
            });
            assert!(!given.intersects(never));
            assert!(AccessFs::from_all(abi).contains(given));
        }
    }
}
