//! The worker's side of the binary: enclosed before it reads its first byte, then handed to the agent.

use std::os::fd::AsFd;

use raincoat_os::process::worker_socket;
use raincoat_types::Limits;

/// The name under which the binary is started again as a worker.
pub(crate) const WORKER: &str = "worker";
/// The name under which the binary tries layers for `doctor`.
pub(crate) const PROBE: &str = "probe";

/// The arguments for a worker with these limits.
pub(crate) fn arguments(limits: &Limits) -> Vec<String> {
    vec![WORKER.to_owned(), limits.worker_memory.to_string(), limits.worker_cpu_secs.to_string()]
}

/// The whole of a worker process. Call it before anything else in `main`: it needs to be the only thread. `arguments`
/// are those after the word `worker`. Gives the exit code.
pub fn worker_main(arguments: &[String]) -> i32 {
    match enclosed(arguments) {
        Ok(()) => 0,
        Err(words) => {
            // Standard error is the keeper's pipe.
            let _ = std::io::Write::write_all(&mut std::io::stderr(), words.as_bytes());
            1
        }
    }
}

fn enclosed(arguments: &[String]) -> Result<(), String> {
    let number = |n: usize| arguments.get(n).and_then(|text| text.parse().ok());
    let mut limits = Limits::default();
    if let (Some(memory), Some(cpu)) = (number(0), number(1)) {
        limits.worker_memory = memory;
        limits.worker_cpu_secs = u32::try_from(cpu).unwrap_or(limits.worker_cpu_secs);
    }
    let socket = worker_socket().map_err(|e| e.to_string())?;
    raincoat_sandbox::worker::enclose(&limits, socket.as_fd()).map_err(|e| e.to_string())?;
    let readable = socket.try_clone().ok();
    let ready = move || readable.as_ref().is_some_and(|socket| raincoat_os::process::is_readable(socket.as_fd()));
    raincoat_agent::work(socket, ready).map_err(|e| e.to_string())
}

/// Switches off for this process what a keeper of keys has no use for: core files, debuggers, new privileges. Call it
/// first in `main`, while there is one thread. Gives what did not take, in words.
pub fn harden() -> Vec<String> {
    let failed = raincoat_os::harden::harden_process();
    failed.into_iter().map(|step| format!("{} ({})", step.step, step.error)).collect()
}

/// The whole of a probing child, for `raincoat doctor`. Gives the exit code.
pub fn probe_main() -> i32 {
    i32::from(raincoat_sandbox::probe_main().is_err())
}
