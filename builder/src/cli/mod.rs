//! The command line: arguments, progress, prose and exit codes; no logic of its own.

mod args;
mod audit;
mod boot;
mod build;
mod cache;
mod check;
mod diff;
mod documents;
mod dry_run;
mod extract;
mod fetch;
mod gc;
mod graph;
mod image;
mod interrupt;
mod kconfig;
mod lock;
mod merge_errors;
mod new;
mod printer;
mod prose;
mod report;
mod repro;
mod session;
mod shell;
mod show;
mod sign;
mod sizes;
mod vendor;
mod verify;
mod vulnerabilities;
mod why;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};

use args::{BuildArgs, RecipeArgs, default_recipe, positive};

use crate::recipe::OutputKind;
use crate::source::VendoredPlace;

/// Builds bootable, reproducible Linux images from a YAML recipe: no root, no container engine.
#[derive(Debug, Parser)]
#[command(name = "dbco", version, after_help = EXAMPLES, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

const EXAMPLES: &str = "\
Examples:
  dbco new my-image                      makes a project with a recipe of its own
  dbco build recipes/quick.yaml          an image with a distribution's kernel, in about a minute
  dbco build recipes/dbcolinux.yaml      the whole system, its kernel built from source
  dbco run recipes/quick.yaml            boots it in this terminal
  dbco test recipes/dbcolinux.yaml       runs the boot tests that the recipe declares
  dbco check my.yaml                     reports all errors in a recipe, without building
  dbco show my.yaml --origin             prints it with what it extends, and which line set each value

Exit status: 0 done, 1 a build or a test failed, 2 wrong usage or recipe, 3 to 10 see `dbco help verify`, 128 + N ended by \
signal N.";

