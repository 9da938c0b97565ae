//! The filter of an enclosed program: the reviewed rules as one BPF program with several answers.
//!
//! One program with a search tree, not several stacked ones: a call that has conditions (`openat` has) is found in some
//! eight comparisons, and "refused and told" and "refused" cannot outdo each other.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use seccompiler::{BpfProgram, sock_filter};

use super::calls::{self, Answer, Rule, UNNAMED};
use crate::calls::LAST_REVIEWED;
use crate::{SandboxFault, filter};

/// Puts the filter in force for this thread and all that it starts, for good, and gives the descriptor at which the
/// supervisor is asked (closed on `exec`). Until somebody serves it, a call that is told or a rename waits.
///
/// # Errors
/// The rules do not compile, or the kernel refuses the filter; nothing is in force then.
pub(crate) fn install(may_nest: bool) -> Result<OwnedFd, SandboxFault> {
    let program = compile(may_nest)?;
    rustix::thread::set_no_new_privs(true).map_err(SandboxFault::at("give up gaining privileges"))?;
    let length = u16::try_from(program.len()).unwrap_or(0);
    // The kernel only reads it.
    let header = libc::sock_fprog { len: length, filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut() };
    let listener = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    // The second is new in Linux 5.19. Without it, a signal takes back a call that is being served, and it comes again.
    for flags in [listener | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, listener] {
        // SAFETY: `header` points to `program`, and both live through the call.
        let fd = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const header) };
        match i32::try_from(fd) {
            // SAFETY: the kernel made this descriptor for us just now.
            Ok(fd) if fd >= 0 => return Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
            _ if io::Error::last_os_error().raw_os_error() == Some(libc::EINVAL) => {}
            _ => break,
        }
    }
    Err(SandboxFault::at("filter the program's system calls")(io::Error::last_os_error()))
}

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code: code as u16, jt, jf, k }
}

const fn answer_with(answer: u32) -> sock_filter {
    step(libc::BPF_RET | libc::BPF_K, 0, 0, answer)
}

const fn code(answer: Answer) -> u32 {
    match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Quiet(errno) => libc::SECCOMP_RET_ERRNO | (errno as u32 & libc::SECCOMP_RET_DATA),
        Answer::Told(_) | Answer::Rename | Answer::SetId => libc::SECCOMP_RET_USER_NOTIF,
    }
}

/// Calls of other architectures (32-bit ones too) and of the x32 ABI end the process: their numbers mean other calls.
fn compile(may_nest: bool) -> Result<BpfProgram, SandboxFault> {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    // Where the number and the architecture stand in `struct seccomp_data`.
    const NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;
    // `linux/audit.h`.
    #[cfg(target_arch = "x86_64")]
    const OURS: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const OURS: u32 = 0xc000_00b7;
    const X32: u32 = 0x4000_0000;

    let mut of: BTreeMap<u32, Vec<Rule>> = BTreeMap::new();
    for rule in calls::rules(may_nest) {
        if let Ok(number) = u32::try_from(rule.call.number) {
            of.entry(number).or_default().push(rule);
        }
    }
    // Neighbours with the same answer make one leaf.
    let mut leaves: Vec<(u32, BpfProgram)> = Vec::new();
    for number in 0..=LAST_REVIEWED {
        let leaf = leaf(of.get(&number).map_or(&[], Vec::as_slice))?;
        if leaves.last().is_none_or(|(_, last)| *last != leaf) {
            leaves.push((number, leaf));
        }
    }
    leaves.push((LAST_REVIEWED + 1, vec![answer_with(code(UNNAMED))]));
    leaves.push((X32, vec![answer_with(libc::SECCOMP_RET_KILL_PROCESS)]));

    let mut program = vec![
        step(LOAD, 0, 0, ARCHITECTURE),
        step(EQUAL, 1, 0, OURS),
        answer_with(libc::SECCOMP_RET_KILL_PROCESS),
        step(LOAD, 0, 0, NUMBER),
    ];
    program.extend(tree(&leaves));
    if program.len() > libc::BPF_MAXINSNS as usize {
        return Err(seccompiler::BackendError::FilterTooLarge(program.len()).into());
    }
    Ok(program)
}

/// The rules of one number, in order; the first that holds answers.
fn leaf(rules: &[Rule]) -> Result<BpfProgram, SandboxFault> {
    let mut steps = Vec::new();
    for rule in rules {
        let answer = answer_with(code(rule.answer));
        if rule.call.when.is_empty() {
            steps.push(answer);
            return Ok(steps);
        }
        for all in rule.call.when {
            // A group that does not hold jumps over the one step behind it.
            steps.extend(BpfProgram::from(filter::rule(all, 0)?));
            steps.push(answer.clone());
        }
    }
    steps.push(answer_with(code(UNNAMED)));
    Ok(steps)
}

