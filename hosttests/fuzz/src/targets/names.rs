//! Texts and numbers that programs and files give: paths, service files, system calls.

use swos_abi::{CALLS, Call, Errno, result_from_raw, result_to_raw};
use swos_path::{Component, NAME_MAX, Name, PATH_MAX, Path};

use crate::input::Input;

/// Registers of a system call: decoding is total, and knows exactly the numbers of the table.
pub(super) fn abi_call(data: &[u8]) {
    let mut input = Input::new(data);
    while !input.is_empty() {
        // Mostly numbers that exist.
        let number = match input.u8() {
            255 => input.u64(),
            near => u64::from(near),
        };
        let arguments = [(); 6].map(|()| input.u64());
        let call = Call::decode(number, arguments);
        let row = CALLS.iter().find(|row| row.number == number);
        assert_eq!(call == Err(Errno::NOSYS), row.is_none());
        // What a call does not take can't matter.
        let mut fewer = arguments;
        fewer[row.map_or(0, |row| row.arguments.len())..].fill(0);
        assert_eq!(Call::decode(number, fewer), call);
        let raw = input.u64().cast_signed();
        if let Ok(value) = result_from_raw(raw) {
            assert_eq!(result_to_raw(Ok(value)), raw);
        }
    }
}

pub(super) fn abi_call_seeds() -> Vec<Vec<u8>> {
    CALLS
        .iter()
        .map(|row| {
            let mut call = vec![row.number.to_le_bytes()[0]];
            call.extend([3, 0, 0, 0, 0, 0, 0, 0].repeat(7));
            call
        })
        .collect()
}

/// A path: its components put together again name the same.
pub(super) fn path(data: &[u8]) {
    if let Ok(name) = Name::new(data) {
        assert!(!data.is_empty() && data.len() <= NAME_MAX && !data.contains(&0) && !data.contains(&b'/'));
        assert_eq!(name.as_bytes(), data);
    }
    let Ok(path) = Path::new(data) else {
        let longest = data.split(|&byte| byte == b'/').map(<[u8]>::len).max().unwrap_or(0);
        let wrong = data.is_empty() || data.len() > PATH_MAX || data.contains(&0) || longest > NAME_MAX;
        assert!(wrong, "refused without a reason");
        return;
    };
    let parts: Vec<&[u8]> = path
        .components()
        .map(|component| match component {
            Component::Current => &b"."[..],
            Component::Parent => b"..",
            Component::Name(name) => {
                assert_eq!(Name::new(name.as_bytes()), Ok(name));
                name.as_bytes()
            }
        })
        .collect();
    let expected: Vec<&[u8]> = data.split(|&byte| byte == b'/').filter(|part| !part.is_empty()).collect();
    assert_eq!(parts, expected);
    let mut rest = path.components();
    while rest.next().is_some() {}
    assert_eq!(rest.requires_directory(), data.ends_with(b"/"));
    assert!(rest.is_empty());
}

pub(super) fn path_seeds() -> Vec<Vec<u8>> {
    let long = [b"x".repeat(NAME_MAX), b"/".to_vec()].concat();
    let texts: [&[u8]; 6] = [b"/", b"a", b"/www//../etc/./motd", b"../..", b"a/b/", &long.repeat(16)];
    texts.map(<[u8]>::to_vec).into()
}

/// A service file: what is accepted prints as a text that parses to the same.
pub(super) fn services(data: &[u8]) {
    swos_services::fuzz::parse_any(data);
}

pub(super) fn services_seeds() -> Vec<Vec<u8>> {
    vec![include_bytes!("../../../../base/etc/swos/services").to_vec(), EVERY_KEY.to_vec()]
}

/// A service file that says everything that can be said.
const EVERY_KEY: &[u8] = b"[service first]
program = /bin/first
args = a \"b c\" d
environment = PATH=/bin TERM=swos \"NAME=two words\"
restart = always
stdin = null
stdout = /run/first.log
stderr = console
memory = 16M
handles = 64
threads = 8

[service second]
program = /bin/second one
after = first
capabilities = net fs-read
restart = never
memory = 4096
";
