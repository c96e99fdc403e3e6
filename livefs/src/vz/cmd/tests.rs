//! Commands with a mock machine that records calls, in a temporary folder.

mod cases;
mod compatibility;
mod notes;
mod ploop;
mod scripts;
mod suspend;
mod suspended;

use super::main;
use crate::vz::log::Log;
use crate::vz::paths::Paths;
use notes::Notes;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// A machine in a folder, with a template.
pub(crate) struct World {
    folder: tempfile::TempDir,
    node: Notes,
}

/// In memory if possible: each file is flushed to disk, which takes time.
fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    pub(crate) fn new() -> World {
        let world = World { folder: folder(), node: Notes::default() };
        for folder in [
            "etc/vz/conf",
            "vz/private",
            "vz/template/cache",
            "system/live/ro/sbin",
            "system/live/ro/bin",
            "system/live/ro/etc",
        ] {
            fs::create_dir_all(world.at(folder)).unwrap();
        }
        let conf = "LOCKDIR=/vz/lock\nTEMPLATE=/vz/template\nVE_ROOT=/vz/root/$VEID\nVE_PRIVATE=/vz/private/$VEID\nCONFIGFILE=basic\nDEF_OSTEMPLATE=live\nDISK_QUOTA=yes\nVE_LAYOUT=simfs\n";
        fs::write(world.at("etc/vz/vz.conf"), conf).unwrap();
        fs::write(
            world.at("etc/vz/conf/ve-basic.conf-sample"),
            "# sample\nPHYSPAGES=\"0:256M\"\nNUMPROC=\"240:240\"\n",
        )
        .unwrap();
        fs::write(world.at("system/live/ro/sbin/init"), "").unwrap();
        fs::write(world.at("system/live/ro/bin/sh"), "").unwrap();
        world
    }
    pub(crate) fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }
    pub(crate) fn conf(&self, id: u32) -> String {
        fs::read_to_string(self.at(&format!("etc/vz/conf/{id}.conf"))).unwrap()
    }
    /// Runs a command line; words are split at spaces, `_` stands for a space within a word.
    pub(crate) fn run(&self, line: &str) -> (u8, String) {
        let words = line.split_whitespace().map(|word| word.replace('~', " ").into()).collect();
        let (code, log) = main(&Paths::under(self.folder.path()), Box::new(self.node.clone()), words, Log::captured());
        (code, log.taken().replace(&self.folder.path().display().to_string(), ""))
    }
    /// The complete output, including what precedes a command, as services have it. Afterwards nothing is running.
    pub(crate) fn after_a_cut(&self) -> crate::vz::context::Vz {
        self.node.0.borrow_mut().running.clear();
        self.vz()
    }
    pub(crate) fn vz(&self) -> crate::vz::context::Vz {
        let paths = Paths::under(self.folder.path());
        let global = crate::vz::context::Vz::global(&paths).unwrap();
        crate::vz::context::Vz { paths, node: Box::new(self.node.clone()), log: Log::captured(), global }
    }
    pub(crate) fn ok(&self, line: &str) -> String {
        let (code, said) = self.run(line);
        assert_eq!(code, 0, "vzctl {line}: {said}");
        said
    }
    pub(crate) fn migrate(&self, line: &str) -> (u8, String) {
        let words = line.split_whitespace().map(Into::into).collect();
        let paths = Paths::under(self.folder.path());
        let (code, log) = crate::vz::migrate::main(&paths, Box::new(self.node.clone()), words, Log::captured());
        (code, log.taken())
    }
    pub(crate) fn list(&self, line: &str) -> (u8, String) {
        let words = line.split_whitespace().map(Into::into).collect();
        let (code, log) = crate::vz::list::main(
            &Paths::under(self.folder.path()),
            Box::new(self.node.clone()),
            words,
            Log::captured(),
        );
        (code, log.taken())
    }
}

#[test]
fn a_lock_is_waited_for_only_if_it_is_a_keepers() {
    let world = World::new();
    world.ok("create 101");
    let lock = world.at("vz/lock/101.lck");
    let hold = |status: &str| fs::write(&lock, format!("{}\n{status}\n", std::process::id())).unwrap();
    hold("");
    assert_eq!(world.run("start 101").0, 9);
    hold("ended");
    let (given_back, lock) = (AtomicBool::new(false), &lock);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            given_back.store(true, Ordering::SeqCst);
            fs::remove_file(lock).unwrap();
        });
        world.ok("start 101");
        assert!(given_back.load(Ordering::SeqCst), "it has not been waited for");
    });
}

