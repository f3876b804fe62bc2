//! Verifies a whole image at once: for tools and tests. A system verifies what it uses.

use crate::v4::{Block, Capacity, Content, Image, Mount, Progress};
use crate::{BLOCK_SIZE, Error, PublicKey, Sha256, Sha256Blocks};

/// Verifies an image that is in memory: signature, metadata, every hash block, every data block, and the content hash of
/// every file.
///
/// # Errors
///
/// Any that concerns version 4.
pub fn verify_all(
    sha: &dyn Sha256Blocks,
    image: &[u8],
    keys: &[PublicKey],
    floor: u64,
) -> Result<Image, Error> {
    let length = image.len() as u64;
    let block_at = |block: u64| -> Result<&Block, Error> {
        let start = usize::try_from(block).ok().and_then(|block| block.checked_mul(BLOCK_SIZE));
        let bytes = start.and_then(|start| image.get(start..)?.first_chunk());
        bytes.ok_or(Error::WrongLength { stated: (block + 1) * BLOCK_SIZE as u64, actual: length })
    };
    let mut mount = Mount::new(keys, Capacity::exactly(length), floor);
    let mut mounted = loop {
        match mount.poll() {
            Progress::Need { first_block, count } => {
                for block in first_block..first_block + u64::from(count) {
                    mount.on_block(sha, block, block_at(block)?);
                }
            }
            Progress::Ready | Progress::Failed(_) => break mount.finish()?,
        }
    };
    let geometry = *mounted.blocks.geometry();
    let tree = geometry.tree();
    for block in tree.first..tree.first + tree.count {
        mounted.blocks.accept(sha, block, block_at(block)?)?;
        // The verifier keeps what it has; the copy that is checked here is the image's.
        mounted.blocks.expected(block)?.check(sha, block_at(block)?)?;
    }
    let data = geometry.data();
    for block in data.first..data.first + data.count {
        mounted.blocks.verify(sha, block, block_at(block)?)?;
    }
    for at in 0..mounted.index.len() {
        if let Some(Content::File { size, first_block, sha256 }) =
            mounted.index.entry(at).map(|entry| entry.content)
        {
            let mut hash = Sha256::new();
            let mut left = usize::try_from(size).unwrap_or(usize::MAX);
            for block in first_block..first_block + size.div_ceil(BLOCK_SIZE as u64) {
                let (content, tail) = block_at(block)?.split_at(left.min(BLOCK_SIZE));
                hash.update(sha, content);
                left -= content.len();
                if tail.iter().any(|&byte| byte != 0) {
                    return Err(Error::ContentMismatch { entry: at });
                }
            }
            if hash.finish(sha) != sha256 {
                return Err(Error::ContentMismatch { entry: at });
            }
        }
    }
    Ok(mounted)
}
