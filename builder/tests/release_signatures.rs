//! Signatures of releases, which minisign and ssh-keygen accept and make, and what `dbco verify` reports for each thing that was
//! altered.

mod project;

use std::fs;

use dbco::process::command;
use project::releases::{BUILD, flip, keys, released, run, sign_again, succeeds, verify};

#[test]
fn minisign_accepts_our_signatures_and_we_accept_its() {
    let project = released();
    keys(&project);
    let signed = project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    assert_eq!(signed.out, "out/small/SHA256SUMS.minisig\nout/small/provenance.intoto.json.minisig\n");
    let check = "for file in SHA256SUMS provenance.intoto.json; do minisign -V -p release.pub -m out/small/$file; done";
    assert!(run(&project, check).contains("Trusted comment: file:SHA256SUMS\thashed"));
    let verified = verify(&project, &["--key", "release.pub"]).ends(0);
    assert!(verified.out.contains("5 files verified, signed by minisign key "), "{}", verified.out);
    // Signatures of unchanged files stay, and those of files that are replaced are removed with them.
    assert!(project.dbco(&BUILD).ends(0).out.contains("nothing to do"));
    verify(&project, &["--key", "release.pub"]).ends(0);
    project.edit("overlay/system/etc/motd", "hello", "hallo");
    run(&project, "git commit -qam y");
    project.dbco(&BUILD).ends(0);
    verify(&project, &["--key", "release.pub"]).ends(3).says(&["SHA256SUMS has no signature"]);
    run(&project, "cd out/small; minisign -S -s ../../release.key -m SHA256SUMS provenance.intoto.json");
    verify(&project, &["--key", "release.pub"]).ends(0);
    project.dbco(&BUILD).ends(1).says(&["`SHA256SUMS.minisig`", "which dbco did not write"]);
}

#[test]
fn ssh_keygen_accepts_our_signatures_and_we_accept_its() {
    let project = released();
    keys(&project);
    run(&project, "ssh-keygen -q -t ecdsa -N secret -C x -f ssh2; ssh-keygen -q -t rsa -b 2048 -N '' -C x -f ssh3");
    let check = "cd out/small; for file in SHA256SUMS provenance.intoto.json; do
        echo \"me $(cat ../../$KEY.pub)\" > ../../home/allowed
        ssh-keygen -Y verify -f ../../home/allowed -I me -n release@dbcolinux -s $file.sig < $file; done";
    for (key, passphrase) in [("ssh", ""), ("ssh2", "secret"), ("ssh3", "")] {
        let public = format!("{key}.pub");
        let sign = ["sign", "out/small", "--key", key];
        let signed = project.dbco_with(&[("DBCO_SIGN_PASSPHRASE", passphrase)], &sign);
        if key == "ssh3" {
            signed.ends(2).says(&["can't sign with a key of RSA", "`ssh-keygen -Y sign -n release@dbcolinux"]);
        } else {
            signed.ends(0);
            run(&project, &format!("KEY={key}\n{check}"));
            verify(&project, &["--key", &public]).ends(0);
            run(&project, "rm out/small/*.sig");
        }
        let theirs = format!(
            "ssh-keygen -Y sign -q -f {key} -n NAMESPACE out/small/SHA256SUMS out/small/provenance.intoto.json"
        );
        if passphrase.is_empty() {
            run(&project, &theirs.replace("NAMESPACE", "release@dbcolinux"));
            verify(&project, &["--key", &public]).ends(0);
            run(&project, "rm out/small/*.sig");
            run(&project, &theirs.replace("NAMESPACE", "file"));
            verify(&project, &["--key", &public])
                .ends(5)
                .says(&["its namespace is `file`, expected `release@dbcolinux`"]);
            run(&project, "rm out/small/*.sig");
        }
    }
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let project = released();
    run(&project, "ssh-keygen -q -t ed25519 -N secret -C x -f ssh");
    run(&project, "printf 'secret\\nsecret\\n' | timeout 60 minisign -G -f -p release.pub -s release.key");
    project.write("home/passphrase", "secret\n");
    project.write("home/wrong", "Secret\n");
    for key in ["release.key", "ssh"] {
        let with = |file| project.dbco(&["sign", "out/small", "--key", key, "--passphrase-file", file]);
        // Once is enough of minisign's derivation, which takes seconds and a gigabyte.
        if key == "ssh" {
            with("home/wrong").ends(2).says(&["the passphrase of ssh is wrong"]);
        }
        with("home/none").ends(2).says(&["is encrypted, and its passphrase can't be read"]);
        assert!(!succeeds(&project, "ls out/small/*sig"));
        with("home/passphrase").ends(0);
        run(&project, "rm out/small/*sig");
    }
    assert!(!project.dbco(&["help", "sign"]).out.contains("--passphrase "), "never on the command line");
}