#[test]
fn wrong_command_lines() {
    let world = World::new();
    world.ok("create 101");
    for (line, code, text) in [
        ("", 20, "Usage: vzctl"),
        ("fly 101", 20, "! Bad command: fly"),
        ("start", 21, "! CT ID missing"),
        ("start nobody", 21, "! Bad CT ID nobody"),
        ("start 102", 14, "! Container config file does not exist"),
        ("start 101 --fast", 20, "! Option --fast is not applicable to start command"),
        ("stop 101 --wait", 20, "! Option --wait is not applicable to stop command"),
        ("stop 101", 0, "! Unable to stop: container is not running"),
        ("exec 101 ls", 8, "! Container is not running"),
        ("exec2 101 ls", 31, "! Container is not running"),
        ("runscript 101 /no/such/script", 11, "! Script not found: /no/such/script"),
        ("destroy 103", 14, "does not exist"),
        ("exec 101", 20, "! No command line given for exec"),
        ("enter 101 --exec", 20, "! No command line given for --exec"),
        ("runscript 101", 20, "! Script not specified"),
        ("umount 101", 40, "! CT is not mounted"),
        ("status 101 x", 20, "! Invalid options: x"),
        ("create 101", 44, "Private area already exists in /vz/private/101"),
        ("create 102 --ostemplate nothing", 91, "not found"),
        ("create 102 --layout ploop", 63, "Error: diskspace not set (required for ploop)"),
        ("create 102 --layout ploop:thin", 21, "! Bad parameter for --layout: ploop:thin"),
        (
            "create 102 --config none",
            82,
            "! Sample config /etc/vz/conf/ve-none.conf-sample not found: No such file or directory\n! Creation of container private area failed\n",
        ),
        ("create 101 --config basic", 82, "already exists, can not use --config option"),
        ("create 102 --ipadd 1.2.3", 21, "! Bad parameter for --ipadd: 1.2.3"),
        ("create 102 --color red", 21, "! vzctl: unrecognized option '--color'"),
        ("convert 101", 63, "Error: diskspace not set"),
        ("convert 101 --layout simfs", 21, "! Only conversion to ploop is supported"),
        ("compact 101", 0, "Compact only makes sense for ploop containers"),
        ("suspend 101", 31, "container is not running"),
        ("suspend 101 --dumpfile /x", 31, "container is not running"),
        ("suspend 101 --kill", 16, "not suspended"),
        ("suspend 101 --suspend --resume", 20, "only one sub command may be used"),
        ("resume 101 --dumpfile /x", 17, "Unable to open /x: No such file or directory"),
        ("snapshot 101", 156, "only available for CTs of layout ploop, overlay or app"),
        ("snapshot-switch 101", 20, "! Invalid syntax: snapshot id is missing"),
        ("quotaon 101", 63, "! Error: Not enough parameters, diskspace quota not set"),
        ("set 101 --ram lots --save", 21, "! Bad parameter for --ram: lots"),
        ("set 101 --name web", 131, "! Error: unable to use --name option without --save"),
        ("set 101 --setmode restart", 20, "--setmode restart doesn't make sense without --save flag"),
        ("set 101 --force", 20, "! Error: --force is useless without --save"),
        ("set 101 --reset_ub --save", 20, "! Error: option --reset_ub is exclusive"),
        ("set 101 --nodemask 0 --save", 20, "! Error: option --nodemask requires --cpumask"),
        ("set 101 --applyconfig none --save", 109, "Sample config file not found"),
        ("set 101 --numproc 5", 31, "not running"),
        ("set 101 --cpulimit 101% --save", 21, "! Bad parameter for --cpulimit: 101%"),
        ("set 101 --ipadd 10.0.0.1/255.255.255.0 --save", 21, "! Bad parameter for --ipadd: 10.0.0.1/255.255.255.0"),
        ("set 101 --bridge br0 --save", 20, "! Invalid usage.  Option --ifname not specified"),
        ("set 101 --ifname eth7 --mac_filter on --save", 20, "not configured, use --netif_add option first"),
        ("set 101 --netif_add eth0,1:2 --save", 21, "! Invalid container MAC address length"),
        (
            "set 101 --features fly:on --save",
            21,
            "Warning: Unknown feature: fly:on\n! Bad parameter for --features: fly:on",
        ),
        ("set 101 --netif_del eth7 --save", 0, "CT configuration saved"),
        ("start 0", 21, "! Only set actions are allowed for CT0"),
        ("set 101 extra --save", 20, "! Invalid extra arguments: extra"),
    ] {
        let (got, said) = world.run(line);
        assert_eq!(got, code, "vzctl {line}: {said}");
        assert!(said.contains(text), "vzctl {line}: {said}");
    }
    fs::remove_file(world.at("etc/vz/vz.conf")).unwrap();
    assert_eq!(world.run("start 101").0, 10);
}

