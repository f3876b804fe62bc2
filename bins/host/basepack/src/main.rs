//! Image packer.
fn main() {}
