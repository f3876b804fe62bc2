//! The image to measure the web server on: the base image with files of known sizes.

use crate::build::write_if_changed;
use crate::image;
use crate::workspace::Workspace;
use anyhow::Result;
use std::path::PathBuf;

/// Files of the web server that are asked for, by name and size.
const FILES: [(&str, usize); 3] = [("1k.bin", 1 << 10), ("64k.bin", 64 << 10), ("1m.bin", 1 << 20)];

const SERVING: &str = "\
[service httpd]
program = /bin/httpd
root = /www
args = --root / --port 80 --access-log off
capabilities = net fs-read
";

/// A web server with the files of known sizes, without an access log.
pub(super) fn serving(workspace: &Workspace) -> Result<PathBuf> {
    let overlay = workspace.build().join("overlay/serving");
    write_if_changed(&overlay.join("etc/swos/services"), SERVING.as_bytes())?;
    for (name, size) in FILES {
        // Bytes that neither repeat at once nor differ from run to run.
        let bytes: Vec<u8> =
            (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        write_if_changed(&overlay.join("www").join(name), &bytes)?;
    }
    image::with_overlay(workspace, &overlay, "bench-serving")
}
