//! The stubs are those of the table.

use swos_sys::{abi::CALLS, raw::STUBS};

#[test]
fn every_row_has_a_stub_with_the_same_argument_types() {
    let rows: Vec<(&str, Vec<&str>)> = CALLS
        .iter()
        .map(|call| (call.name, call.arguments.iter().map(|(_, kind)| *kind).collect()))
        .collect();
    let stubs: Vec<(&str, Vec<&str>)> = STUBS.iter().map(|(name, kinds)| (*name, kinds.to_vec())).collect();
    assert_eq!(rows, stubs);
}
