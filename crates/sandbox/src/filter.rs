//! System call filters: reviewed tables in, BPF programs out.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, sock_filter,
};

use crate::SandboxFault;
use crate::calls::{Call, LAST_REVIEWED, When};

/// Refuses what no table can name: numbers of the x32 ABI (the same calls under other numbers) end the process;
/// numbers beyond the last that was reviewed do not exist (`ENOSYS`), so that a call of a future kernel is not allowed
/// by having been unknown.
pub(crate) fn guard() -> BpfProgram {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const JUMP_UNLESS_BELOW: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const X32: u32 = 0x4000_0000;
    let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    vec![
        // The number is the first field of `struct seccomp_data`.
        step(LOAD, 0, 0, 0),
        step(JUMP_UNLESS_BELOW, 0, 1, X32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_KILL_PROCESS),
        step(JUMP_UNLESS_BELOW, 0, 1, LAST_REVIEWED + 1),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// What matches is answered so; the rest passes.
pub(crate) fn refuse<'a>(
    calls: impl IntoIterator<Item = &'a Call>,
    answer: SeccompAction,
) -> Result<BpfProgram, SandboxFault> {
    compile(calls, SeccompAction::Allow, answer)
}

/// What matches passes; the rest is answered so.
pub(crate) fn allow_only<'a>(
    calls: impl IntoIterator<Item = &'a Call>,
    otherwise: SeccompAction,
) -> Result<BpfProgram, SandboxFault> {
    compile(calls, otherwise, SeccompAction::Allow)
}

fn compile<'a>(
    calls: impl IntoIterator<Item = &'a Call>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, SandboxFault> {
    let own_pid = u64::from(std::process::id());
    let mut rules = BTreeMap::new();
    for call in calls {
        let mut ways = Vec::new();
        for all in call.when {
            ways.push(rule(all, own_pid)?);
        }
        rules.insert(call.number, ways);
    }
    let arch = TargetArch::try_from(std::env::consts::ARCH)?;
    Ok(SeccompFilter::new(rules, otherwise, matched, arch)?.try_into()?)
}

/// One group of conditions, of which all must hold.
pub(crate) fn rule(all: &[When], own_pid: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let mut conditions = Vec::new();
    for when in all {
        for (argument, length, operator, value) in condition(when, own_pid) {
            conditions.push(SeccompCondition::new(argument, length, operator, value)?);
        }
    }
    SeccompRule::new(conditions)
}

/// Arguments are compared in their lower 32 bits: every one that a table looks at is an `int` or flags below that, and
/// the kernel ignores the upper half of an `int`, which a caller could otherwise fill to slip by.
fn condition(when: &When, own_pid: u64) -> Vec<(u8, SeccompCmpArgLen, SeccompCmpOp, u64)> {
    let lower = |argument, operator, value| vec![(argument, SeccompCmpArgLen::Dword, operator, value)];
    match *when {
        When::Is(argument, value) => lower(argument, SeccompCmpOp::Eq, value),
        When::IsNot(argument, value) => lower(argument, SeccompCmpOp::Ne, value),
        When::Without(argument, bit) => lower(argument, SeccompCmpOp::MaskedEq(bit), 0),
        When::With(argument, bit) => lower(argument, SeccompCmpOp::MaskedEq(bit), bit),
        When::OwnProcess(argument) => lower(argument, SeccompCmpOp::Eq, own_pid),
        When::OtherProcess(argument) => lower(argument, SeccompCmpOp::Ne, own_pid),
        When::NotNull(argument) => vec![(argument, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)],
        When::Masked(argument, mask, value) => lower(argument, SeccompCmpOp::MaskedEq(mask), value),
        When::Between(argument, least, most) => vec![
            (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Ge, least),
            (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Le, most),
        ],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls;

    #[test]
    fn every_table_compiles_and_fits_the_kernel() {
        for (name, program) in [
            ("hostile", refuse(calls::worker_kills(), SeccompAction::KillProcess).unwrap()),
            ("worker", allow_only(calls::worker_may(), SeccompAction::Errno(1)).unwrap()),
            ("thread", refuse(calls::thread_may_not(), SeccompAction::Errno(1)).unwrap()),
        ] {
            assert!(program.len() < 4096, "{name}: {}", program.len());
        }
    }

    /// Runs a classic BPF program over a call's number as the kernel would (the four instructions that `guard` has).
    fn answer(program: &[sock_filter], number: u32) -> u32 {
        let mut at = 0;
        loop {
            let step = &program[at];
            at += 1;
            match step.code {
                0x20 => {}
                0x35 => at += usize::from(if number >= step.k { step.jt } else { step.jf }),
                0x06 => return step.k,
                code => panic!("{code:#x}"),
            }
        }
    }

    #[test]
    fn numbers_nobody_reviewed_do_not_exist_and_x32_is_the_end() {
        let program = guard();
        assert_eq!(answer(&program, 0), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(&program, LAST_REVIEWED), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(&program, LAST_REVIEWED + 1), libc::SECCOMP_RET_ERRNO | 38);
        assert_eq!(answer(&program, 0x4000_0000 + 59), libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(answer(&program, u32::MAX), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
