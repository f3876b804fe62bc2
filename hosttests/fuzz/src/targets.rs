//! The table of targets.

mod elf;
mod http;
mod image;
mod kernel;
mod machine;
mod names;
mod stack;
mod tcp;
mod wire;

pub use kernel::{Answer, calls_made, take_answers};

/// One border and what may cross it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its folder in the corpus.
    pub name: &'static str,
    /// Takes any bytes; panics if a promise is broken.
    pub run: fn(&[u8]),
    /// Good inputs to start from, made by code so that they follow the formats.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Mutated inputs that the normal tests run: about a second's worth.
    pub test_runs: u32,
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

macro_rules! targets {
    ($($name:literal $module:ident::$run:ident $seeds:ident $test_runs:literal;)*) => {
        /// Every target.
        pub const TARGETS: &[Target] = &[$(Target {
            name: $name,
            run: $module::$run,
            seeds: $module::$seeds,
            test_runs: $test_runs,
        }),*];
    };
}

targets! {
    "abi_call" names::abi_call abi_call_seeds 20_000;
    "boot_options" machine::boot_options boot_options_seeds 10_000;
    "device_tree" machine::device_tree device_tree_seeds 3_000;
    "elf" elf::elf elf_seeds 10_000;
    "http_date" http::date date_seeds 20_000;
    "http_head" http::head head_seeds 5_000;
    "http_path" http::path path_seeds 10_000;
    "http_server" http::server server_seeds 2_000;
    "netstack" stack::netstack netstack_seeds 1_000;
    "path" names::path path_seeds 10_000;
    "services" names::services services_seeds 3_000;
    "swosbase_v3" image::v3 v3_seeds 3_000;
    "swosbase_v4_image" image::v4_image v4_image_seeds 100;
    "swosbase_v4_metadata" image::v4_metadata v4_metadata_seeds 3_000;
    "swosbase_v4_superblock" image::v4_superblock v4_superblock_seeds 5_000;
    "system_calls" kernel::system_calls system_calls_seeds 30;
    "tcp" tcp::tcp tcp_seeds 2_000;
    "wire_arp" wire::arp arp_seeds 10_000;
    "wire_ethernet" wire::ethernet ethernet_seeds 10_000;
    "wire_icmpv4" wire::icmpv4 icmpv4_seeds 10_000;
    "wire_ipv4" wire::ipv4 ipv4_seeds 10_000;
    "wire_tcp" wire::tcp tcp_seeds 10_000;
    "wire_udp" wire::udp udp_seeds 10_000;
}
