//! The assumptions of scripts for OpenVZ machines.

use super::World;
use std::fs;

#[test]
fn what_a_script_relies_on() {
    let world = World::new();
    let conf = world.at("etc/vz/conf/101.conf");
    let add = |path: &std::path::Path, text: &str| {
        fs::write(path, fs::read_to_string(path).unwrap() + text).unwrap();
    };
    // The stock file of OpenVZ contains these.
    add(&world.at("etc/vz/vz.conf"), "LOCAL_UID=100000\nLOCAL_GID=100000\nHOSTNAME=host\nNAMESERVER=inherit\n");
    // A separate volume is an empty folder.
    fs::create_dir_all(world.at("vz/private/101")).unwrap();
    world.ok("create 101");
    assert_eq!(world.node.taken().len(), 0, "no owners are shifted");
    world.ok("start 101");
    world.ok("mount 101");
    world.ok("stop 101");
    world.ok("stop 101");
    assert_eq!(world.list("-H -a -o hostname,nameserver").1, "-                                -\n");
    // One invalid line, and repeated keys.
    add(&conf, "CPULIMIT=\"abc\"\nVE_PRIVATE=/vz/private/other\nNUMPROC=\"7\"\n");
    let said = world.ok("set 101 --onboot yes --onboot no --iptables ipt_state --iptables ipt_LOG --save");
    assert!(said.contains("invalid value for CPULIMIT (\"abc\"), skipped"), "{said}");
    assert!(said.contains("duplicate for VE_PRIVATE (\"/vz/private/other\"), ignored"), "{said}");
    let text = world.conf(101);
    assert!(
        text.contains("ONBOOT=\"yes\"") && text.contains("IPTABLES=\"ip_tables ipt_LOG ip_conntrack ipt_state \""),
        "{text}"
    );
    world.ok("set 101 --applyconfig basic --save");
    assert!(world.conf(101).contains("ORIGIN_SAMPLE=\"basic\""));
    world.ok("destroy 101");
    assert!(world.at("etc/vz/conf/101.conf.destroyed").exists());
    world.ok("create 101");
    assert!(!world.at("etc/vz/conf/101.conf.destroyed").exists(), "it is another container's");
    assert!(world.run("set 101 --onboot yes").1.contains("UBC parameters: container is not running"));
    // Leftovers of another machine are not shown.
    fs::write(world.at("etc/vz/conf/102.conf"), "").unwrap();
    assert_eq!(world.list("-aH1").1, "       101\n");
    assert_eq!(world.list("-aj -o vpsid,veid,numproc").1.matches("101").count(), 2);
    // The host's own limits are stored.
    let said = world.ok("set 0 --numproc 100 --save");
    assert!(said.contains("! Warning: limits of the host itself"), "{said}");
    assert_eq!(fs::read_to_string(world.at("etc/vz/conf/0.conf")).unwrap(), "NUMPROC=\"100\"\n");
}

#[test]
fn creation_runs_the_hosts_script() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let script = world.at("etc/vz/conf/vps.create");
    let write = |end: &str| {
        let text = format!(
            "#!/bin/sh\nenv | sort >{0}/env.$VEID\ntest -f $VE_CONFFILE || exit 9\n{end}\n",
            world.at("").display()
        );
        fs::write(&script, text).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    };
    write("exit 0");
    world.ok("create 101 --name web");
    let env = fs::read_to_string(world.at("env.101")).unwrap();
    let names: Vec<&str> = env
        .lines()
        .filter_map(|line| line.split('=').next())
        .filter(|name| !["PWD", "SHLVL", "_", "OLDPWD"].contains(name))
        .collect();
    assert_eq!(names, ["HOME", "PATH", "TERM", "VEID", "VE_CONFFILE"], "nothing of ours");
    write("exit 1");
    let (code, said) = world.run("create 102 --name mail");
    assert_eq!(code, 79);
    assert!(said.contains("User create script /etc/vz/conf/vps.create exited with error\n"), "{said}");
    assert!(said.ends_with("! Creation of container private area failed\n"), "{said}");
    assert!(!world.at("vz/private/102").exists() && !world.at("etc/vz/conf/102.conf").exists());
    assert_eq!(world.run("status mail").0, 21, "its name is free");
}

/// Whether a value matches a schema; supports the parts of JSON Schema that ours uses.
fn fits(schema: &serde_json::Value, value: &serde_json::Value) -> bool {
    use serde_json::Value;
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let named = |name: &Value| name == kind || (name == "number" && kind == "integer");
    let typed = match &schema["type"] {
        Value::Array(all) => all.iter().any(named),
        one => named(one),
    };
    let listed = schema["enum"].as_array().is_none_or(|all| all.contains(value));
    let inner = match value {
        Value::Array(all) => all.iter().all(|one| fits(&schema["items"], one)),
        Value::Object(all) => {
            let needed = schema["required"].as_array().into_iter().flatten();
            needed.into_iter().all(|key| all.contains_key(key.as_str().unwrap()))
                && all.iter().all(|(key, one)| match schema["properties"].get(key) {
                    Some(schema) => fits(schema, one),
                    None => schema["additionalProperties"].is_object() && fits(&schema["additionalProperties"], one),
                })
        }
        _ => true,
    };
    typed && listed && inner
}

