//! The `dbco` command; all of it is in the library.

fn main() -> std::process::ExitCode {
    dbco::inherited::settle();
    dbco::sandbox::entry();
    dbco::cli::main()
}
