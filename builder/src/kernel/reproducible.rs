//! Settings of a kernel with which two builds of the same source differ.
//!
//! The table has what differs under dbco: in the sandbox paths, users, locale and time zone are fixed, sources have no git
//! repository and their files have one time. So `LOCALVERSION_AUTO`, `DEBUG_INFO` and its paths, and `INITRAMFS_SOURCE`
//! are not in it. Neither are `BUILD_SALT`, a text of the configuration, and `IKCONFIG`, which `gzip -n` packs; and
//! `IKHEADERS` follows `KBUILD_BUILD_TIMESTAMP` (kernel/gen_kheaders.sh), see [`variables`].

use super::fragment::SymbolValue;
use super::versions::Version;

/// A setting with which builds differ.
#[derive(Clone, Copy)]
pub struct UnstableSetting {
    /// Without `CONFIG_`.
    pub symbol: &'static str,
    /// The first version of Linux that it applies to, and the first that it does not apply to any more.
    pub versions: (Version, Option<Version>),
    /// What has to be the case besides that it is `y`.
    condition: fn(&Values<'_>) -> bool,
    /// Words of which one shows, in the component's scripts, variables or patches, that the remedy is applied.
    handled: &'static [&'static str],
    /// Why builds differ.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The values of a configuration; `None` for a symbol that it does not mention.
pub type Values<'a> = dyn Fn(&str) -> Option<SymbolValue> + 'a;

/// The default of `MODULE_SIG_KEY` (certs/Kconfig): a key that the build makes.
const MADE_KEY: &str = "certs/signing_key.pem";

fn key_is_made(values: &Values<'_>) -> bool {
    values("MODULE_SIG_KEY").is_none_or(|key| key == SymbolValue::Text(MADE_KEY.to_owned()))
}

fn key_is_given(values: &Values<'_>) -> bool {
    !key_is_made(values) && values("MODULE_SIG_KEY") != Some(SymbolValue::Text(String::new()))
}

fn always(_: &Values<'_>) -> bool {
    true
}

const SEED: &str = "a patch that makes scripts/gen-randstruct-seed.sh write a fixed seed (a file scripts/basic/randstruct.seed alone is \
                    overwritten), or do without it";
const SEED_FILE: &str =
    "a patch that adds scripts/gcc-plugins/randomize_layout_seed.h with a fixed seed, or do without it";
const KEY: &str = "set CONFIG_MODULE_SIG_KEY=\"\" and `# CONFIG_MODULE_SIG_ALL is not set`, and attach detached signatures \
                   (Documentation/kbuild/reproducible-builds.rst), or do without it";

/// The table.
pub const UNSTABLE: &[UnstableSetting] = &[
    UnstableSetting {
        symbol: "MODULE_SIG",
        versions: (Version::new(3, 7), None),
        condition: key_is_made,
        handled: &["signing_key.pem"],
        why: "the build makes a random key, whose certificate is in the kernel and whose signature in each module",
        remedy: KEY,
    },
    UnstableSetting {
        symbol: "IMA_APPRAISE_MODSIG",
        versions: (Version::new(5, 4), None),
        condition: key_is_made,
        handled: &["signing_key.pem"],
        why: "the build makes a random key, whose certificate is in the kernel",
        remedy: KEY,
    },
    UnstableSetting {
        symbol: "MODULE_SIG_KEY_TYPE_ECDSA",
        versions: (Version::new(5, 13), None),
        condition: |values| key_is_given(values) && values("MODULE_SIG_ALL") != Some(SymbolValue::No),
        handled: &[],
        why: "each signature with such a key has a random number",
        remedy: "use an RSA key, whose signatures (PKCS #1 v1.5) are the same each time",
    },
    UnstableSetting {
        symbol: "RANDSTRUCT_FULL",
        versions: (Version::new(5, 19), None),
        condition: always,
        handled: &["gen-randstruct-seed"],
        why: "the layout of structures follows a seed from /dev/urandom",
        remedy: SEED,
    },
    UnstableSetting {
        symbol: "RANDSTRUCT_PERFORMANCE",
        versions: (Version::new(5, 19), None),
        condition: always,
        handled: &["gen-randstruct-seed"],
        why: "the layout of structures follows a seed from /dev/urandom",
        remedy: SEED,
    },
    UnstableSetting {
        symbol: "GCC_PLUGIN_RANDSTRUCT",
        versions: (Version::new(4, 13), Some(Version::new(5, 19))),
        condition: always,
        handled: &["randomize_layout_seed"],
        why: "the layout of structures follows a seed from /dev/urandom",
        remedy: SEED_FILE,
    },
    UnstableSetting {
        symbol: "GCC_PLUGIN_LATENT_ENTROPY",
        versions: (Version::new(4, 9), None),
        condition: always,
        handled: &["-frandom-seed"],
        why: "the compiler puts random numbers from /dev/urandom into the code",
        remedy: "do without it, or pass a seed: KCFLAGS=-frandom-seed=WORD (from Linux 5.18)",
    },
    UnstableSetting {
        symbol: "GCOV_KERNEL",
        versions: (Version::new(2, 6), None),
        condition: always,
        handled: &["-frandom-seed"],
        why: "GCC puts the time of compilation, as a stamp, into each object that counts",
        remedy: "do without it, or pass a seed: KCFLAGS=-frandom-seed=WORD",
    },
    UnstableSetting {
        symbol: "DEBUG_INFO_BTF",
        versions: (Version::new(5, 16), None),
        condition: always,
        handled: &["PAHOLE_FLAGS", "reproducible_build"],
        why: "pahole (1.22 or later) encodes the types with several threads (-j), in the order in which these finish",
        remedy: "make PAHOLE_FLAGS=… without -j (scripts/pahole-flags.sh has the flags), or do without it",
    },
];

/// The settings with which builds differ. With an unknown version those of all versions apply. `handled` tells whether
/// the component's scripts, variables or patches have a word.
pub fn unstable(
    version: Option<Version>,
    values: &Values<'_>,
    handled: &dyn Fn(&str) -> bool,
) -> Vec<&'static UnstableSetting> {
    let applies = |setting: &&UnstableSetting| {
        let (from, until) = setting.versions;
        version.is_none_or(|version| from <= version && until.is_none_or(|until| version < until))
            && values(setting.symbol) == Some(SymbolValue::Yes)
            && (setting.condition)(values)
            && !setting.handled.iter().any(|word| handled(word))
    };
    UNSTABLE.iter().filter(applies).collect()
}

