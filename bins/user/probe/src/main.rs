//! Prints the figures of the system again and again, for tests that look for leaks from outside.

#![cfg_attr(target_os = "none", no_std, no_main)]

use core::time::Duration;
use swos_ulib::{println, system, thread};

swos_ulib::main!(run);

fn run() -> i32 {
    loop {
        match system::system_info() {
            Ok(info) => println!(
                "@figures available={} kernel={} processes={} threads={} sockets={} objects={}",
                info.memory_free + info.memory_cached,
                info.memory_kernel,
                info.processes,
                info.threads,
                info.sockets,
                info.objects
            ),
            Err(errno) => println!("@figures refused: {errno}"),
        }
        thread::sleep(Duration::from_millis(250));
    }
}
