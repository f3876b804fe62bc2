//! The only door to the project: `cargo xtask --help`.
fn main() {}
