//! `dbco sizes`, and budgets of outputs.

mod project;

use project::{Project, host};
use serde_json::Value;

fn sizes(project: &Project, arguments: &[&str]) -> Vec<Value> {
    let ran = project.dbco(&[&["sizes", "--json"], arguments].concat()).ends(0);
    let events = ran.out.lines().map(|line| serde_json::from_str(line).unwrap());
    events.filter(|event: &Value| event["event"] == "sizes").collect()
}

fn bytes(groups: &Value, name: &str) -> u64 {
    let group = groups.as_array().unwrap().iter().find(|group| group["name"].as_str().unwrap().starts_with(name));
    group.unwrap_or_else(|| panic!("no {name} in {groups}"))["bytes"].as_u64().unwrap()
}

#[test]
fn the_bytes_of_an_output_are_shared_by_origins() {
    let project = Project::with("outputs: [initrd, grub-cfg]", "outputs: [initrd]");
    project.edit("small.yaml", "image: none", "image: host");
    project.edit("small.yaml", "livefs: none", "livefs: squashfs");
    project.edit("small.yaml", "compression: none\n  livefs", "compression: zstd\n  livefs");
    project.edit("small.yaml", "overlays: [overlay]", "overlays: [overlay, more]");
    host::provide_with(&project, &["mksquashfs"]);
    // Content that does not compress, in a file of more than a block.
    let mut state = 1_u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    project.write("more/usr/share/noise", noise.take(700_000).collect::<Vec<u8>>());
    project.write("more/usr/share/zeros", vec![0; 700_000]);
    let measured = sizes(&project, &["small.yaml", "--offline"]);
    let [initrd] = &measured[..] else { panic!("{measured:?}") };
    let groups = &initrd["groups"];
    let all: u64 = groups.as_array().unwrap().iter().map(|group| group["bytes"].as_u64().unwrap()).sum();
    assert_eq!(all, initrd["bytes"].as_u64().unwrap(), "{initrd}");
    let more = bytes(groups, "overlay more");
    assert!((690_000..=720_000).contains(&more), "{initrd}");
    assert!(bytes(groups, "overlay early") < 10_000 && bytes(groups, "overlay overlay") < 10_000, "{initrd}");
    let place = groups[0]["place"].as_str().unwrap();
    assert!(place.starts_with("small.yaml:12:"), "{place}");

    // The same image, as one of unknown origin.
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let measured = sizes(&project, &["out/small/initrd.img", "--by", "file"]);
    let noise = bytes(&measured[0]["groups"], "livefs.squashfs//usr/share/noise");
    assert!((690_000..=720_000).contains(&noise), "{measured:?}");
    assert!(bytes(&measured[0]["groups"], "livefs.squashfs//usr/share/zeros") < 2_000, "{measured:?}");

    let ran = project.dbco(&["sizes", "--offline", "small.yaml", "--top", "1", "--html", "sizes.html"]).ends(0);
    assert!(ran.out.contains("overlay more") && ran.out.contains("more (--top)"), "{}", ran.out);
    let page = project.read("sizes.html");
    assert!(page.contains("noise") && page.contains("overlay more") && !page.contains("http"), "{page}");
}

