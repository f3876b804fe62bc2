//! Boots of the whole system under QEMU.