#[test]
fn start_and_stop() {
    let world = World::new();
    world.ok("create 101 --hostname web.example.org --ipadd 10.0.0.1 --name web");
    let conf = "# sample\nPHYSPAGES=\"0:256M\"\nNUMPROC=\"240:240\"\nIP_ADDRESS=\"10.0.0.1\"\nHOSTNAME=\"web.example.org\"\nVE_ROOT=\"/vz/root/$VEID\"\nVE_PRIVATE=\"/vz/private/$VEID\"\nVE_LAYOUT=\"simfs\"\nOSTEMPLATE=\"live\"\nORIGIN_SAMPLE=\"basic\"\nNAME=\"web\"\n";
    assert_eq!(world.conf(101), conf);
    assert_eq!(world.ok("status web"), "CTID 101 exist unmounted down\n");
    assert_eq!(world.ok("status 102"), "CTID 102 deleted unmounted down\n");
    assert_eq!(world.ok("start web"), "Starting container...\nContainer is mounted\nContainer start in progress...\n");
    assert_eq!(world.node.taken(), ["start 101 /sbin/init"]);
    assert_eq!(world.ok("status web"), "CTID 101 exist mounted running\n");
    assert_eq!(world.run("start 101"), (32, "! Container is already running\n".into()));
    assert_eq!(world.run("destroy 101").0, 32);
    assert_eq!(world.run("umount 101").0, 32);
    assert!(crate::vz::mark::runs(&world.at("vz/running/101")));
    world.node.0.borrow_mut().exit = 3;
    assert_eq!(world.run("exec 101 false  x"), (8, String::new()));
    assert_eq!(world.run("exec2 101 false"), (3, String::new()));
    assert_eq!(world.node.taken(), ["exec 101 /bin/sh|-c|false x", "exec 101 /bin/sh|-c|false"]);
    world.node.0.borrow_mut().exit = 0;
    world.ok("chkpnt 101 --suspend");
    assert_eq!(world.ok("status 101"), "CTID 101 exist mounted running suspended\n");
    assert_eq!(world.run("chkpnt 101 --suspend").0, 16);
    world.ok("resume 101");
    assert_eq!(world.run("resume 101").0, 32);
    fs::write(world.at("etc/vz/conf/101.stop"), "sync\n").unwrap();
    world.ok("set 101 --stop-timeout 7 --save");
    let said = world.ok("stop 101");
    assert_eq!(said, "Stopping container ...\nContainer was stopped\nContainer is unmounted\n");
    assert_eq!(world.node.taken(), ["exec 101 /bin/sh|-s <sync", "halt 101 7"]);
    assert!(!crate::vz::mark::runs(&world.at("vz/running/101")));
    world.ok("set 101 --disabled yes --save");
    assert_eq!(world.run("start 101"), (105, "! Container start disabled\n".into()));
    world.ok("start 101 --force --wait");
    world.ok("stop 101 --fast");
    world.ok("destroy 101");
    assert!(!world.at("vz/private/101").exists());
    assert!(world.at("etc/vz/conf/101.conf.destroyed").exists());
    assert_eq!(world.run("status web").0, 21, "its name is free");
    assert_eq!(fs::read_dir(world.at("vz/lock")).unwrap().count(), 0);
}

#[test]
fn ended_from_inside() {
    let world = World::new();
    world.ok("create 101");
    // Process 1 ends without a command of vzctl's.
    let end = |how: &str| {
        let pid = world.node.0.borrow().left[&101];
        world.node.0.borrow_mut().running.remove(&101);
        world.node.taken();
        world.ok(&format!("ended 101 {pid} {how}"))
    };
    world.ok("start 101");
    assert!(end("reboot").contains("Container start in progress..."));
    assert_eq!(world.node.taken(), ["start 101 /sbin/init"]);
    assert!(crate::vz::mark::runs(&world.at("vz/running/101")));
    // One that may not be started any more still restarts while it is running.
    world.ok("set 101 --disabled yes --save");
    assert!(end("reboot").contains("Container start in progress..."));
    end("killed");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert!(crate::vz::mark::runs(&world.at("vz/running/101")), "it starts again with the machine");
    world.ok("start 101 --force");
    end("halt");
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    assert!(!crate::vz::mark::runs(&world.at("vz/running/101")));
    // Another process has cleaned it up or started it meanwhile: it is left alone.
    world.ok("start 101 --force");
    let pid = world.node.0.borrow().left[&101];
    assert_eq!(world.ok(&format!("ended 101 {} reboot", pid - 1)), "");
    assert_eq!(world.ok(&format!("ended 101 {pid} halt")), "", "it runs");
    world.ok("stop 101");
    assert_eq!(world.ok(&format!("ended 101 {pid} reboot")), "");
    assert_eq!(world.run("ended 101 1 somehow").0, 20);
}