/// A binary search for the last leaf that starts at the number or below it. The number is loaded.
fn tree(leaves: &[(u32, BpfProgram)]) -> BpfProgram {
    const NOT_BELOW: u32 = libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K;
    const JUMP: u32 = libc::BPF_JMP | libc::BPF_JA;
    let (below, above) = leaves.split_at(leaves.len() / 2);
    let (Some(_), Some((start, _))) = (below.first(), above.first()) else {
        return leaves.first().map_or_else(Vec::new, |(_, leaf)| leaf.clone());
    };
    let (below, above) = (tree(below), tree(above));
    let mut steps = vec![step(NOT_BELOW, 0, 1, *start), step(JUMP, 0, 0, below.len() as u32)];
    steps.extend(below);
    steps.extend(above);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::When;
    use crate::program::calls::{rule_for, rules};

    /// Runs a classic BPF program as the kernel would; how many steps it took comes with the answer.
    fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: &[u64; 6]) -> (u32, usize) {
        let mut data = Vec::new();
        data.extend(number.to_ne_bytes());
        data.extend(architecture.to_ne_bytes());
        data.extend([0; 8]);
        arguments.iter().for_each(|argument| data.extend(argument.to_ne_bytes()));
        let (mut at, mut a, mut steps) = (0, 0_u32, 0);
        loop {
            let step = &program[at];
            at += 1;
            steps += 1;
            let jump = |yes| usize::from(if yes { step.jt } else { step.jf });
            match step.code {
                0x20 => a = u32::from_ne_bytes(data[step.k as usize..][..4].try_into().unwrap()),
                0x05 => at += step.k as usize,
                0x15 => at += jump(a == step.k),
                0x25 => at += jump(a > step.k),
                0x35 => at += jump(a >= step.k),
                0x54 => a &= step.k,
                0x06 => return (step.k, steps),
                code => panic!("{code:#x}"),
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    const HERE: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const HERE: u32 = 0xc000_00b7;

    /// Arguments that every condition of every rule is tried with: each value that a condition names, alone and with
    /// bits around it.
    fn tries(number: i64) -> Vec<[u64; 6]> {
        let mut tries = vec![[0; 6], [u64::MAX; 6]];
        for when in rules(false).filter(|r| r.call.number == number).flat_map(|r| r.call.when.concat()) {
            let (argument, values) = match when {
                When::Is(argument, value) | When::With(argument, value) => (argument, vec![value]),
                When::Masked(argument, _, value) => (argument, vec![value, value | 0o644]),
                When::Between(argument, least, most) => (argument, vec![least - 1, least, most, most + 1]),
                other => panic!("{other:?}"),
            };
            for before in tries.clone() {
                for value in &values {
                    for value in [*value, value | 0xffff_ffff_0000_0000, value.wrapping_add(1)] {
                        let mut with = before;
                        with[usize::from(argument)] = value;
                        tries.push(with);
                    }
                }
            }
            tries.truncate(3000);
        }
        tries
    }

    #[test]
    fn the_program_answers_as_the_rules_say() {
        let program = compile(false).unwrap();
        assert!(program.len() < 2000, "{}", program.len());
        for number in 0..=LAST_REVIEWED + 5 {
            for arguments in tries(i64::from(number)) {
                let expect = rule_for(i64::from(number), &arguments).map_or(UNNAMED, |rule| rule.answer);
                let (is, _) = run(&program, HERE, number, &arguments);
                assert_eq!(is, code(expect), "{number} {arguments:x?}");
            }
        }
    }

    #[test]
    fn opening_a_file_takes_few_steps() {
        let program = compile(false).unwrap();
        let (_, steps) = run(&program, HERE, libc::SYS_openat as u32, &[0; 6]);
        assert!(steps < 50, "{steps}");
    }

    #[test]
    fn calls_of_other_architectures_end_the_process_and_unknown_ones_do_not_exist() {
        let program = compile(false).unwrap();
        // i386.
        assert_eq!(run(&program, 0x4000_0003, 3, &[0; 6]).0, libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(run(&program, HERE, 0x4000_0000, &[0; 6]).0, libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(run(&program, HERE, u32::MAX, &[0; 6]).0, libc::SECCOMP_RET_KILL_PROCESS);
        assert_eq!(run(&program, HERE, LAST_REVIEWED + 1, &[0; 6]).0, libc::SECCOMP_RET_ERRNO | 38);
        assert_eq!(run(&program, HERE, 0x3fff_ffff, &[0; 6]).0, libc::SECCOMP_RET_ERRNO | 38);
    }
}