#[test]
fn nothing_is_verified_without_a_trusted_key() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    verify(&project, &[]).ends(2).says(&["no trusted key is known: pass --key FILE"]);
    // A key that comes with the release is not trusted, wherever it is verified from.
    run(&project, "cp -r out/small home/got; mkdir home/got/keys; cp release.pub home/got/keys/");
    let there = project
        .prepare(&mut command(env!("CARGO_BIN_EXE_dbco")))
        .current_dir(project.path("home/got"))
        .args(["verify", "."])
        .output();
    assert_eq!(there.unwrap().status.code(), Some(2));
    let file = project
        .prepare(&mut command(env!("CARGO_BIN_EXE_dbco")))
        .current_dir(project.path("home/got"))
        .args(["verify", "initrd.img"])
        .output();
    assert_eq!(file.unwrap().status.code(), Some(2));
    run(&project, "mkdir keys; cp release.pub keys/");
    verify(&project, &[]).ends(0);
    project.write("home/empty", "");
    verify(&project, &["--key", "home/empty"])
        .ends(2)
        .says(&["home/empty is not a public key of minisign or SSH: it is empty"]);
    verify(&project, &["--key", "release.key"]).ends(2).says(&["it is a secret key"]);
    project.dbco(&["sign", "out/small", "--key", "release.pub"]).ends(2).says(&["release.pub is not a secret key"]);
}

/// A change to a release, the expected exit status, and what is reported.
type Alteration = (&'static str, u8, &'static str);

/// Each is a script in the release's folder; `flip FILE` changes one bit.
const ALTERATIONS: [Alteration; 17] = [
    ("flip initrd.img", 6, "initrd.img was altered: its sha256 is "),
    ("flip grub.cfg", 6, "grub.cfg was altered: its sha256 is "),
    ("flip sbom.spdx.json", 6, "sbom.spdx.json was altered"),
    ("flip sbom.cdx.json", 6, "sbom.cdx.json was altered"),
    ("flip provenance.intoto.json", 6, "provenance.intoto.json was altered"),
    ("flip SHA256SUMS", 5, "SHA256SUMS.minisig is not a valid signature of SHA256SUMS"),
    ("flip SHA256SUMS.minisig", 5, "SHA256SUMS.minisig is not a valid signature"),
    ("flip provenance.intoto.json.minisig", 5, "provenance.intoto.json.minisig is not a valid signature"),
    ("rm SHA256SUMS.minisig", 3, "SHA256SUMS has no signature"),
    ("rm provenance.intoto.json.minisig", 3, "provenance.intoto.json has no signature"),
    ("rm grub.cfg", 7, "grub.cfg is missing: SHA256SUMS lists it"),
    ("rm SHA256SUMS", 7, "SHA256SUMS is missing"),
    ("touch extra", 8, "extra is not part of the release"),
    ("mkdir folder", 8, "folder is not part of the release"),
    ("rm grub.cfg; ln -s ../../small.yaml grub.cfg", 1, "grub.cfg"),
    ("echo more >> .dbco-outputs", 8, ".dbco-outputs is not part of the release"),
    ("minisign -S -s ../../release.key2 -m SHA256SUMS", 4, "SHA256SUMS is signed by an unknown key: minisign key "),
];

