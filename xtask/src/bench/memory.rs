//! Peak memory of a process, by its kernel's own high-water mark (`VmHWM`), looked at until it ends: the figure that
//! `wait` gives would have its children's in it.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::Result;

/// How often the mark is read. It only rises, so what is missed is what rises in the last of these.
const EVERY: Duration = Duration::from_millis(2);

/// Peaks in bytes.
#[derive(Clone, Copy, Default)]
pub(super) struct Peaks {
    /// Of the process itself.
    pub(super) own: u64,
    /// Of the child that needed most.
    pub(super) child: u64,
}

/// Runs a command to its end. Where it is there only to start another (a terminal, say), the peaks are those of the first
/// process below it with the name `within`. `meanwhile` is called at every look.
pub(super) fn peaks_of(
    command: &mut Command,
    within: Option<&str>,
    meanwhile: &mut dyn FnMut(&mut Child),
) -> Result<Peaks> {
    let mut child = command.spawn().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let mut peaks = Peaks::default();
    let mut found = within.is_none().then(|| child.id());
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        found = found.or_else(|| first_of(child.id(), within?));
        if let Some(pid) = found {
            peaks.own = peaks.own.max(high_water(pid));
            peaks.child = children(pid).into_iter().map(high_water).fold(peaks.child, u64::max);
        }
        meanwhile(&mut child);
        std::thread::sleep(EVERY);
    };
    if !status.success() {
        return Err(format!("{command:?} failed: {status}"));
    }
    if peaks.own == 0 { Err(format!("{command:?} ended before it was looked at")) } else { Ok(peaks) }
}

/// The process itself or the first below it that has this name.
fn first_of(pid: u32, wanted: &str) -> Option<u32> {
    let status = status(pid);
    let name = status.lines().find_map(|line| line.strip_prefix("Name:"));
    if name.is_some_and(|name| name.trim() == wanted) {
        return Some(pid);
    }
    children(pid).into_iter().find_map(|child| first_of(child, wanted))
}

fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(process(pid).join("task")) else { return Vec::new() };
    let lists = threads.flatten().filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()).collect()
}

fn high_water(pid: u32) -> u64 {
    kilobytes(&status(pid)).unwrap_or(0) * 1024
}

/// What anybody may read of a process, hardened or not.
fn status(pid: u32) -> String {
    std::fs::read_to_string(process(pid).join("status")).unwrap_or_default()
}

fn kilobytes(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix("kB")?.trim().parse().ok()
}

fn process(pid: u32) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_is_read_in_kilobytes() {
        assert_eq!(kilobytes("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n"), Some(1234));
        assert_eq!(kilobytes("State:\tZ (zombie)\n"), None);
    }

    #[test]
    fn the_peak_of_a_program_that_another_starts_is_its_own() {
        let mut command = Command::new("sh");
        let peaks = peaks_of(command.args(["-c", "sleep 0.2; true"]), Some("sleep"), &mut |_| {}).unwrap();
        assert!(peaks.own > 64 << 10 && peaks.child == 0);
    }
}
