//! The file system beside a naive one, over random operations; and the rules one by one.

mod model;
mod rules;
mod sequences;
mod store;
