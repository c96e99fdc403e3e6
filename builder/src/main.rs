//! The `dbco` command; all of its code is in the library.

fn main() -> std::process::ExitCode {
    dbco::inherited::settle();
    dbco::sandbox::entry();
    dbco::cli::main()
}