#[derive(Debug, Args)]
struct Global {
    /// Where results are kept [default: $XDG_CACHE_HOME/dbco or ~/.cache/dbco]
    #[arg(long, global = true, env = "DBCO_STORE", value_name = "DIR")]
    store: Option<PathBuf>,
    /// A Debian mirror's base URL, in place of all others; may be repeated (DBCO_MIRROR: separated by spaces)
    #[arg(long, global = true, value_name = "URL", env = "DBCO_MIRROR", value_delimiter = ' ', hide_env_values = true)]
    mirror: Vec<String>,
    /// Take all sources from what `dbco vendor` made, a folder, an archive or the URL of a folder, and use no other network
    /// (implies --locked)
    #[arg(long, global = true, value_name = "DIR|ARCHIVE|URL", env = "DBCO_VENDOR", value_parser = vendored, hide_env_values = true)]
    vendor: Option<VendoredPlace>,
    /// Events as JSON, one a line, on standard output
    #[arg(long, global = true)]
    json: bool,
    /// Also report findings and errors as annotations on the lines of files: github, by workflow commands, or gitlab=FILE, a code
    /// quality report
    #[arg(long, global = true, value_name = "github|gitlab=FILE", value_parser = printer::AnnotationFormat::parse)]
    annotations: Option<printer::AnnotationFormat>,
    /// Colours and progress display
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    color: clap::ColorChoice,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a project, or a part of one: an image, component, application, fragment, test or patch
    #[command(after_help = new::EXAMPLES)]
    New(new::NewArgs),
    /// Build an image
    #[command(
        after_help = "Examples:\n  dbco build\n  dbco build --only iso --set console=ttyS1\n  dbco build --offline -o /tmp/images\n  dbco build --dry-run"
    )]
    Build {
        #[command(flatten)]
        args: BuildArgs,
        /// Write only this output (the folder then contains nothing else); may be repeated
        #[arg(long, value_name = "OUTPUT", value_parser = OutputKind::parse)]
        only: Vec<OutputKind>,
        /// Replace outputs that were edited since dbco wrote them; they are kept in <recipe>.edited/ beside
        #[arg(long)]
        overwrite: bool,
        /// Only report what would run, be fetched and be written, and how long it may take; nothing is changed
        #[arg(long, conflicts_with = "release")]
        dry_run: bool,
        #[command(flatten)]
        release: build::ReleaseArgs,
    },
    /// Pin every source of a recipe to its sha256, in the lock that the recipes of a project share
    #[command(
        after_help = "The lock is the nearest `dbco.lock` in the recipe's folder or above it, up to the top of its git \
                      repository. Where there is none it is made in the recipe's folder. Entries of other recipes stay as \
                      they are.\n\nExamples:\n  dbco lock\n  dbco lock --update\n  dbco lock --update linux\n  dbco lock --prune"
    )]
    Lock(lock::LockArgs),
    /// Fetch everything that is locked, so that a build needs no network
    Fetch {
        #[command(flatten)]
        recipe: RecipeArgs,
        /// Maximum number of parallel connections
        #[arg(short, long, default_value_t = crate::source::CONNECTIONS, value_name = "N")]
        jobs: usize,
    },
    /// Report all errors in a recipe
    Check {
        #[command(flatten)]
        recipe: RecipeArgs,
        /// Also fail if the lock does not match the recipe
        #[arg(long)]
        locked: bool,
    },
    /// Print what a recipe is together with the files that it extends, its parameters and defaults
    #[command(after_help = show::EXAMPLES)]
    Show(show::ShowArgs),
    /// Print the steps that a recipe's outputs are made by, and which of them a build would run
    #[command(after_help = graph::EXAMPLES)]
    Graph(graph::GraphArgs),
    /// Start a shell in the sandbox of a step, as the step sees it
    #[command(after_help = shell::EXAMPLES)]
    Shell(shell::ShellArgs),
    /// Change the kernel's configuration with its own menus, and save the difference as a fragment
    #[command(after_help = kconfig::EXAMPLES)]
    Kconfig(kconfig::KconfigArgs),
    /// Boot an image in this terminal
    #[command(after_help = "Examples:\n  dbco run\n  dbco run --firmware uefi --medium cd --memory 512")]
    Run(boot::RunArgs),
    /// Run the boot tests that a recipe declares
    #[command(after_help = "Examples:\n  dbco test\n  dbco test --filter uefi --junit report.xml")]
    Test(boot::TestArgs),
    /// Find references that leak out of the root filesystem's layout; or known vulnerabilities, with --cve
    #[command(
        after_help = "Examples:\n  dbco audit\n  dbco audit --cve tracker.json --cve crates.io.zip --fail-on high --sarif cve.sarif"
    )]
    Audit {
        #[command(flatten)]
        args: BuildArgs,
        #[command(flatten)]
        cve: vulnerabilities::CveArgs,
    },
    /// Build twice in different surroundings, and name the cause of each difference
    #[command(
        after_help = "Each build has an empty store of its own; sources are taken from the user's. Exit status 1 if anything \
                      differs.\n\nExamples:\n  dbco repro recipes/quick.yaml\n  dbco repro --vary=-user,-sandbox --html report.html\n  \
                      dbco repro --vary jobs,listing-order --only initrd"
    )]
    Repro(repro::ReproArgs),
    /// Show what an image is and how it boots
    #[command(after_help = image::ADDRESSES)]
    Inspect(image::InspectArgs),
    /// List the files in an image
    #[command(after_help = image::ADDRESSES)]
    Ls(image::LsArgs),
    /// Write a file in an image to standard output
    #[command(after_help = image::ADDRESSES)]
    Cat(image::CatArgs),
    /// Write files of an image to a new folder, without root
    ///
    /// Owners and extended attributes are not set, set-user-ID bits are left out. What can't be written (devices, pipes, paths that lead out of the
    /// folder) is listed, and the exit status is 1 then.
    #[command(after_help = image::ADDRESSES)]
    Extract(image::ExtractArgs),
    /// Compare two images, or two folders of images, by meaning
    ///
    /// Compared are the kernel's version and configuration, files (content, mode, owner, extended attributes, devices, links) of all images inside each
    /// other, GRUB's entries, boot structures, partition tables, packages and SBOMs. How something is stored (compression
    /// levels, order, sizes) is only noted. Exit status: 0 equal, 1 different or not readable, 2 wrong usage.
    #[command(after_help = image::ADDRESSES)]
    Diff(diff::DiffArgs),
    /// Show where the bytes of images come from
    #[command(after_help = sizes::EXAMPLES)]
    Sizes(sizes::SizesArgs),
    /// Explain which recipe line, component or package brought a file of an image; or what made a step run again
    #[command(after_help = why::EXAMPLES)]
    Why(why::WhyArgs),
    /// Copy everything that is locked into one folder or archive, from which builds need no network
    Vendor(vendor::VendorArgs),
    /// Sign a release
    Sign(sign::SignArgs),
    /// Verify the signatures, files and statement of a release
    Verify(verify::VerifyArgs),
    /// Inspect and clean up the store of results
    Cache {
        #[command(subcommand)]
        command: cache::CacheCommand,
    },
    /// Write the JSON Schema of a kind of YAML file, for editors
    #[command(after_help = "Example:\n  dbco schema recipe > recipe.schema.json")]
    Schema(documents::SchemaArgs),
    /// Write completions for a shell
    #[command(hide = true)]
    Completions(documents::CompletionsArgs),
    /// Write manual pages
    #[command(hide = true)]
    Man(documents::ManArgs),
}

