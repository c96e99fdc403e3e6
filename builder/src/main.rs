//! The `dbco` command.

fn main() -> std::process::ExitCode {
    dbco::sandbox::entry();
    std::process::ExitCode::SUCCESS
}
