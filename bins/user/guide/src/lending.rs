//! A handle that is lent, and taken back while the borrower runs.

use swos_ulib::{
    abi::{Errno, Handle, Rights},
    env,
    handle::OwnedHandle,
    io::{Error, Read as _, Result, Write as _},
    pair::PairStream,
    println,
    process::Command,
};

const LENT: u32 = 3;

pub(crate) fn main() -> Result<()> {
    if env::args().nth(2) == Some("borrower") {
        return borrower();
    }
    let (mut own, theirs) = PairStream::pair()?;
    let theirs: OwnedHandle = theirs.into_handle();
    // A loan, and not a copy: whatever the borrower makes of it ends with it.
    let child = Command::new("/bin/guide")
        .args(["lending", "borrower"])
        .handle(1, Handle::STDOUT, Rights::WRITE)
        .loan(LENT, theirs.get(), Rights::READ | Rights::WRITE)
        .spawn()?;
    let mut word = [0; 5];
    own.read_exact(&mut word)?;
    println!("lender: got {}", word.escape_ascii());
    theirs.revoke()?;
    child.wait()?;
    println!("lender: the handle is still good: {}", theirs.duplicate(Rights::READ).is_ok());
    Ok(())
}

fn borrower() -> Result<()> {
    let mut lent = PairStream::from_handle(Handle(u64::from(LENT)));
    lent.write_all(b"hello")?;
    // Waits for an answer that never comes. The revocation ends the wait.
    match lent.read(&mut [0; 8]) {
        Err(Error::Os(Errno::ACCES)) => println!("borrower: it was taken back"),
        other => println!("borrower: {other:?}"),
    }
    Ok(())
}
