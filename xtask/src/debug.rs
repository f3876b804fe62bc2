//! `xtask debug`: swos stopped before its first instruction, with a debugger's door open.

use crate::run::Board;
use crate::setup::{self, Need};
use crate::workspace::Workspace;
use crate::{build, image, process};
use anyhow::Result;
use clap::Args;

/// Boots swos stopped at its first instruction with a gdb stub, and writes a gdb script that loads the kernel's symbols
/// and connects. The console stays in this terminal; run the debugger in another one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cargo xtask debug --smp 1
  gdb-multiarch -x build/debug.gdb         in another terminal")]
pub(crate) struct Options {
    #[command(flatten)]
    board: Board,
    /// Port of the gdb stub on 127.0.0.1.
    #[arg(long, default_value_t = 1234)]
    gdb_port: u16,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    setup::ensure(workspace, &[Need::Emulator])?;
    build::kernel(workspace)?;
    image::base(workspace)?;
    let script = workspace.build().join("debug.gdb");
    let text = format!(
        "set architecture aarch64\n\
         set confirm off\n\
         file {}\n\
         target remote 127.0.0.1:{}\n\
         # The kernel moves to its high addresses early; a hardware breakpoint does not mind.\n\
         hbreak rust_begin_unwind\n",
        workspace.kernel_elf().display(),
        options.gdb_port
    );
    build::write_if_changed(&script, text.as_bytes())?;
    process::say(&format!("stopped; in another terminal: gdb-multiarch -x {}", script.display()));
    let stub = format!("tcp:127.0.0.1:{}", options.gdb_port);
    let machine = options.board.machine(workspace)?.disk(workspace.base_image());
    process::run(&mut machine.extra(["-S", "-gdb", &stub]).command())
}