#[test]
fn no_init_and_failing_scripts() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    world.ok("create 101");
    let script = world.at("etc/vz/conf/101.mount");
    fs::write(&script, "#!/bin/sh\n[ \"$VEID\" = 101 ] && [ -f \"$VE_CONFFILE\" ] && exit 1\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(world.run("mount 101").0, 79);
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    fs::remove_file(script).unwrap();
    fs::remove_file(world.at("vz/private/101/sbin/init")).unwrap();
    let (code, said) = world.run("start 101");
    assert_eq!(code, 47, "{said}");
    assert!(said.contains("! Unable to start init, probably incorrect template"));
    assert_eq!(world.ok("status 101"), "CTID 101 exist unmounted down\n");
    fs::remove_dir_all(world.at("vz/private/101")).unwrap();
    assert_eq!(world.run("start 101").0, 43);
}

#[test]
fn a_containers_own_tree_tells_nothing() {
    let world = World::new();
    world.ok("create 101 --layout simfs");
    // Its root makes it look like an overlay over the host, with unfinished work.
    let private = world.at("vz/private/101");
    let id = "{00000000-0000-0000-0000-00000000000a}";
    let text = format!(
        r#"{{"template":"/","base":"{id}","current":"{id}","all":[{{"id":"{id}","below":null,"parent":null,"date":"","name":"","description":""}}]}}"#
    );
    fs::write(private.join("Snapshots.json"), text).unwrap();
    for own in ["upper", "work/work", "mine.creating"] {
        fs::create_dir_all(private.join(own)).unwrap();
    }
    world.ok("start 101");
    assert_eq!(fs::read_link(world.at("vz/root/101")).unwrap(), private, "the tree itself is bound");
    assert_eq!(world.run("snapshot 101").0, 156);
    world.ok("stop 101");
    assert!(crate::vz::recovery::sweep(&world.after_a_cut()).unwrap().is_empty());
    for own in ["upper", "work/work", "mine.creating"] {
        assert!(private.join(own).is_dir(), "{own} is the container's");
    }
}

