//! The tool as people call it.

#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn basepack(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_basepack")).current_dir(dir).args(args).output().unwrap()
}

fn succeeds(dir: &Path, args: &[&str]) -> String {
    let output = basepack(dir, args);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Exit status and message.
fn fails(dir: &Path, args: &[&str]) -> (i32, String) {
    let output = basepack(dir, args);
    assert!(!output.status.success(), "{args:?} succeeded");
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// A directory `base` with a program, a text and a directory in a directory.
fn workspace() -> TempDir {
    let temp = tempfile::tempdir().unwrap();
    let base = temp.path().join("base");
    fs::create_dir_all(base.join("etc/swos")).unwrap();
    fs::create_dir(base.join("bin")).unwrap();
    fs::write(base.join("bin/init"), vec![7; 10_000]).unwrap();
    fs::write(base.join("etc/motd"), "hello").unwrap();
    fs::write(base.join("etc/swos/passwd"), "").unwrap();
    fs::write(
        temp.path().join("base.toml"),
        r#"
            [attributes]
            "etc/swos/passwd" = { owner = 3, mode = 0o600 }
            [directories]
            "tmp" = { mode = 0o777 }
            [symlinks]
            "bin/sh" = "init"
        "#,
    )
    .unwrap();
    temp
}

const PACK: &[&str] =
    &["pack", "base", "a.img", "--manifest", "base.toml", "--image-version", "7", "--key", "k.seed"];

#[test]
fn pack_verify_list_extract() {
    let temp = workspace();
    let dir = temp.path();
    succeeds(dir, &["keygen", "k.seed", "k.pub"]);
    assert_eq!(fs::metadata(dir.join("k.seed")).unwrap().permissions().mode() & 0o777, 0o600);
    succeeds(dir, PACK);
    let said = succeeds(dir, &["verify", "a.img", "--key", "k.pub", "--min-version", "7"]);
    assert_eq!(said, "ok: format 4, 8 entries, 28672 bytes, image version 7\n");
    let listing = succeeds(dir, &["list", "a.img", "--key", "k.pub"]);
    let expected = "\
        d0755     1          0 bin\n\
        -0755     1      10000 bin/init\n\
        l0777     1          4 bin/sh -> init\n\
        d0755     1          0 etc\n\
        -0644     1          5 etc/motd\n\
        d0755     1          0 etc/swos\n\
        -0600     3          0 etc/swos/passwd\n\
        d0777     1          0 tmp\n";
    assert_eq!(listing, expected);

    succeeds(dir, &["extract", "a.img", "out", "--key", "k.pub"]);
    let out = dir.join("out");
    assert_eq!(fs::read(out.join("bin/init")).unwrap(), vec![7; 10_000]);
    assert_eq!(fs::read_link(out.join("bin/sh")).unwrap(), Path::new("init"));
    assert_eq!(fs::read_to_string(out.join("etc/motd")).unwrap(), "hello");
    assert_eq!(fs::metadata(out.join("bin/init")).unwrap().permissions().mode() & 0o777, 0o755);

    succeeds(dir, &["pubkey", "k.seed", "again.pub"]);
    assert_eq!(fs::read(dir.join("again.pub")).unwrap(), fs::read(dir.join("k.pub")).unwrap());
}

#[test]
fn host_modes_and_times_do_not_matter() {
    let temp = workspace();
    let dir = temp.path();
    fs::write(dir.join("k.seed"), [1; 32]).unwrap();
    succeeds(dir, PACK);
    let first = fs::read(dir.join("a.img")).unwrap();
    fs::set_permissions(dir.join("base/etc/motd"), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(dir.join("base/bin"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::remove_file(dir.join("base/etc/motd")).unwrap();
    fs::write(dir.join("base/etc/motd"), "hello").unwrap();
    succeeds(dir, PACK);
    assert_eq!(fs::read(dir.join("a.img")).unwrap(), first);
}

#[test]
fn version_3_both_ways() {
    let temp = workspace();
    let dir = temp.path();
    succeeds(dir, &["keygen", "k.seed", "k.pub"]);
    succeeds(dir, &["base", "classic.img", "k.seed"]);
    succeeds(dir, &["pack", "base", "three.img", "--format", "3", "--key", "k.seed"]);
    assert_eq!(fs::read(dir.join("classic.img")).unwrap(), fs::read(dir.join("three.img")).unwrap());
    assert_eq!(
        succeeds(dir, &["verify", "three.img", "--key", "k.pub"]),
        "ok: format 3, 6 entries, 10616 bytes\n"
    );
    assert!(
        succeeds(dir, &["list", "three.img", "--key", "k.pub"]).contains("-0755     1      10000 bin/init\n")
    );
    succeeds(dir, &["extract", "three.img", "out", "--key", "k.pub"]);
    assert_eq!(fs::read_to_string(dir.join("out/etc/motd")).unwrap(), "hello");
    let (code, said) = fails(dir, &["base", "two.img"]);
    assert!(code == 2 || said.contains("version 2"), "{code} {said}");
    let (_, said) =
        fails(dir, &["pack", "base", "x.img", "--format", "3", "--manifest", "base.toml", "--key", "k.seed"]);
    assert!(said.contains("symbolic links") || said.contains("owner, mode"), "{said}");
}

#[test]
fn refusals_say_why() {
    let temp = workspace();
    let dir = temp.path();
    succeeds(dir, &["keygen", "k.seed", "k.pub"]);
    succeeds(dir, PACK);
    let refuse = |args: &[&str], code: i32, words: &str| {
        let (found, said) = fails(dir, args);
        assert!(found == code && said.contains(words), "{args:?}: {found} {said}");
    };
    refuse(&["verify", "a.img", "--test-key"], 1, "unknown key");
    refuse(&["verify", "a.img", "--key", "k.pub", "--min-version", "8"], 1, "older");
    refuse(&["verify", "a.img"], 2, "--key");
    refuse(&["verify", "none.img", "--key", "k.pub"], 1, "none.img");
    refuse(&["verify", "base.toml", "--key", "k.pub"], 1, "not a SWOSBASE image");
    refuse(&["verify", "a.img", "--key", "base.toml"], 1, "instead of 32");
    refuse(&["extract", "a.img", "base", "--key", "k.pub"], 1, "exists already");
    refuse(&["keygen", "k.seed", "other.pub"], 1, "k.seed");
    refuse(&["pack", "nowhere", "b.img", "--test-key"], 1, "nowhere");
    refuse(&["pack", "base", "b.img", "--format", "2", "--test-key"], 2, "--format");
    let image = fs::read(dir.join("a.img")).unwrap();
    let mut bad = image.clone();
    bad[20_000] ^= 1;
    fs::write(dir.join("bad.img"), &bad).unwrap();
    refuse(&["list", "bad.img", "--key", "k.pub"], 1, "is refused: block 4 is not what was signed");
    fs::write(dir.join("short.img"), &image[..8192]).unwrap();
    refuse(&["verify", "short.img", "--key", "k.pub"], 1, "28672 bytes, but 8192 are there");

    for (manifest, words) in [
        ("[attributes]\n\"etc/none\" = { mode = 0o600 }", "etc/none, which is not there"),
        ("[attributes]\n\"etc/motd\" = { mode = 0o4755 }", "outside 0777"),
        ("[attributes]\n\"etc/motd\" = { group = 1 }", "group"),
        ("[symlinks]\n\"etc/motd\" = \"x\"", "something is there"),
        ("[directories]\n\"etc/motd\" = {}", "something else is there"),
        ("[directories]\n\"../x\" = {}", "relative path"),
        ("[directories]\n\"a/b\" = {}", "its directory is not there"),
    ] {
        fs::write(dir.join("m.toml"), manifest).unwrap();
        refuse(&["pack", "base", "b.img", "--manifest", "m.toml", "--test-key"], 1, words);
    }
}

#[test]
fn links_are_packed_and_sockets_are_refused() {
    let temp = workspace();
    let dir = temp.path();
    symlink("../etc/motd", dir.join("base/bin/note")).unwrap();
    succeeds(dir, &["pack", "base", "a.img", "--test-key"]);
    assert!(succeeds(dir, &["list", "a.img", "--test-key"]).contains("bin/note -> ../etc/motd\n"));
    let _socket = std::os::unix::net::UnixListener::bind(dir.join("base/socket")).unwrap();
    let (code, said) = fails(dir, &["pack", "base", "a.img", "--test-key"]);
    assert!(code == 1 && said.contains("base/socket is neither"), "{said}");
}

#[test]
fn a_batch_answers_each_line() {
    let temp = workspace();
    let dir = temp.path();
    succeeds(dir, &["pack", "base", "a.img", "--test-key"]);
    let mut child = Command::new(env!("CARGO_BIN_EXE_basepack"))
        .current_dir(dir)
        .args(["verify", "--test-key", "--batch"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"a.img\nbase.toml\nnone\na.img\n").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"ok\nno\nno\nok\n");
}
