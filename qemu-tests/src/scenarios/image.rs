//! A base image with any byte changed is refused before that byte is used.

use super::boot::with_site;
use crate::http::Client;
use crate::machine::{ExitBy, Machine};
use crate::scenario::{Bench, Scenario};
use anyhow::{Context, Result, anyhow, bail, ensure};
use core::time::Duration;
use std::fs;
use std::path::PathBuf;
use swos_swosbase::v4::{self, Block, BlockVerifier};
use swos_swosbase::{PublicKey, Software};

const BLOCK: usize = 4096;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![
        Scenario::new("image/no-disk", no_disk),
        Scenario::new("image/not-an-image", |bench| refused(bench, "zeros", |bytes| bytes.fill(0))),
        Scenario::new("image/superblock", |bench| refused(bench, "superblock", |bytes| flip(bytes, 40))),
        Scenario::new("image/signature", |bench| refused(bench, "signature", |bytes| flip_signature(bytes))),
        Scenario::new("image/metadata", |bench| refused(bench, "metadata", |bytes| flip(bytes, BLOCK + 17))),
        Scenario::new("image/truncated", |bench| refused(bench, "truncated", truncate)),
        Scenario::new("image/file", changed_file),
        Scenario::new("image/any-bit", any_bit),
        Scenario::new("image/v3-serves", v3_serves),
        Scenario::new("image/v3-metadata", |bench| {
            refused_v3(bench, "v3-metadata", |bytes| flip(bytes, 100))
        }),
        Scenario::new("image/v3-file", |bench| {
            // A file that nobody needs in order to come up.
            let page = fs::read(bench.artefacts().stage.join("www/swos.css"))?;
            refused_v3(bench, "v3-file", move |bytes| {
                let at = bytes.windows(page.len()).position(|window| window == page);
                flip(bytes, at.unwrap_or(0));
            })
        }),
        Scenario::new("image/v3-truncated", |bench| refused_v3(bench, "v3-truncated", truncate)),
    ]
}

/// Nothing to boot from: an error that says so, and a failing exit.
fn no_disk(bench: &Bench) -> Result<()> {
    let machine = Machine::new(&bench.artefacts().kernel).exit_by(ExitBy::Semihosting);
    bench.boot(machine, |guest| {
        guest.expect("no system disk")?;
        let status = guest.exit(Duration::from_secs(60))?;
        ensure!(status.code().is_some_and(|code| code != 0), "ended with {status}");
        Ok(())
    })
}

/// The image after `change` must not get as far as its first program.
fn refused(bench: &Bench, name: &str, change: fn(&mut Vec<u8>)) -> Result<()> {
    refused_disk(bench, changed(bench, name, change)?)
}

/// The same of an image of version 3.
fn refused_v3(bench: &Bench, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let mut bytes = fs::read(&bench.artefacts().v3_image).context("cannot read the image")?;
    change(&mut bytes);
    refused_disk(bench, written(bench, name, &bytes)?)
}

/// The tree of the base image in version 3 serves the same pages.
fn v3_serves(bench: &Bench) -> Result<()> {
    let page = fs::read(bench.artefacts().stage.join("www/swos.css"))?;
    with_site(bench, bench.served()?.disk(&bench.artefacts().v3_image).smp(2), |guest, port| {
        guest.expect("base image of format 3: signature and all files good")?;
        let mut client = Client::connect(port)?;
        ensure!(client.get("/")?.status == 200, "no first page");
        let answer = client.get("/swos.css")?;
        ensure!(answer.status == 200 && answer.body == page, "the page differs from what was packed");
        Ok(())
    })
}

fn refused_disk(bench: &Bench, disk: PathBuf) -> Result<()> {
    let machine = Machine::new(&bench.artefacts().kernel).disk(disk);
    bench.boot(machine.exit_by(ExitBy::Semihosting), |guest| {
        guest.expect("base image refused")?;
        let status = guest.exit(Duration::from_secs(60))?;
        ensure!(status.code().is_some_and(|code| code != 0), "ended with {status}");
        Ok(())
    })
}

