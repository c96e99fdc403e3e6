//! Executions on this machine: folders of the store, and commands in a sandbox.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Mutex;

use super::{CommandFailure, Executed, ExecutionError, ExecutionObserver, ExecutionProgress, Executor};
use crate::beneath::{BeneathError, Dir, Links};
use crate::digest::{self, Digest};
use crate::execution::{
    BUILD, DEPS, Execution, ExecutionInput, IN, InputContent, Invocation, OutputForm, OutputPath, Stdin, Workspace,
};
use crate::image::content::place;
use crate::image::tar::write_tar;
use crate::image::{Contents, ImageError, rooted};
use crate::path_error::FromPathError as _;
use crate::process::Feed;
use crate::rootfs::{lay_out, read_built};
use crate::sandbox::{Bind, SandboxError};
use crate::store::{Blob, Output, Store, StoreError};
use crate::tree::{Node, Tree};

/// A command to run, for a [`CommandRunner`].
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The root: the digest of its step's key.
    pub root: &'a Digest,
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Variables beside those that every tool has.
    pub env: &'a BTreeMap<String, String>,
    /// Its working folder: a path inside.
    pub cwd: &'a str,
    /// The folders that it sees.
    pub binds: &'a [Bind],
}

/// Runs single commands.
pub trait CommandRunner: Sync {
    /// Runs a command until it exits, with `feed` on its standard input; any result other than exit status 0 is an error. Each
    /// line of its output is passed to `watch`.
    fn run(&self, call: Call<'_>, feed: Option<Feed<'_>>, watch: &(dyn Fn(&str) + Sync)) -> Result<(), SandboxError>;
}

/// Runs executions on this machine.
pub struct Local<'a> {
    /// The store, for the folders and the outputs.
    pub store: &'a Store,
    /// The contents of trees.
    pub contents: &'a dyn Contents,
    /// Runs the commands.
    pub runner: &'a dyn CommandRunner,
}

impl Executor for Local<'_> {
    fn execute(&self, execution: Execution, watch: ExecutionObserver<'_>) -> Result<Executed, ExecutionError> {
        let Execution { root, workspace, inputs, env, cwd, commands, outputs } = execution;
        let mut workspace = match workspace {
            Some(workspace) => workspace,
            None => Workspace::new(self.store.work_dir()?)?,
        };
        // It is removed at the end, so later executions do not see it.
        let work = self.store.work_dir()?;
        let read = Dir::open(work.path(), Links::Never).map_err(BeneathError::of("open", work.path()))?;
        for ExecutionInput { path, content } in inputs {
            if workspace.is_new(&path) {
                let top = if Path::new(&path).starts_with(IN) { &read } else { workspace.top() };
                self.put(top, &path, &content)?;
            }
        }
        let mut binds = Vec::new();
        for (top, inside, writable) in
            [(workspace.top(), BUILD, true), (workspace.top(), DEPS, false), (&read, IN, false)]
        {
            if top.stat(&inside[1..])?.is_some() {
                let host = top.dir(&inside[1..])?.host_path().to_owned();
                binds.push(Bind { host, inside: inside.to_owned(), writable });
            }
        }
        for (index, command) in commands.into_iter().enumerate() {
            let Invocation { makes, title, argv, stdin } = command;
            if let Some(title) = &title {
                watch(ExecutionProgress::Started(title));
            }
            let call = Call { root: &root, argv: &argv, env: &env, cwd: &cwd, binds: &binds };
            let line = |text: &str| watch(ExecutionProgress::Line { command: index, text });
            let ended = self.run(call, stdin, &line)?;
            ended.map_err(|source| CommandFailure { command: index, makes, source })?;
        }
        let outputs = outputs.into_iter().map(|output| self.keep(&workspace, output)).collect::<Result<_, _>>()?;
        Ok(Executed { outputs, workspace })
    }
}

