//! Network simulation.
