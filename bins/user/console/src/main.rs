//! A console for the operator until there is a shell: shows processes, files, memory, the log; switches the machine off.
//!
//! The kernel hands over raw bytes; echo and editing are done here.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod commands;
mod line;

use swos_ulib::{
    io::{Read as _, Write as _, stdin, stdout},
    print, println,
};

swos_ulib::main!(run);

const PROMPT: &str = "swos> ";

fn run() -> i32 {
    let mut line = line::Line::default();
    let mut bytes = [0; 64];
    println!("console: type help");
    print!("{PROMPT}");
    loop {
        let count = match stdin().read(&mut bytes) {
            Ok(0) => return 0,
            Ok(count) => count,
            Err(_) => return 1,
        };
        for &byte in bytes.iter().take(count) {
            let mut echo = alloc::vec::Vec::new();
            let done = line.feed(byte, &mut echo);
            let _nobody_looks = stdout().write_all(&echo);
            if let Some(text) = done {
                commands::run(&text);
                print!("{PROMPT}");
            }
        }
    }
}
