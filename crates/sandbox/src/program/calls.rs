//! The system calls that an enclosed program may make: reviewed data (HABITS 10), as [`crate::calls`] is. A change here
//! is a change to what any program of anybody's may do to this machine, and is to be read as one.
//!
//! Unlike a worker, a program is one that we do not know: everything that ordinary programs call is allowed, and what
//! is refused is refused with an error that they cope with. What a person should hear of goes through the supervisor,
//! which says it and answers; what programs merely try in passing is answered by the filter alone.
//!
//! The kernel remembers which numbers are allowed whatever their arguments and runs no filter for them: `read`,
//! `write`, `stat`, `close`, `mmap` and the like must stay without conditions. `open` and `openat` cannot: both make
//! files of any mode.

mod allowed;
mod checked;
mod refused;

use crate::calls::Call;

/// What the filter does with a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// The kernel carries it out.
    Allow,
    /// It fails with this error, and nobody is told.
    Quiet(i32),
    /// It fails with this error, and the supervisor tells of it.
    Told(i32),
    /// The supervisor renames directories that the overlay cannot; everything else the kernel carries out.
    Rename,
    /// Sets the set-user-id or set-group-id bit: refused and told for a file; the supervisor sets it for a directory,
    /// where it only says who owns what is made within.
    SetId,
}

/// A use of a system call, and what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    /// The call, and which uses of it are meant.
    pub call: Call,
    /// What becomes of these.
    pub answer: Answer,
}

/// What becomes of a call that no rule names.
pub(crate) const UNNAMED: Answer = Answer::Quiet(libc::ENOSYS);

/// Every rule. Where several name the same call, the first whose condition holds counts; the last has no condition.
pub(crate) fn rules(may_nest: bool) -> impl Iterator<Item = Rule> {
    let nesting = move |rule: Rule| match may_nest && checked::NESTING.contains(&rule.call.number) {
        true => Rule { answer: Answer::Allow, ..rule },
        false => rule,
    };
    let allowed = allowed::tables().map(|call| Rule { call, answer: Answer::Allow });
    checked::tables().chain(refused::tables()).map(nesting).chain(allowed)
}

/// The rule that counts for this call of a program that may not nest, by its number and arguments.
pub(crate) fn rule_for(number: i64, arguments: &[u64; 6]) -> Option<Rule> {
    rules(false).find(|rule| rule.call.number == number && meant(&rule.call, arguments))
}

fn meant(call: &Call, arguments: &[u64; 6]) -> bool {
    call.when.is_empty() || call.when.iter().any(|all| all.iter().all(|when| when.holds(arguments)))
}

/// A call without conditions, its name taken from that of its number.
const fn named(constant: &'static str, number: i64, why: &'static str) -> Call {
    Call { name: constant.split_at("SYS_".len()).1, number, when: &[], why }
}

