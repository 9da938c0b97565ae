//! The limits that no kernel mechanism keeps for an ordinary user, kept by looking: some 20 times a second at what all
//! processes inside use together, more often when a limit is near.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::fs::{Dir, Mode, OFlags, openat};

use super::disk::Disk;
use super::root::Root;
use super::{LimitKind, Plan, ProgramLimits, fault};

/// Between two looks.
const USUAL: Duration = Duration::from_millis(50);

/// Between two looks when more than half of the memory is used.
const NEAR: Duration = Duration::from_millis(10);

/// Looking takes at most one part in so many of the time.
const SHARE: u32 = 10;

/// What is left to the machine: bytes of memory, at most; a small machine keeps a part in 20.
const MACHINES_MEMORY: u64 = 256 << 20;

/// The watch over one program.
pub(super) struct Watch {
    limits: ProgramLimits,
    proc: OwnedFd,
    disk: Disk,
    page: u64,
    ticks: u64,
    end: Option<Duration>,
    due: Option<Duration>,
    shared_at_start: u64,
}

/// Now, on a clock that only goes on.
pub(super) fn now() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// What all processes inside use.
#[derive(Clone, Copy, Default, Debug)]
struct Use {
    threads: u64,
    memory: u64,
    ticks: u64,
}

impl Watch {
    pub(super) fn new(plan: &Plan, root: Root) -> Watch {
        let disk = Disk::new(root.uppers, root.private, plan.limits.disk);
        let mut watch = Watch {
            limits: plan.limits.clone(),
            proc: root.proc,
            disk,
            page: u64::try_from(rustix::param::page_size()).unwrap_or(4096),
            ticks: rustix::param::clock_ticks_per_second().max(1),
            end: None,
            due: None,
            shared_at_start: 0,
        };
        watch.shared_at_start = watch.machine().map_or(0, |(_, shared, _)| shared);
        watch
    }

    /// The program runs from now on.
    pub(super) fn start(&mut self) {
        let now = now();
        self.end = self.limits.wall_secs.map(|seconds| now.saturating_add(Duration::from_secs(seconds)));
        self.due = Some(now.saturating_add(USUAL));
    }

    /// When to look next; `None` before the start.
    pub(super) fn due(&self) -> Option<Duration> {
        [self.due, self.end].into_iter().flatten().min()
    }

    /// Looks, if it is time to. Says which limit was reached, and how, in words.
    pub(super) fn look(&mut self, at: Duration) -> Option<(LimitKind, String)> {
        if let Some(end) = self.end
            && end <= at
        {
            self.end = None;
            let seconds = self.limits.wall_secs.unwrap_or(0);
            return Some((LimitKind::Wall, format!("it ran for {seconds} s, as long as it may")));
        }
        if self.due.is_none_or(|due| due > at) {
            return None;
        }
        // Counted first, by their names alone: there may be more of them every moment.
        let Some(ids) = self.ids() else { return Some(blind()) };
        let count = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        if let Some(too_many) = self.too_many(count) {
            return Some(too_many);
        }
        let mut used = self.processes(&ids, false);
        let private = self.disk.private();
        if used.memory.saturating_add(private) > self.limits.memory {
            // What several processes share was counted for each of them.
            used = self.processes(&ids, true);
        }
        let reached = self.reached(used, private).or_else(|| self.disk.look(at));
        let cost = now().saturating_sub(at);
        let near = used.memory.saturating_add(private) > self.limits.memory / 2;
        let pause = if near { NEAR } else { USUAL };
        self.due = Some(now().saturating_add(pause.max(cost.saturating_mul(SHARE))));
        reached
    }

    fn too_many(&self, threads: u64) -> Option<(LimitKind, String)> {
        let most = self.limits.processes;
        (threads > u64::from(most))
            .then(|| (LimitKind::Processes, format!("{threads} processes and threads, of {most} at most")))
    }

    fn reached(&self, used: Use, private: u64) -> Option<(LimitKind, String)> {
        let limits = &self.limits;
        if let Some(too_many) = self.too_many(used.threads) {
            return Some(too_many);
        }
        let memory = used.memory.saturating_add(private);
        if memory > limits.memory {
            let mut words = format!("{} of memory, of {} at most", mib(memory), mib(limits.memory));
            if private > limits.memory / 4 {
                words.push_str(&format!("; {} of it are files in /tmp and the like", mib(private)));
            }
            return Some((LimitKind::Memory, words));
        }
        let seconds = used.ticks / self.ticks;
        if let Some(most) = limits.cpu_secs
            && seconds >= most
        {
            return Some((LimitKind::Cpu, format!("{seconds} s of processor time, of {most} s at most")));
        }
        let Some((available, shared, total)) = self.machine() else { return Some(blind()) };
        let shared = shared.saturating_sub(self.shared_at_start);
        let reserve = MACHINES_MEMORY.min(total / 20);
        if available < reserve && memory.max(shared) > reserve {
            let words = format!("the machine has only {} of memory left", mib(available));
            return Some((LimitKind::Machine, words));
        }
        None
    }