#[test]
fn the_schema_of_vzlist() {
    let world = World::new();
    let schema: serde_json::Value = serde_json::from_str(include_str!("../../../../vzlist.schema.json")).unwrap();
    world.ok("create 101 --name web --hostname web.example.org --ipadd 10.0.0.1 --diskspace 1G");
    world.ok("set 101 --features nfs:on --capability kill:off --onboot yes --bootorder 3 --cpuunits 1000 --netfilter full --save");
    world.ok("create 102");
    world.ok("start 101");
    let read = |line: &str| -> serde_json::Value { serde_json::from_str(&world.list(line).1).unwrap() };
    let all = read("-aj");
    assert!(fits(&schema, &all), "{all}");
    assert!(fits(&schema, &read("-aj -o ip,netfilter")));
    let keys: Vec<&String> = all[0].as_object().unwrap().keys().collect();
    let known: Vec<&String> = schema["items"]["properties"].as_object().unwrap().keys().collect();
    assert_eq!(keys, known, "every field is in the schema");
    assert!(
        !fits(&schema, &serde_json::json!([{ "ctid": "101" }])) && !fits(&schema, &serde_json::json!([{ "color": 1 }]))
    );
}

#[test]
fn metrics() {
    let world = World::new();
    assert_eq!(world.list("--metrics"), (0, "\n".into()));
    world.ok("create 101 --name web --description x");
    world.ok("create 102 --hostname a\\b");
    world.ok("start 101");
    let (code, text) = world.list("--metrics");
    assert_eq!(code, 0);
    for line in [
        "# TYPE vz_container_info gauge",
        "vz_container_info{ctid=\"101\",name=\"web\",hostname=\"\",ostemplate=\"live\",layout=\"simfs\"} 1",
        "vz_container_info{ctid=\"102\",name=\"\",hostname=\"a\\\\b\",ostemplate=\"live\",layout=\"simfs\"} 1",
        "vz_container_status{ctid=\"101\",status=\"running\"} 1",
        "vz_container_status{ctid=\"102\",status=\"running\"} 0",
        "vz_container_status{ctid=\"102\",status=\"stopped\"} 1",
        "vz_container_uptime_seconds{ctid=\"101\"} 93784.5",
        "vz_container_load{ctid=\"101\",period=\"5m\"} 0.25",
        "vz_container_beancounter{ctid=\"101\",resource=\"numproc\",value=\"held\"} 12",
        "vz_container_beancounter{ctid=\"101\",resource=\"numfile\",value=\"limit\"} 2048",
        "vz_container_beancounter_failures_total{ctid=\"101\",resource=\"numproc\"} 0",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} in {text}");
    }
    // Each metric is described once, before its samples.
    let described: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    let once: std::collections::BTreeSet<&str> = described.iter().copied().collect();
    assert_eq!(described.len(), once.len());
}

#[test]
fn what_scripts_pass_is_taken() {
    let world = World::new();
    let private = world.at("vz/private/own");
    world.ok("create 101 --layout overlay --private /vz/private/own --root /vz/root/own");
    assert!(private.is_dir());
    world.ok("create 102 --diskinodes 1000 --diskspace 1G");
    assert!(world.conf(102).contains("DISKINODES=\"1000:1000\""));
    world.ok("start 101 --skip-fsck --skip-remount");
    world.ok("console 101");
    assert_eq!(world.run("console 101 13").0, 21);

    world.ok("set 101 --netif_add eth0 --save");
    world.ok("set 101 --ifname eth0 --host_mac 00:18:51:01:02:03 --save");
    assert!(world.conf(101).contains("host_mac=00:18:51:01:02:03"));
    world.ok("set 101 --forward_add tcp:8080:80 --forward_add tcp:8443:443 --save");
    world.ok("set 101 --forward_del tcp:8080:80 --save");
    assert!(world.conf(101).contains("FORWARD=\"tcp:8443:443\""), "{}", world.conf(101));
    world.ok("set 101 --ipadd 10.0.0.1 --skip_arpdetect --save");
    assert!(world.conf(101).contains("IP_ADDRESS=\"10.0.0.1\""));
    assert_eq!(world.run("set 101 --offline-resize").0, world.run("set 101 --offline").0);

    // What is frozen is thawed, or killed.
    world.ok("chkpnt 101 --suspend");
    world.ok("restore 101");
    for kill in ["chkpnt 101 --kill", "restore 101 --kill"] {
        assert_ne!(world.run(kill).0, 0, "it is not suspended");
        world.ok("chkpnt 101 --suspend");
        world.ok(kill);
        assert!(world.node.0.borrow().running.is_empty(), "{kill}");
        world.ok("start 101");
    }
    world.ok("stop 101 --skip-umount");
    world.ok("umount 101");

    let one = "12345678-1234-1234-1234-123456789abc";
    world.ok(&format!("snapshot 101 --id {one} --name first --description of~all --skip-config"));
    let listed = world.ok(&format!("snapshot-list 101 --id {one} -o name -H"));
    assert!(listed.contains("first"), "{listed}");
    assert!(world.ok("snapshot-list 101 -L").contains("parent_uuid"));
    std::fs::create_dir_all(world.at("mnt")).unwrap();
    let target = world.at("mnt");
    world.ok(&format!("snapshot-mount 101 --id {one} --target {}", target.display()));
    world.ok(&format!("snapshot-umount 101 --id {one}"));
    world.ok("delete 101");
    assert!(!private.exists());
}