/// A table of calls without conditions, in groups: who calls these, or what they could do.
macro_rules! table {
    ($($why:literal => $($number:ident)+;)+) => {
        &[$($($crate::program::calls::named(stringify!($number), libc::$number, $why),)+)+]
    };
}
use table;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::calls::LAST_REVIEWED;

    /// Every number that this architecture has, up to the last that was reviewed. Numbers from 424 on are the same
    /// everywhere; those between are not in use.
    fn numbers() -> impl Iterator<Item = i64> {
        let own: Vec<i64> =
            if cfg!(target_arch = "x86_64") { (0..=335).collect() } else { (0..=243).chain(260..=294).collect() };
        own.into_iter().chain(424..=i64::from(LAST_REVIEWED))
    }

    #[test]
    fn every_call_that_the_kernel_knows_is_in_exactly_one_place() {
        for may_nest in [false, true] {
            let mut of: BTreeMap<i64, Vec<Rule>> = BTreeMap::new();
            for rule in rules(may_nest) {
                assert!(!rule.call.why.is_empty());
                of.entry(rule.call.number).or_default().push(rule);
            }
            let missing: Vec<_> = numbers().filter(|n| !of.contains_key(n)).collect();
            assert!(missing.is_empty(), "in no table: {missing:?}");
            for (number, rules) in &of {
                let (last, conditional) = rules.split_last().unwrap();
                assert!(numbers().any(|n| n == *number), "not a call: {last:?}");
                assert!(last.call.when.is_empty(), "what of the other uses? {last:?}");
                assert!(conditional.iter().all(|r| !r.call.when.is_empty()), "in two tables: {rules:?}");
                assert!(conditional.iter().all(|r| r.call.name == last.call.name), "two names: {rules:?}");
            }
        }
    }

    #[test]
    fn what_programs_call_most_runs_without_a_filter() {
        for number in [
            libc::SYS_read,
            libc::SYS_write,
            libc::SYS_close,
            libc::SYS_newfstatat,
            libc::SYS_statx,
            libc::SYS_fstat,
            libc::SYS_mmap,
            libc::SYS_futex,
            libc::SYS_fcntl,
            libc::SYS_getdents64,
            libc::SYS_unlinkat,
            libc::SYS_mkdirat,
        ] {
            let of: Vec<_> = rules(false).filter(|r| r.call.number == number).collect();
            assert!(matches!(of.as_slice(), [Rule { answer: Answer::Allow, .. }]), "{of:?}");
        }
    }

    #[test]
    fn a_program_that_may_nest_gets_namespaces_and_nothing_else() {
        let more: Vec<_> =
            rules(true).zip(rules(false)).filter(|(a, b)| a.answer != b.answer).map(|(a, _)| a.call.name).collect();
        assert_eq!(more, ["clone", "unshare", "chroot", "setns"]);
    }

    fn answer(number: i64, arguments: [u64; 6]) -> Answer {
        rule_for(number, &arguments).unwrap().answer
    }

    #[test]
    fn uses_of_one_call_are_told_apart_by_their_arguments() {
        let create = (libc::O_CREAT | libc::O_WRONLY) as u64;
        assert_eq!(answer(libc::SYS_openat, [0, 0, create, 0o644, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_openat, [0, 0, create, 0o4755, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_openat, [0, 0, 0, 0o4755, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_openat, [0, 0, libc::O_TMPFILE as u64, 0o2755, 0, 0]), Answer::Told(libc::EPERM));
        // O_DIRECTORY is part of O_TMPFILE and no reason by itself.
        assert_eq!(answer(libc::SYS_openat, [0, 0, libc::O_DIRECTORY as u64, 0o2755, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_fchmod, [3, 0o755, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_fchmod, [3, 0o2755, 0, 0, 0, 0]), Answer::SetId);
        assert_eq!(answer(libc::SYS_ioctl, [0, 0x5412, 0, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_ioctl, [0, 0xffff_ffff_0000_5412, 0, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_ioctl, [0, 0x5401, 0, 0, 0, 0]), Answer::Allow);
        let (inet, raw) = (libc::AF_INET as u64, libc::SOCK_RAW as u64);
        assert_eq!(answer(libc::SYS_socket, [inet, 1, 6, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_socket, [inet, 1 | libc::SOCK_CLOEXEC as u64, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_socket, [inet, 1, 132, 0, 0, 0]), Answer::Quiet(libc::EPROTONOSUPPORT));
        assert_eq!(answer(libc::SYS_socket, [inet, raw, 1, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_socket, [16, raw, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_socket, [16, raw, 12, 0, 0, 0]), Answer::Quiet(libc::EPROTONOSUPPORT));
        assert_eq!(answer(libc::SYS_socket, [17, raw, 0, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_socket, [38, 5, 0, 0, 0, 0]), Answer::Quiet(libc::EAFNOSUPPORT));
        assert_eq!(answer(libc::SYS_clone, [0x0100_0011, 0, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_clone, [0x1000_0011, 0, 0, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_mknodat, [0, 0, 0o010_644, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_mknodat, [0, 0, 0o020_644, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_mknodat, [0, 0, 0o104_644, 0, 0, 0]), Answer::Told(libc::EPERM));
        assert_eq!(answer(libc::SYS_personality, [0xffff_ffff, 0, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_personality, [0x0040_0000, 0, 0, 0, 0, 0]), Answer::Quiet(libc::EPERM));
        assert_eq!(answer(libc::SYS_prctl, [38, 1, 0, 0, 0, 0]), Answer::Allow);
        assert_eq!(answer(libc::SYS_prctl, [35, 1, 0, 0, 0, 0]), Answer::Quiet(libc::EINVAL));
    }
}
