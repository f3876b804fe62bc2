//! First process.

#![cfg_attr(target_os = "none", no_std, no_main)]

use swos_abi::Handle;

swos_rt::main!(run);

fn run() -> i32 {
    let _written = swos_sys::write(Handle::STDOUT, b"init: hello\n");
    0
}