impl Local<'_> {
    /// The inner error is that of the command, the outer one that of its input.
    fn run(
        &self,
        call: Call<'_>,
        stdin: Stdin,
        line: &(dyn Fn(&str) + Sync),
    ) -> Result<Result<(), SandboxError>, ExecutionError> {
        match stdin {
            Stdin::Empty => Ok(self.runner.run(call, None, line)),
            Stdin::LineBreaks => Ok(self.runner.run(call, Some(Box::new(line_breaks)), line)),
            Stdin::Tar { tree, epoch } => {
                // An error in the tree is more informative than one that says that the tool's input ended early.
                let failure = Mutex::new(None);
                let feed = |out: &mut dyn Write| {
                    write_tar(&tree, self.contents, epoch, out).map_err(|error| match error {
                        ImageError::Write(source) => source,
                        other => {
                            let text = io::Error::other(other.to_string());
                            *failure.lock().unwrap_or_else(|e| e.into_inner()) = Some(other);
                            text
                        }
                    })
                };
                let ended = self.runner.run(call, Some(Box::new(feed)), line);
                match failure.into_inner().unwrap_or_else(|e| e.into_inner()) {
                    Some(error) => Err(error.into()),
                    None => Ok(ended),
                }
            }
        }
    }

    fn put(&self, top: &Dir, path: &str, content: &InputContent) -> Result<(), ExecutionError> {
        let to = path.trim_start_matches('/');
        match content {
            InputContent::Bytes(bytes) => {
                if let Some((folder, _)) = to.rsplit_once('/') {
                    top.make_dir(folder)?;
                }
                top.write(to, bytes)?;
            }
            InputContent::Files(tree) => put_files(tree, self.contents, &top.make_dir(to)?)?,
            InputContent::Tree { tree, time } => lay_out(tree, self.contents, &top.make_dir(to)?, *time)?,
        }
        Ok(())
    }

    /// Looks the folders up again, as the commands may have replaced them.
    fn keep(&self, workspace: &Workspace, output: OutputPath) -> Result<(String, Output), ExecutionError> {
        let OutputPath { name, path, form } = output;
        let build = workspace.build();
        let kept = match form {
            OutputForm::File => keep_file(self.store, build, &path).map(Output::from),
            OutputForm::LinkedFile => keep_file(self.store, &build.following(Links::Within), &path).map(Output::from),
            OutputForm::Tree => self.keep_tree(build, &path),
        };
        match kept {
            Ok(output) => Ok((name, output)),
            Err(ExecutionError::Beneath(error)) if error.is_missing() => Err(ExecutionError::NoOutput { name, path }),
            Err(error) => Err(error),
        }
    }

    fn keep_tree(&self, dir: &Dir, path: &str) -> Result<Output, ExecutionError> {
        let mut batch = self.store.batch()?;
        let tree = read_built(&dir.dir(path)?, &mut batch)?;
        batch.commit()?;
        Ok(Output::Tree { digest: self.store.add_tree(&tree)? })
    }
}

/// Stores a file that a tool or an archive made.
pub fn keep_file(store: &Store, dir: &Dir, path: &str) -> Result<Blob, ExecutionError> {
    let mut file = dir.open_file(path)?;
    let mut writer = store.blob_writer()?;
    digest::copy(&mut file, &mut writer).map_err(StoreError::io("copy", Path::new(path)))?;
    let (digest, size) = writer.commit()?;
    Ok(Blob { digest, size })
}

/// Places regular files and folders in a folder.
fn put_files(tree: &Tree, contents: &dyn Contents, to: &Dir) -> Result<(), ExecutionError> {
    let links = tree.hard_links();
    for item in rooted(tree) {
        let (path, entry) = item?;
        match &entry.node {
            Node::Dir => drop(to.make_dir(path.as_str())?),
            Node::File { blob, size } => match links.earlier(&path, &entry) {
                Some(first) => to.hard_link(first.as_str(), path.as_str())?,
                None => place(contents, &path, blob, *size, (to, path.as_str()))?,
            },
            _ => {
                let what = "only files and folders can be inputs of a tool".to_owned();
                return Err(ImageError::CantHold { format: "a folder of inputs", path, what }.into());
            }
        }
    }
    Ok(())
}

/// The default answer to every question, until the reader ends.
fn line_breaks(out: &mut dyn Write) -> io::Result<()> {
    let lines = [b'\n'; 1024];
    loop {
        match out.write_all(&lines) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}