/// Variables of Kbuild without which builds differ, with the reason. The time is in the kernel's banner, in its
/// built-in initramfs and in the headers of `IKHEADERS`; the sandbox `chroot` has the host's name.
pub fn variables(version: Option<Version>) -> &'static [(&'static str, &'static str)] {
    // KBUILD_BUILD_TIMESTAMP exists since 2.6.39, and the others are as old.
    let known = version.is_none_or(|version| version >= Version::new(3, 0));
    let all = &[
        (
            "KBUILD_BUILD_TIMESTAMP",
            "export KBUILD_BUILD_TIMESTAMP=\"$(date -u -d \"@$SOURCE_DATE_EPOCH\")\" in `build`: otherwise the kernel has the time of the build",
        ),
        (
            "KBUILD_BUILD_HOST",
            "set it in `env`: otherwise the kernel has the host's name if tools run in a chroot, as in a container engine",
        ),
    ];
    if known { all } else { &[] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Config;

    fn symbols(version: &str, config: &str, scripts: &str) -> Vec<&'static str> {
        let config = Config::parse(config);
        let found =
            unstable(Version::parse(version), &|symbol| config.get(symbol).cloned(), &|word| scripts.contains(word));
        found.iter().map(|setting| setting.symbol).collect()
    }

    #[test]
    fn each_row_applies_to_its_versions_and_conditions() {
        assert_eq!(symbols("6.1", "CONFIG_MODULE_SIG=y\n", ""), ["MODULE_SIG"]);
        assert_eq!(
            symbols("6.1", "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY=\"certs/signing_key.pem\"\n", ""),
            ["MODULE_SIG"]
        );
        assert!(symbols("6.1", "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY=\"\"\n", "").is_empty());
        let given = "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_KEY=\"/deps/key/key.pem\"\n";
        assert!(symbols("6.1", given, "").is_empty());
        let ecdsa = format!("{given}CONFIG_MODULE_SIG_KEY_TYPE_ECDSA=y\n");
        assert_eq!(symbols("6.1", &ecdsa, ""), ["MODULE_SIG_KEY_TYPE_ECDSA"]);
        assert_eq!(symbols("6.1", "CONFIG_RANDSTRUCT_FULL=y\n", ""), ["RANDSTRUCT_FULL"]);
        assert!(symbols("6.1", "CONFIG_RANDSTRUCT_FULL=y\n", "+++ b/scripts/gen-randstruct-seed.sh").is_empty());
        assert!(symbols("6.1", "CONFIG_GCC_PLUGIN_RANDSTRUCT=y\n", "").is_empty());
        assert_eq!(symbols("5.10", "CONFIG_GCC_PLUGIN_RANDSTRUCT=y\n", ""), ["GCC_PLUGIN_RANDSTRUCT"]);
        assert_eq!(symbols("6.1", "CONFIG_GCC_PLUGIN_LATENT_ENTROPY=y\n", ""), ["GCC_PLUGIN_LATENT_ENTROPY"]);
        assert!(symbols("6.1", "CONFIG_GCOV_KERNEL=y\n", "KCFLAGS=-frandom-seed=x").is_empty());
        assert_eq!(symbols("6.1", "CONFIG_DEBUG_INFO_BTF=y\n", ""), ["DEBUG_INFO_BTF"]);
        let stable = "CONFIG_BUILD_SALT=\"x\"\nCONFIG_IKCONFIG=y\nCONFIG_IKHEADERS=y\nCONFIG_LOCALVERSION_AUTO=y\n# CONFIG_MODULE_SIG is not set\n";
        assert!(symbols("6.1", stable, "").is_empty());
    }

    #[test]
    fn the_table_names_each_symbol_once_per_version() {
        for (at, setting) in UNSTABLE.iter().enumerate() {
            assert!(UNSTABLE[..at].iter().all(|other| other.symbol != setting.symbol), "{}", setting.symbol);
            assert!(setting.symbol.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
        }
    }
}