#[test]
fn settings() {
    let world = World::new();
    world.ok("create 101");
    // A password is set inside immediately, whatever else can't be applied to a stopped container.
    world.ok("set 101 --userpasswd root:x");
    world.node.taken();
    world.ok("set 101 --ram 512M --swap 1G --cpuunits 2000 --ipadd 10.0.0.1 --ipadd 10.0.0.2/24 --netif_add eth0,,,,br0 --capability sys_time:on --devnodes null:rwq --nameserver 10.0.0.9 --nameserver 10.0.0.8 --onboot yes --save");
    let conf = world.conf(101);
    for line in [
        "PHYSPAGES=\"0:131072\"",
        "SWAPPAGES=\"0:262144\"",
        "CPUUNITS=\"2000\"",
        "IP_ADDRESS=\"10.0.0.1 10.0.0.2/24\"",
        "CAPABILITY=\"SYS_TIME:on\"",
        "DEVNODES=\"null:rwq \"",
        "NAMESERVER=\"10.0.0.9 10.0.0.8\"",
        "ONBOOT=\"yes\"",
        "# sample",
    ] {
        assert!(conf.lines().any(|one| one == line), "{line} in {conf}");
    }
    let netif = conf.lines().find_map(|line| line.strip_prefix("NETIF=")).unwrap();
    assert!(
        netif.starts_with("\"ifname=eth0,bridge=br0,mac=00:18:51:")
            && netif.contains(",host_ifname=veth101.0,host_mac="),
        "{netif}"
    );
    assert!(world.node.taken().is_empty(), "nothing to apply in one that is stopped");
    world.ok("set 101 --ipdel 10.0.0.1 --devnodes null:none --capability mknod:off,sys_time:off --save");
    let conf = world.conf(101);
    assert!(
        conf.contains("IP_ADDRESS=\"10.0.0.2/24\"")
            && conf.contains("DEVNODES=\"\"")
            && conf.contains("CAPABILITY=\"SYS_TIME:off MKNOD:off\"")
    );
    world.ok("set 101 --ipdel all --save");
    world.ok("start 101");
    world.node.taken();
    assert_eq!(
        fs::read_to_string(world.at("vz/private/101/etc/resolv.conf")).unwrap(),
        "nameserver 10.0.0.9\nnameserver 10.0.0.8\n"
    );
    let before = world.conf(101);
    let said = world.ok("set 101 --numproc 300");
    assert_eq!(
        said,
        "UB limits were set successfully\nWARNING: Settings were not saved to config and will be lost after CT restart (use --save flag)\n"
    );
    assert_eq!(world.node.taken(), ["apply NUMPROC"]);
    assert_eq!(world.conf(101), before);
    let (code, said) = world.run("set 101 --features bridge:on --numproc 9 --save --setmode ignore");
    assert_eq!(code, 32);
    assert!(said.contains("! Unable to set features on a running container\n"), "{said}");
    assert!(said.contains("not saving configuration file!"), "{said}");
    assert_eq!((world.conf(101), world.node.taken().len()), (before, 0));
    let said = world.ok("set 101 --features bridge:on --capability sys_time:on --save");
    assert!(said.contains("Please consider using --setmode option"), "{said}");
    assert!(said.contains("! Unable to set capability on a running container\n! Unable to set features"), "{said}");
    world.ok("set 101 --features nfs:on --save");
    assert!(world.conf(101).contains("FEATURES=\"nfs:on bridge:on\""));
    world.node.taken();
    world.ok("set 101 --features bridge:off --save --setmode restart");
    assert_eq!(world.node.taken(), ["halt 101 120", "start 101 /sbin/init"]);
    let said = world.ok("set 101 --cpuunits 3000 --ipadd 10.0.0.7 --ipdel 10.0.0.2 --iolimit 10 --meminfo pages:9 --pci_add 1:2.3 --save");
    for line in [
        "Deleting IP address(es): 10.0.0.2\nAdding IP address(es): 10.0.0.7\nSetting CPU units: 3000\n",
        "Setting iolimit: 10485760 bytes/sec\n",
        "! Warning: meminfo is not supported by the kernel",
        "CT configuration saved to /etc/vz/conf/101.conf\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(world.conf(101).contains("PCI=\"0000:01:02.3\"") && world.conf(101).contains("MEMINFO=\"pages:9\""));
    assert_eq!(world.run("set 101 --private /vz/x --save").0, 32);
    world.node.taken();
    world.ok("set 101 --userpasswd root:se'cret");
    let notes = world.node.taken();
    assert!(notes[0].ends_with("exec chpasswd\n <root:se'cret"), "{notes:?}");
    assert!(!world.conf(101).contains("cret"));
    world.node.0.borrow_mut().exit = 1;
    assert_eq!(world.run("set 101 --userpasswd root:x").0, 74);
    assert_eq!(world.run("set 101 --userpasswd ro;ot:x").0, 21);
    world.ok("set 101 --reset_ub");
    assert!(world.node.taken().iter().any(|note| note.starts_with("apply KMEMSIZE")));
}

#[test]
fn snapshots() {
    let world = World::new();
    world.ok("create 101 --layout overlay");
    let file = world.at("vz/private/101/upper/a");
    let ids = ["{00000000-0000-0000-0000-00000000000a}", "{00000000-0000-0000-0000-00000000000b}"];
    fs::write(&file, "one").unwrap();
    let said = world.ok(&format!("snapshot 101 --id {} --name first", ids[0]));
    assert_eq!(said, format!("Creating snapshot {0}\nSnapshot {0} has been successfully created\n", ids[0]));
    assert!(!file.exists(), "it is in the layer now");
    assert_eq!(world.run(&format!("snapshot 101 --id {}", ids[0])).0, 21);
    // A mounted one keeps its upper folder.
    fs::write(&file, "two").unwrap();
    world.ok("mount 101");
    world.ok(&format!("snapshot 101 --id {}", ids[1]));
    assert_eq!(fs::read_to_string(&file).unwrap(), "two");
    world.ok("umount 101");
    let listed = world.ok("snapshot-list 101 -o uuid,current,name -H");
    assert_eq!(listed, format!("{}   first\n{} *\n", ids[0], ids[1]));
    fs::write(&file, "three").unwrap();
    world.ok(&format!("snapshot-switch 101 --id {}", ids[0]));
    assert!(!file.exists());
    world.ok(&format!("snapshot-delete 101 --id {}", ids[0]));
    assert!(
        world.at("vz/private/101/layers/00000000-0000-0000-0000-00000000000a").exists(),
        "the other and the changes lie on it"
    );
    assert_eq!(world.run(&format!("snapshot-delete 101 --id {}", ids[0])).0, 158);
    world.ok(&format!("snapshot-switch 101 --id {}", ids[1]));
    world.ok(&format!("snapshot-delete 101 --id {}", ids[1]));
    assert_eq!(world.ok("snapshot-list 101 -H"), "");
    assert_eq!(world.run(&format!("snapshot-switch 101 --id {}", ids[1])).0, 159);
}

