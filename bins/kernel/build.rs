//! Links the kernel with its own script; on any other target the package is a stub and needs none.

#[expect(clippy::panic, reason = "a build script has no other way to fail with a reason")]
fn main() {
    println!("cargo:rerun-if-changed=kernel.ld");
    println!("cargo:rerun-if-changed=build.rs");
    let target = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    println!("cargo:rerun-if-env-changed=SWOS_TRUST_KEY");
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    // The public key whose signature on a base image counts; without one the kernel trusts nobody.
    let key = match std::env::var("SWOS_TRUST_KEY") {
        Ok(path) => {
            println!("cargo:rerun-if-changed={path}");
            std::fs::read(&path).unwrap_or_else(|error| panic!("SWOS_TRUST_KEY={path}: {error}"))
        }
        Err(_) => Vec::new(),
    };
    assert!(matches!(key.len(), 0 | 32), "SWOS_TRUST_KEY names a file of {} bytes, not 32", key.len());
    std::fs::write(format!("{out}/trust.key"), key).unwrap_or_else(|error| panic!("{out}: {error}"));
    if target == "none" {
        let directory = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo:rustc-link-arg-bins=-T{directory}/kernel.ld");
        println!("cargo:rustc-link-arg-bins=--build-id=sha1");
        println!("cargo:rustc-link-arg-bins=-z");
        println!("cargo:rustc-link-arg-bins=norelro");
        println!("cargo:rustc-link-arg-bins=--no-rosegment");
    }
}