    /// Memory of the machine's: available, in files in memory, all of it; in bytes. `None`: it cannot be read.
    fn machine(&self) -> Option<(u64, u64, u64)> {
        let text = fault::text(&self.proc, c"meminfo")?;
        let of = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
            kib.map(|kib| kib.saturating_mul(1024))
        };
        // A kernel that does not say is not short of anything, as far as is known.
        Some((of("MemAvailable").unwrap_or(u64::MAX), of("Shmem").unwrap_or(0), of("MemTotal").unwrap_or(u64::MAX)))
    }

    /// What was written since the last look. One call for each file system, unless their figures are suspicious.
    pub(super) fn last_look(&mut self) -> Option<(LimitKind, String)> {
        self.disk.look(now())
    }

    /// Processes other than the supervisor.
    pub(super) fn others(&self) -> u32 {
        self.ids().map_or(0, |ids| u32::try_from(ids.len()).unwrap_or(u32::MAX))
    }

    /// `None`: they cannot be listed.
    fn ids(&self) -> Option<Vec<u32>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let entries = openat(&self.proc, c".", flags, Mode::empty()).and_then(Dir::new).ok()?;
        let numbers =
            entries.filter_map(Result::ok).filter_map(|entry| entry.file_name().to_str().ok()?.parse::<u32>().ok());
        Some(numbers.filter(|id| *id != 1).collect())
    }

    /// Adds up what processes use; `fair` divides what several share among them, which takes longer.
    fn processes(&self, ids: &[u32], fair: bool) -> Use {
        let mut all = Use { ticks: self.reaped(), ..Use::default() };
        for id in ids.iter().copied() {
            let Some(one) = self.process(id) else { continue };
            all.threads = all.threads.saturating_add(one.threads);
            all.ticks = all.ticks.saturating_add(one.ticks);
            let fair = if fair { self.fair_memory(id) } else { None };
            all.memory = all.memory.saturating_add(fair.unwrap_or(one.memory));
        }
        all
    }

    /// Processor time of those that have ended.
    fn reaped(&self) -> u64 {
        let mut times = std::mem::MaybeUninit::<libc::tms>::uninit();
        // SAFETY: the structure is filled by the call, and read only where that succeeded.
        let times = unsafe {
            if libc::times(times.as_mut_ptr()) == -1 {
                return 0;
            }
            times.assume_init()
        };
        u64::try_from(times.tms_cutime.saturating_add(times.tms_cstime)).unwrap_or(0)
    }

    fn process(&self, id: u32) -> Option<Use> {
        let path = std::ffi::CString::new(format!("{id}/stat")).ok()?;
        let text = fault::text(&self.proc, &path)?;
        // The second field is a name of the program's choosing, in brackets; it may hold brackets and blanks.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        if fields.first() == Some(&"Z") {
            return Some(Use::default());
        }
        // By proc_pid_stat(5), less the three fields before: utime, stime, cutime, cstime; num_threads; rss.
        let ticks = [11, 12, 13, 14].into_iter().fold(0_u64, |sum, at| sum.saturating_add(number(at)));
        Some(Use { threads: number(17), memory: number(21).saturating_mul(self.page), ticks })
    }

    /// Its share of the memory; without files that are only mapped where the share cannot be had.
    fn fair_memory(&self, id: u32) -> Option<u64> {
        let path = std::ffi::CString::new(format!("{id}/smaps_rollup")).ok()?;
        if let Some(text) = fault::text(&self.proc, &path) {
            let of = |name: &str| {
                let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                line.trim().trim_end_matches(" kB").parse::<u64>().ok()
            };
            // The kernel can take a file's pages back at any time; files in memory are counted by their file system.
            if let Some(kib) = of("Pss_Anon").or_else(|| of("Pss")) {
                return Some(kib.saturating_mul(1024));
            }
        }
        let path = std::ffi::CString::new(format!("{id}/statm")).ok()?;
        let text = fault::text(&self.proc, &path)?;
        let mut pages = text.split_ascii_whitespace().skip(1).map(|field| field.parse::<u64>().unwrap_or(0));
        let (resident, shared) = (pages.next()?, pages.next()?);
        Some(resident.saturating_sub(shared).saturating_mul(self.page))
    }
}

/// The program runs as the same user as its supervisor, and can take its open files away (`prlimit`): then nothing is
/// watched any more, and nothing may run.
fn blind() -> (LimitKind, String) {
    (LimitKind::Machine, "the supervisor can no longer see what runs inside".to_owned())
}

/// For people.
pub(super) fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
