//! The kernel image: what is left when everything with a meaning is in a crate. Boot, translation tables, interrupt
//! controller, timer, console, virtio, panic, and the `Machine` under `kcore`.
//!
//! On a target with an operating system this package is an empty program, so that the workspace builds there.

#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(target_os = "none", expect(unsafe_code, reason = "drives the machine; argued in SOUNDNESS.md"))]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod boot;
#[cfg(target_os = "none")]
mod console;
#[cfg(target_os = "none")]
mod cpu;
#[cfg(target_os = "none")]
mod entropy;
#[cfg(target_os = "none")]
mod heap;
#[cfg(target_os = "none")]
mod interrupts;
#[cfg(target_os = "none")]
mod layout;
#[cfg(all(target_os = "none", debug_assertions))]
mod ledger;
#[cfg(target_os = "none")]
mod machine;
#[cfg(target_os = "none")]
mod memory;
#[cfg(target_os = "none")]
mod options;
#[cfg(target_os = "none")]
mod panic;
#[cfg(target_os = "none")]
mod ranks;
#[cfg(target_os = "none")]
mod smp;
#[cfg(target_os = "none")]
mod traps;
#[cfg(target_os = "none")]
mod virtio;

#[cfg(not(target_os = "none"))]
fn main() {
    println!("swos-kernel runs on bare metal: build it for aarch64-unknown-none-softfloat");
}
