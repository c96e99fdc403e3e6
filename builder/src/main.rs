//! The `dbco` command; all of it is in the library.

fn main() -> std::process::ExitCode {
    dbco::sandbox::entry();
    dbco::cli::main()
}
