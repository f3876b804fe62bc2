//! Ed25519 keys and signatures of images.

use core::fmt;

use ed25519_compact as ed25519;

use crate::sha::{Sha256, Sha256Blocks};

/// An Ed25519 signature.
pub type Signature = [u8; 64];

/// A public key that images may be signed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PublicKey(pub [u8; 32]);

/// First eight bytes of the SHA-256 of a public key: which key a v4 image says it was signed with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyId(pub [u8; 8]);

impl PublicKey {
    /// Its short name.
    #[must_use]
    pub fn id(&self, sha: &dyn Sha256Blocks) -> KeyId {
        let digest = Sha256::digest(sha, &self.0);
        let mut id = [0; 8];
        id.copy_from_slice(&digest[..8]);
        KeyId(id)
    }

    /// Whether `signature` over `message` was made with the matching [`Seed`].
    ///
    /// A scalar out of range and a key of small order are refused, so nobody without the seed can turn a good
    /// signature into another one.
    ///
    /// Source: RFC 8032 §5.1.7.
    #[must_use]
    pub fn accepts(&self, message: &[u8], signature: &Signature) -> bool {
        ed25519::PublicKey::new(self.0).verify(message, &ed25519::Signature::new(*signature)).is_ok()
    }
}

/// The 32-byte secret that a key pair is made from (RFC 8032 §5.1.5). Never on a running system: images are signed
/// where they are built.
#[derive(Clone)]
pub struct Seed(pub [u8; 32]);

impl Seed {
    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(*self.pair().pk)
    }

    /// Signs `message`; the same message gives the same signature.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Signature {
        *self.pair().sk.sign(message, None)
    }

    fn pair(&self) -> ed25519::KeyPair {
        ed25519::KeyPair::from_seed(ed25519::Seed::new(self.0))
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// FOR TESTS ONLY. Everybody knows this seed, so an image signed with it proves nothing; release builds must refuse
/// [`TEST_PUBLIC_KEY`].
pub const TEST_SEED: Seed = Seed(*b"swos TEST seed: everyone has it!");

/// FOR TESTS ONLY. The public half of [`TEST_SEED`].
pub const TEST_PUBLIC_KEY: PublicKey = PublicKey([
    0x23, 0xd9, 0x2e, 0x35, 0x7a, 0x82, 0xf0, 0x8b, 0x25, 0xab, 0x3e, 0x18, 0xbc, 0xff, 0x9f, 0x5c, 0x6f,
    0xef, 0xcc, 0x5c, 0xc2, 0x81, 0x81, 0x3e, 0x17, 0xda, 0x86, 0xcb, 0x27, 0x9f, 0xc3, 0xd1,
]);

#[cfg(test)]
mod tests;
