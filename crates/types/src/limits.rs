//! Every limit in one place, with a name (DESIGN invariant 12).

use serde::{Deserialize, Serialize};

/// Upper bounds. The defaults fit a desktop; `config.toml` may lower or raise them within what each says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Entries that one listing returns; more come by paging.
    pub list_entries: u32,
    /// Directory levels that a walk goes down.
    pub walk_depth: u32,
    /// Bytes that one read returns.
    pub read_window: u32,
    /// Bytes of a file that an agent writes or edits in one proposal.
    pub write_bytes: u64,
    /// Matches that one search returns.
    pub search_matches: u32,
    /// Bytes of a matching line that a search returns.
    pub search_line: u32,
    /// Bytes of a file that a search looks into; longer files are searched up to here.
    pub search_file_bytes: u64,
    /// Operations in one run.
    pub run_ops: u32,
    /// Messages that the keeper takes from a worker in one run.
    pub run_messages: u64,
    /// Bytes that a worker may say to the person, or leave to be kept with the run, in one run.
    pub run_words: u64,
    /// Steps of one plan.
    pub plan_steps: u32,
    /// Entries taken out of one archive.
    pub extract_entries: u32,
    /// Bytes taken out of one archive, all entries together.
    pub extract_bytes: u64,
    /// How many times its own size an archive may grow to, beyond 16 MiB (decompression bombs).
    pub extract_ratio: u64,
    /// Bytes of one message between keeper and worker.
    pub message_bytes: u32,
    /// Bytes of one reply of a model.
    pub model_reply_bytes: u64,
    /// Bytes of one request to a model.
    pub model_request_bytes: u64,
    /// Seconds without a byte from a model before the request is given up.
    pub model_idle_secs: u32,
    /// Seconds that one request to a model may take in all.
    pub model_total_secs: u32,
    /// Turns (requests to the model) in one run.
    pub model_turns: u32,
    /// Tool calls in one turn.
    pub tool_calls: u32,
    /// Symlinks followed in one path.
    pub symlinks: u32,
    /// Bytes of address space of a worker.
    pub worker_memory: u64,
    /// Seconds of processor time of a worker.
    pub worker_cpu_secs: u32,
    /// Bytes of memory of a program in a draft and all that it starts; never more than three quarters of the machine's.
    pub program_memory: u64,
    /// Processes and threads of a program in a draft.
    pub program_processes: u32,
    /// Bytes that a program may write into its draft and its private folders.
    pub program_disk: u64,
    /// Open descriptors of each process of a program in a draft.
    pub program_files: u32,
    /// Refusals of one program that are told apart; more are only counted.
    pub program_refusals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            list_entries: 4096,
            walk_depth: 128,
            read_window: 1 << 20,
            write_bytes: 64 << 20,
            search_matches: 500,
            search_line: 400,
            search_file_bytes: 64 << 20,
            run_ops: 2_000_000,
            run_messages: 20_000_000,
            run_words: 1 << 30,
            plan_steps: 1_000_000,
            extract_entries: 100_000,
            extract_bytes: 8 << 30,
            extract_ratio: 200,
            message_bytes: 80 << 20,
            model_reply_bytes: 16 << 20,
            model_request_bytes: 32 << 20,
            model_idle_secs: 120,
            model_total_secs: 1800,
            model_turns: 100,
            tool_calls: 64,
            symlinks: 40,
            worker_memory: 4 << 30,
            worker_cpu_secs: 3600,
            program_memory: 64 << 30,
            program_processes: 4096,
            program_disk: 64 << 30,
            program_files: 65_536,
            program_refusals: 1000,
        }
    }
}
