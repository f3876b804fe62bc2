//! White-box tests: a connection driven segment by segment.

mod attack;
mod close;
mod loss;
mod open;
mod rig;
mod sack;
mod segments;
mod table;
mod urgent;
mod windows;