/// Runs the command given by this process's arguments.
pub fn main() -> ExitCode {
    if let Some(ended) = repro::stage() {
        return ended;
    }
    let cli = Cli::parse();
    let printer = Arc::new(printer::Printer::new(cli.global.json, cli.global.color, cli.global.annotations.clone()));
    let interrupt = match interrupt::listen(&printer) {
        Ok(interrupt) => interrupt,
        Err(error) => return prose::fail(&printer, &CommandError::from(error)),
    };
    let reporter = session::CliReporter::new(&printer, &interrupt);
    let session = session::CliSession::new(cli.global, &reporter);
    let result = match cli.command {
        Command::Build { args, only, overwrite, dry_run: true, .. } => dry_run::run(&session, &args, &only, overwrite),
        Command::Build { args, only, overwrite, release, .. } => {
            build::run(&session, &args, &only, overwrite, &release)
        }
        Command::New(args) => new::run(&session, &args),
        Command::Lock(args) => lock::run(&session, &args),
        Command::Fetch { recipe, jobs } => fetch::run(&session, &recipe, jobs),
        Command::Check { recipe, locked } => check::run(&session, &recipe, locked),
        Command::Show(args) => show::run(&session, &args),
        Command::Graph(args) => graph::run(&session, &args),
        Command::Shell(args) => shell::run(&session, &args),
        Command::Kconfig(args) => kconfig::run(&session, &args),
        Command::Run(args) => boot::run(&session, &args),
        Command::Test(args) => boot::test(&session, &args),
        Command::Repro(args) => repro::run(&session, &args),
        Command::Inspect(args) => image::inspect(&session, &args),
        Command::Ls(args) => image::ls(&session, &args),
        Command::Cat(args) => image::cat(&session, &args),
        Command::Extract(args) => image::extract_command(&session, &args),
        Command::Diff(args) => diff::run(&session, &args),
        Command::Audit { args, cve } if cve.cve.is_empty() => audit::run(&session, &args),
        Command::Audit { args, cve } => vulnerabilities::run(&session, &args, &cve),
        Command::Sizes(args) => sizes::run(&session, &args),
        Command::Why(args) => why::run(&session, &args),
        Command::Vendor(args) => vendor::run(&session, &args),
        Command::Sign(args) => sign::run(&session, &args),
        Command::Verify(args) => verify::run(&session, &args),
        Command::Cache { command } => cache::run(&session, &command),
        Command::Schema(args) => documents::print_schema(&session, &args),
        Command::Completions(args) => documents::completions(&session, &args),
        Command::Man(args) => documents::man(&session, &args),
    };
    printer.finish();
    if let Some((status, text)) = interrupt.ended() {
        printer.note(&text);
        return ExitCode::from(status);
    }
    let status = status(result, &printer, &session);
    match printer.write_annotations() {
        Ok(()) => status,
        Err(error) => prose::fail(&printer, &CommandError::from(error)),
    }
}

fn status(result: CommandResult, printer: &printer::Printer, session: &session::CliSession<'_>) -> ExitCode {
    match result {
        Ok(()) if printer.could_print() => ExitCode::SUCCESS,
        Ok(()) => {
            printer.error("standard output could not be written: the output is incomplete");
            ExitCode::FAILURE
        }
        Err(failure) => prose::fail(printer, &session.failure(failure)),
    }
}

/// Why a command failed; its kind decides the exit status.
#[derive(Debug)]
enum CommandError {
    /// Wrong usage or recipe: exit status 2.
    Usage(anyhow::Error),
    /// A build or a test failed: exit status 1.
    Failed(anyhow::Error),
    /// A release is not what it should be: this exit status.
    Status(u8, anyhow::Error),
    /// It has been reported already: exit status 1.
    Reported,
}

impl<E: Into<anyhow::Error>> From<E> for CommandError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

type CommandResult = Result<(), CommandError>;

fn usage(error: impl Into<anyhow::Error>) -> CommandError {
    CommandError::Usage(error.into())
}

fn vendored(text: &str) -> Result<VendoredPlace, String> {
    match text {
        "" if std::env::var_os("DBCO_VENDOR").is_none() => Err("expected a folder, an archive or a URL".into()),
        text => Ok(VendoredPlace::parse(text)),
    }
}