#[test]
fn listed() {
    let world = World::new();
    assert_eq!(world.list(""), (0, "! Container(s) not found\n".into()));
    assert_eq!(world.list("-j"), (0, "[]\n".into()));
    world.ok("create 101 --hostname web.example.org --ipadd 10.0.0.1 --ipadd 10.0.0.2 --name web");
    world.ok("create 102 --hostname mail.example.org");
    world.ok("start 101");
    let header = "      CTID      NPROC STATUS    IP_ADDR         HOSTNAME\n";
    let web = "       101         12 running   10.0.0.1        web.example.org\n";
    let mail = "       102          - stopped   -               mail.example.org\n";
    assert_eq!(world.list(""), (0, format!("{header}{web}")));
    assert_eq!(world.list("-a"), (0, format!("{header}{web}{mail}")));
    assert_eq!(world.list("-a -H -s -ctid"), (0, format!("{mail}{web}")));
    assert_eq!(world.list("-S -H"), (0, mail.into()));
    assert_eq!(world.list("-a1"), (0, "       101\n       102\n".into()));
    assert_eq!(world.list("-aH -h mail*"), (0, mail.into()));
    assert_eq!(world.list("-H -o name,ip web"), (0, "web                              10.0.0.1 10.0.0.2\n".into()));
    assert_eq!(
        world.list("-H -o numproc.m,numproc.b,numproc.l,numproc.f,physpages.l,uptime 101").1,
        "        15        240        240          0      65536 001d02h:03m:04s\n"
    );
    // If the kernel reports the limit of a counter, it is shown.
    assert_eq!(world.list("-H -o numfile,numfile.b,numfile.l 101").1, "        12       1024       2048\n");
    assert_eq!(
        world.list("-aH -o ctid,laverage -s laverage").1,
        "       102              -\n       101 0.50/0.25/1.00\n"
    );
    let json = "[\n  {\n    \"ctid\": 101,\n    \"ip\": [\"10.0.0.1\", \"10.0.0.2\"],\n    \"numproc\": {\n      \"held\": 12,\n      \"maxheld\": 15,\n      \"barrier\": 240,\n      \"limit\": 240,\n      \"failcnt\": 0\n    }\n  }\n]\n";
    assert_eq!(world.list("-j -o ctid,ip,numproc"), (0, json.into()));
    let all: serde_json::Value = serde_json::from_str(&world.list("-a -j").1).unwrap();
    assert_eq!(all[1]["hostname"], "mail.example.org");
    // Each of these takes time for each container: only what is shown or sorted by is read.
    world.node.taken();
    for (arguments, read) in [
        ("-a", "threads 101"),
        ("-a -j -o numproc", "counters 101"),
        ("-o numproc,numfile", "counters 101"),
        ("-a1", ""),
        ("-o status,hostname,ip", ""),
        ("-o ctid -s uptime", "uptimes"),
        ("-o numproc,laverage", "threads 101 load 101"),
    ] {
        world.list(arguments);
        assert_eq!(world.node.taken().join(" "), read, "vzlist {arguments}");
    }
    assert_eq!(world.list("-o color"), (1, "! Unknown field: color\n".into()));
    assert_eq!(world.list("-s color"), (1, "! Invalid sort field name: color\n".into()));
    assert_eq!(world.list("-j -o numproc.m").0, 1);
    assert_eq!(world.list("nobody"), (1, "! CT ID nobody is invalid.\n".into()));
    assert_eq!(world.list("103").0, 1);
    assert!(world.list("-L").1.starts_with("ctid            CTID           \n"));
}
