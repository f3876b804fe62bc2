//! Buffers that connections share: taken while bytes are in them, given back when empty.

use alloc::{vec, vec::Vec};

use crate::Parameters;

/// Buffers kept for the next user; more are freed.
const KEPT: usize = 64;
/// A reply's head and short text; longer ones (listings) are freed after use.
const OUTPUT_BYTES: usize = 1024;

/// Empty buffers for input and output.
#[derive(Debug)]
pub struct Buffers {
    input_bytes: usize,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

impl Buffers {
    /// None yet; input buffers will hold one head of the size that `parameters` allow.
    #[must_use]
    pub const fn new(parameters: &Parameters) -> Self {
        Self { input_bytes: parameters.limits.head_bytes, inputs: Vec::new(), outputs: Vec::new() }
    }

    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        self.inputs.pop().unwrap_or_else(|| vec![0; self.input_bytes])
    }

    pub(crate) fn give_input(&mut self, buffer: Vec<u8>) {
        if self.inputs.len() < KEPT && !buffer.is_empty() {
            self.inputs.push(buffer);
        }
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.outputs.pop().unwrap_or_else(|| Vec::with_capacity(OUTPUT_BYTES))
    }

    pub(crate) fn give_output(&mut self, mut buffer: Vec<u8>) {
        if self.outputs.len() < KEPT && buffer.capacity() == OUTPUT_BYTES {
            buffer.clear();
            self.outputs.push(buffer);
        }
    }
}
