//! Serves the files below one directory over HTTP/1.1: one process, one thread, thousands of connections.
//!
//! What a request means is decided in `swos-httpserver`; here are sockets, files and time. Bodies go from the page cache to the
//! socket (`sendfile`), so a request for a small file costs three calls: wait, receive, send.

#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod client;
mod journal;
mod options;
mod server;
mod site;

use swos_ulib::{eprintln, println};

swos_ulib::main!(run);

fn run() -> i32 {
    let options = match options::parse(swos_ulib::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!("httpd: {wrong}\n{}", options::USAGE);
            return 2;
        }
    };
    let port = options.port;
    let server = server::Server::new(&options);
    match server {
        Ok(mut server) => {
            println!("httpd: listening on {port}");
            let errno = server.run();
            eprintln!("httpd: {errno}");
        }
        Err(errno) => eprintln!("httpd: port {port}, {}: {errno}", options.root),
    }
    1
}