/// One bit in one file: the system boots, that file is refused, the others are served.
fn changed_file(bench: &Bench) -> Result<()> {
    let page = fs::read(bench.artefacts().stage.join("www/swos.css"))?;
    let disk = changed_at(bench, "file", &page)?;
    with_site(bench, bench.served()?.disk(disk), |guest, port| {
        let mut client = Client::connect(port)?;
        // Either an error, or a connection that ends before the announced length: never the changed bytes.
        match client.get("/swos.css") {
            Ok(answer) => ensure!(answer.status >= 400, "a changed file was served with {}", answer.status),
            Err(error) => ensure!(format!("{error:#}").contains("closed after"), "{error:#}"),
        }
        guest.expect("does not match its hash")?;
        ensure!(Client::connect(port)?.get("/")?.status == 200, "the other files are gone");
        Ok(())
    })
}

/// Bits all over the image, by the reader that the kernel has: 4,096 of blocks, 512 of the superblock. The tests of
/// `swosbase` flip every bit of a small image.
fn any_bit(bench: &Bench) -> Result<()> {
    let artefacts = bench.artefacts();
    let key = fs::read(&artefacts.trusted_key).context("cannot read the trusted key")?;
    let keys = [PublicKey(key.as_slice().try_into().context("a key has 32 bytes")?)];
    let whole = fs::read(&artefacts.base_image).context("cannot read the base image")?;
    let image = v4::verify_all(&Software, &whole, &keys, 0).map_err(|error| anyhow!("the image: {error}"))?;
    let tree = image.superblock.geometry.tree();
    let accepted = |number: u64, block: &Block| {
        if number == 0 {
            return v4::Unverified::new(block).and_then(|it| it.verify(&Software, &keys)).is_ok();
        }
        if tree.position(number).is_none() {
            return image.blocks.verify(&Software, number, block).is_ok();
        }
        // A block of hashes is looked at once, by a reader that has those above it.
        BlockVerifier::new(&image.superblock).is_ok_and(|mut blocks| {
            let above = tree.first..number;
            above.into_iter().all(|number| {
                block_of(&whole, number).is_some_and(|block| blocks.accept(&Software, number, block).is_ok())
            }) && blocks.accept(&Software, number, block).is_ok()
        })
    };
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random).unwrap_or(usize::MAX)
    };
    let in_the_superblock = (0..BLOCK).step_by(8);
    let anywhere: Vec<usize> = (0..4096).map(|_| BLOCK + draw() % (whole.len() - BLOCK)).collect();
    for at in in_the_superblock.chain(anywhere) {
        let number = (at / BLOCK) as u64;
        let mut block = *block_of(&whole, number).context("an image is whole blocks")?;
        ensure!(accepted(number, &block), "block {number} is refused as it is");
        let bit = 1 << (draw() % 8);
        flip_bits(&mut block, at % BLOCK, bit);
        ensure!(!accepted(number, &block), "bit {bit:#04x} of byte {at} is not missed");
    }
    Ok(())
}

fn block_of(image: &[u8], number: u64) -> Option<&Block> {
    image.get(usize::try_from(number).ok()? * BLOCK..)?.first_chunk()
}

fn flip_bits(bytes: &mut [u8], at: usize, bits: u8) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= bits;
    }
}

fn flip(bytes: &mut [u8], at: usize) {
    flip_bits(bytes, at, 1);
}

/// The last bytes of the first block that are not zero are the signature's.
fn flip_signature(bytes: &mut [u8]) {
    let last = bytes.iter().take(BLOCK).rposition(|&byte| byte != 0);
    flip(bytes, last.unwrap_or(0));
}

fn truncate(bytes: &mut Vec<u8>) {
    bytes.truncate(bytes.len() / 2 / BLOCK * BLOCK);
}

fn changed(bench: &Bench, name: &str, change: fn(&mut Vec<u8>)) -> Result<PathBuf> {
    let mut bytes = fs::read(&bench.artefacts().base_image).context("cannot read the base image")?;
    change(&mut bytes);
    written(bench, name, &bytes)
}

/// The base image with a bit flipped in the file whose contents are given.
fn changed_at(bench: &Bench, name: &str, contents: &[u8]) -> Result<PathBuf> {
    let mut bytes = fs::read(&bench.artefacts().base_image).context("cannot read the base image")?;
    // File data begins at a block border in version 4.
    let begins = |block: &usize| bytes.get(*block..).is_some_and(|rest| rest.starts_with(contents));
    let Some(at) = (0..bytes.len()).step_by(BLOCK).find(begins) else {
        bail!("the file is not in the image")
    };
    flip(&mut bytes, at + 10);
    written(bench, name, &bytes)
}

fn written(bench: &Bench, name: &str, bytes: &[u8]) -> Result<PathBuf> {
    let path = bench.artefacts().scratch.join(format!("{name}.img"));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}
