//! The binary: everything is in the library beside it, where it can be tested.

fn main() -> std::process::ExitCode {
    raincoat_cli::main()
}
