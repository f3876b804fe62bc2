//! Entropy of the machine, mixed.

use swos_arch::timer;
use swos_platform::Platform;

use crate::machine;
use crate::virtio::EntropyDevice;

/// How often the device is asked whether it has answered, when there is nothing else. It usually has, long before.
const PATIENCE: u32 = 1_000_000;

/// Hashes what the firmware and the entropy device gave, with the time. `None` if neither gave anything.
pub(crate) fn gather(platform: &Platform, device: Option<&mut EntropyDevice>) -> Option<[u8; 32]> {
    // One block each: seed, device's answer, the rest with the padding that SHA-256 asks for.
    let mut blocks = [[0u8; 64]; 3];
    let [seed, answer, rest] = &mut blocks;
    seed.iter_mut().zip(&platform.rng_seed).for_each(|(to, from)| *to = *from);
    // The firmware's seed is enough; without one the device is worth waiting for.
    let mut have = platform.rng_seed.len() >= 16;
    if let Some(device) = device {
        let patience = if have { 1 } else { PATIENCE };
        for _ in 0..patience {
            if let Some((bytes, len)) = device.poll() {
                *answer = bytes;
                have |= len >= 16;
                break;
            }
            core::hint::spin_loop();
        }
    }
    let words = [timer::counter(), platform.kaslr_seed.unwrap_or(0), platform.rng_seed.len() as u64];
    for (to, from) in rest.chunks_exact_mut(8).zip(words) {
        to.copy_from_slice(&from.to_le_bytes());
    }
    rest[24] = 0x80;
    rest[56..].copy_from_slice(&(8u64 * (64 + 64 + 24)).to_be_bytes());
    // FIPS 180-4 §5.3.3.
    let mut state = [
        0x6a09_e667,
        0xbb67_ae85,
        0x3c6e_f372,
        0xa54f_f53a,
        0x510e_527f,
        0x9b05_688c,
        0x1f83_d9ab,
        0x5be0_cd19,
    ];
    machine::compress(&mut state, &blocks);
    let mut out = [0; 32];
    for (to, from) in out.chunks_exact_mut(4).zip(state) {
        to.copy_from_slice(&from.to_be_bytes());
    }
    have.then_some(out)
}