#[test]
fn each_alteration_is_reported_and_has_its_exit_status() {
    let project = released();
    keys(&project);
    run(&project, "minisign -G -W -f -p release.pub2 -s release.key2");
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    run(&project, "cp -a out/small home/pristine");
    for (script, status, says) in ALTERATIONS {
        run(&project, "rm -r out/small; cp -a home/pristine out/small");
        match script.strip_prefix("flip ") {
            Some(file) => flip(&project.path(&format!("out/small/{file}"))),
            None => drop(run(&project, &format!("cd out/small; {script}"))),
        }
        let ran = verify(&project, &["--key", "release.pub"]);
        assert!(ran.err.contains(says), "{script}: {}", ran.err);
        ran.ends(status.into());
    }
}

/// Every byte of the small files counts.
#[test]
fn a_bit_at_any_place_of_a_signature_or_a_list_is_noticed() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    let mut keys = dbco::release::signature::TrustedKeys::default();
    keys.add(&project.path("release.pub")).unwrap();
    let folder = project.path("out/small");
    dbco::release::verify::verify(&folder, &keys).unwrap();
    for name in ["SHA256SUMS", "SHA256SUMS.minisig"] {
        let path = folder.join(name);
        let sound = fs::read(&path).unwrap();
        // The first line of a signature is a comment that nothing signs.
        let from = if name.ends_with("sig") { sound.iter().position(|byte| *byte == b'\n').unwrap() } else { 0 };
        for place in (from..sound.len() - 1).step_by(if name.ends_with("sig") { 1 } else { 7 }) {
            let mut bytes = sound.clone();
            bytes[place] ^= 1;
            fs::write(&path, &bytes).unwrap();
            let refused = dbco::release::verify::verify(&folder, &keys);
            assert!(refused.is_err(), "{name}: byte {place}");
        }
        for length in (0..sound.len()).step_by(11) {
            fs::write(&path, &sound[..length]).unwrap();
            assert!(dbco::release::verify::verify(&folder, &keys).is_err(), "{name}: {length} bytes");
        }
        fs::write(&path, &sound).unwrap();
    }
    dbco::release::verify::verify(&folder, &keys).unwrap();
}

#[test]
fn a_signed_statement_has_to_be_about_the_files() {
    let project = released();
    keys(&project);
    let statement = project.read("out/small/provenance.intoto.json");
    for (from, to, says) in [
        ("\"name\": \"grub.cfg\"", "\"name\": \"grub.conf\"", "is not about the files that SHA256SUMS lists: grub.c"),
        ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v2", "its type of predicate is"),
        ("\"subject\"", "\"subjects\"", "can't be read: missing field `subject`"),
    ] {
        sign_again(&project, "provenance.intoto.json", &statement.replacen(from, to, 1));
        verify(&project, &["--key", "release.pub"])
            .ends(9)
            .says(&["the statement out/small/provenance.intoto.json", says]);
    }
    sign_again(&project, "provenance.intoto.json", &statement);
    verify(&project, &["--key", "release.pub"]).ends(0);
}

#[test]
fn one_file_is_verified_with_the_list_beside_it() {
    let project = released();
    keys(&project);
    project.dbco(&["sign", "out/small", "--key", "release.key"]).ends(0);
    run(&project, "mkdir home/got; cd out/small; cp grub.cfg SHA256SUMS SHA256SUMS.minisig ../../home/got/");
    let file = |name: &str| project.dbco(&["verify", name, "--key", "release.pub"]);
    assert!(file("home/got/grub.cfg").ends(0).out.contains("1 file verified"));
    project.write("home/got/other", "");
    file("home/got/other").ends(8).says(&["is not part of the release"]);
    file("home/got/none").ends(1);
    flip(&project.path("home/got/grub.cfg"));
    file("home/got/grub.cfg").ends(6);
    let again = project.dbco(&["verify", "home/got/grub.cfg", "--key", "release.pub", "--rebuild"]);
    again.ends(6);
}