/// Made by other tools.
fn make(project: &Project, line: &str) {
    let output = dbco::process::command("sh").args(["-ec", line]).current_dir(project.path("")).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn content_that_is_stored_once_counts_once() {
    let project = Project::new();
    make(
        &project,
        "mkdir f && head -c 600000 /dev/urandom >f/a && cp f/a f/b && head -c 100000 /dev/urandom >f/c && \
         head -c 3000 /dev/urandom >f/d && cp f/d f/e && mksquashfs f f.squashfs -comp zstd -noappend -quiet >/dev/null",
    );
    let measured = sizes(&project, &["f.squashfs", "--by", "file"]);
    let groups = &measured[0]["groups"];
    assert!((600_000..601_000).contains(&bytes(groups, "a")), "{groups}");
    assert!((100_000..101_000).contains(&bytes(groups, "c")), "{groups}");
    assert!((2_900..3_100).contains(&(bytes(groups, "d") + bytes(groups, "e"))), "{groups}");
    assert_eq!(bytes(groups, "b"), 0, "{groups}");
}

#[test]
fn a_path_that_occurs_twice_and_a_damaged_file_inside_are_counted() {
    let project = Project::new();
    make(
        &project,
        "mkdir -p f x && head -c 50000 /dev/urandom >f/a && mksquashfs f x/i.squashfs -noappend -quiet >/dev/null && \
         echo x/i.squashfs | cpio -o -H newc --quiet >one && cat one one >twice.img && \
         head -c 30000 x/i.squashfs >x/cut.squashfs && tar -cf cut.tar x",
    );
    for image in ["twice.img", "cut.tar"] {
        let measured = sizes(&project, &[image, "--by", "file"]);
        let groups = measured[0]["groups"].as_array().unwrap();
        let all: u64 = groups.iter().map(|group| group["bytes"].as_u64().unwrap()).sum();
        assert_eq!(all, measured[0]["bytes"].as_u64().unwrap(), "{groups:?}");
        assert!(all > 50_000, "{groups:?}");
    }
}

#[test]
fn an_image_that_can_t_be_read_is_an_error() {
    let project = Project::new();
    project.dbco(&["sizes", "none.img"]).ends(1).says(&["none.img"]);
    project.dbco(&["sizes", "--only", "iso", "small.img"]).ends(2).says(&["--only is for the outputs of a recipe"]);
    // A part of a squashfs.
    project.write("cut.squashfs", [&b"hsqs"[..], &[1; 6000]].concat());
    project.dbco(&["sizes", "cut.squashfs"]).ends(1).says(&["cut.squashfs"]);
}

#[test]
fn an_output_over_its_budget_fails_the_build_and_writes_nothing() {
    let project = Project::new();
    project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let before = project.read("out/small/SHA256SUMS");
    project.edit(
        "small.yaml",
        "outputs: [initrd, grub-cfg]",
        "outputs: [initrd, grub-cfg]\nbudgets: {initrd: 4K, grub-cfg: 4K}",
    );
    project.write("overlay/usr/share/large", vec![1; 10_000]);
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(1);
    ran.says(&[
        "initrd.img has ",
        "more than its budget of 4096 (small.yaml:24:19)",
        "it has grown by ",
        "nothing was written; `dbco sizes small.yaml` shows what the bytes are for",
    ]);
    assert_eq!(project.read("out/small/SHA256SUMS"), before);
    project.edit("small.yaml", "initrd: 4K", "initrd: 1M");
    let ran = project.dbco(&["build", "--offline", "small.yaml"]).ends(0);
    let line = ran.out.lines().find(|line| line.contains("initrd.img")).unwrap();
    assert!(line.ends_with("KiB") && line.contains("  +"), "{line}");
    // A recipe that has its own budgets, for outputs that it does not have.
    project.write("mine.yaml", "recipe: mine\nextends: small.yaml\nbudgets: {squashfs: 1K}\n");
    project.dbco(&["check", "mine.yaml"]).ends(2).says(&["mine.yaml:3:21", "`budgets` has `squashfs`"]);
    project.write("mine.yaml", "recipe: mine\nextends: small.yaml\noutputs: [initrd]\n");
    project.dbco(&["check", "mine.yaml"]).ends(0);
    // No such output, and no size.
    project.edit("small.yaml", "grub-cfg: 4K", "iso: 4K");
    project
        .dbco(&["check", "small.yaml"])
        .ends(2)
        .says(&["`budgets` has `iso`, which is not in the recipe's `outputs`"]);
    project.edit("small.yaml", "iso: 4K", "grub-cfg: few");
    project.dbco(&["check", "small.yaml"]).ends(2).says(&["a size: a number with K, M, G or T"]);
}
