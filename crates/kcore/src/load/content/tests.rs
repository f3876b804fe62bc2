use super::*;

const TOP: u64 = 0x10_0000;

fn strings(args: &[u8], env: &[u8]) -> Strings {
    Strings { texts: [args, env].concat(), args_len: args.len() }
}

/// The content in one piece, as the pages hold it, and in how many slices it was made.
fn made(strings: Strings) -> Result<(Vec<u8>, usize), Errno> {
    let places = Places { top: TOP, entry: 0x1234, time_page: 0x5000 };
    let mut content = Content::new(strings, &[7; 16], places)?;
    let mut slices = 1;
    while !content.go_on(&mut Credit::new())? {
        slices += 1;
    }
    let start = content.start();
    let mut bytes = Vec::new();
    for page in (start & !0xFFF..TOP).step_by(PAGE_SIZE) {
        let mut frame = [0; PAGE_SIZE];
        for (offset, part) in content.in_page(page) {
            frame[offset..offset + part.len()].copy_from_slice(part);
        }
        bytes.extend(frame);
    }
    assert!(start.is_multiple_of(16));
    let lead = usize::try_from(start & 0xFFF).unwrap();
    assert!(bytes[..lead].iter().all(|&byte| byte == 0));
    Ok((bytes.split_off(lead), slices))
}

fn word(content: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(content[index * 8..index * 8 + 8].try_into().unwrap())
}

fn text(content: &[u8], at: u64) -> &[u8] {
    let base = TOP - content.len() as u64;
    let from = &content[usize::try_from(at - base).unwrap()..];
    &from[..from.iter().position(|&byte| byte == 0).unwrap()]
}

#[test]
fn the_stack_has_the_customary_shape() {
    let (content, slices) = made(strings(b"/bin/a\0-x\0", b"K=V\0")).unwrap();
    assert_eq!(slices, 1);
    assert_eq!(word(&content, 0), 2);
    assert_eq!(text(&content, word(&content, 1)), b"/bin/a");
    assert_eq!(text(&content, word(&content, 2)), b"-x");
    assert_eq!(word(&content, 3), 0);
    assert_eq!(text(&content, word(&content, 4)), b"K=V");
    assert_eq!(word(&content, 5), 0);
    let aux: Vec<(u64, u64)> =
        (0..5).map(|i| (word(&content, 6 + 2 * i), word(&content, 7 + 2 * i))).collect();
    assert!(aux.contains(&(AUX_ENTRY, 0x1234)) && aux.contains(&(AUX_TIME_PAGE, 0x5000)));
    let random = aux.iter().find(|entry| entry.0 == AUX_RANDOM).unwrap().1;
    let base = TOP - content.len() as u64;
    assert_eq!(content[usize::try_from(random - base).unwrap()..][..16], [7; 16]);
    assert_eq!(aux[4], (AUX_END, 0));
}

#[test]
fn nothing_at_all_is_two_empty_lists() {
    let (content, _) = made(strings(b"", b"")).unwrap();
    assert_eq!((word(&content, 0), word(&content, 1), word(&content, 2)), (0, 0, 0));
    assert_eq!(word(&content, 3), AUX_PAGE_SIZE);
}

#[test]
fn many_and_long_strings_go_in_slices() {
    let args: Vec<Vec<u8>> =
        (0..3000_usize).map(|n| vec![b"abcdefghijklmnopqrstuvwxyz"[n % 26]; n * n % 29]).collect();
    let env: Vec<Vec<u8>> = vec![vec![b'e'; 40_000], vec![], vec![b'f'; 8191], vec![b'g'; 4095]];
    let join = |list: &[Vec<u8>]| list.iter().flat_map(|text| [text, &[0][..]].concat()).collect::<Vec<u8>>();
    let (content, slices) = made(strings(&join(&args), &join(&env))).unwrap();
    assert!(slices > 5, "{slices}");
    assert_eq!(word(&content, 0), 3000);
    for (index, wanted) in args.iter().chain([&vec![]]).chain(&env).enumerate() {
        match (index, word(&content, 1 + index)) {
            (3000, found) => assert_eq!(found, 0),
            (_, at) => assert_eq!(text(&content, at), wanted, "{index}"),
        }
    }
}

#[test]
fn too_long_strings_are_refused() {
    assert_eq!(made(strings(&[0; STRINGS_MAX + 1], b"")), Err(Errno::TOOBIG));
}

#[test]
fn pointers_count_as_well() {
    let most = STRINGS_MAX / (2 + 8);
    for env in [1, 5000] {
        let content = |count: usize| made(strings(&b"x\0".repeat(count - env), &b"y\0".repeat(env)));
        assert!(content(most).is_ok());
        assert_eq!(content(most + 1), Err(Errno::TOOBIG));
    }
}

#[test]
fn strings_end_at_their_first_zero() {
    let letters: Vec<u8> = (1..=255).cycle().take(600).collect();
    for len in 0..40 {
        for bytes in [&letters[..len], &letters[230..230 + len]] {
            let mut more = bytes.to_vec();
            assert_eq!(length(&more), len);
            more.extend([0, 1, 0, 0x80, 0, 0]);
            assert_eq!(length(&more), len);
        }
    }
}
