//! First process.
fn main() {}
