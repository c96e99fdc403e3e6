//! The paths of files. All are below one root, which is `/` except in tests.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

/// The classic folders.
#[derive(Debug, Clone)]
pub struct Paths {
    root: PathBuf,
    /// The path of the configuration, once it was determined.
    etc: OnceCell<PathBuf>,
}

impl Paths {
    /// The machine's paths.
    pub fn system() -> Paths {
        Paths::under(Path::new("/"))
    }

    /// Paths below a folder.
    pub fn under(root: &Path) -> Paths {
        Paths { root: root.to_owned(), etc: OnceCell::new() }
    }

    /// An absolute path from a configuration, on the host.
    pub fn at(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// `/etc/vz/vz.conf`, otherwise `/system/etc/vz/vz.conf`: the link `/etc/vz` is created at run time.
    pub fn global_conf(&self) -> PathBuf {
        self.etc().join("vz.conf")
    }

    fn etc(&self) -> &Path {
        self.etc.get_or_init(|| {
            let etc = self.at("/etc/vz");
            if etc.exists() { etc } else { self.at("/system/etc/vz") }
        })
    }

    /// `/etc/vz/conf`: containers' configurations, samples, action scripts.
    pub fn conf(&self) -> PathBuf {
        self.etc().join("conf")
    }

    /// `/etc/vz/conf/CTID.conf`
    pub fn container_conf(&self, id: u32) -> PathBuf {
        self.conf().join(format!("{id}.conf"))
    }

    /// `/etc/vz/conf/ve-NAME.conf-sample`
    pub fn sample(&self, name: &str) -> PathBuf {
        self.conf().join(format!("ve-{name}.conf-sample"))
    }

    /// `/etc/vz/names`
    pub fn names(&self) -> PathBuf {
        self.etc().join("names")
    }

    /// `/vz/running/CTID`: whether a container is running, or was when the power failed.
    pub fn running(&self, id: u32) -> PathBuf {
        self.at("/vz/running").join(id.to_string())
    }
}
