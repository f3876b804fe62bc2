use super::*;

fn word(content: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(content[index * 8..index * 8 + 8].try_into().unwrap())
}

#[test]
fn the_stack_has_the_customary_shape() {
    let top = 0x10_0000;
    let strings = Strings { args: b"/bin/a\0-x\0".to_vec(), env: b"K=V\0".to_vec() };
    let content = stack_content(top, &strings, &[7; 16], 0x1234, 0x5000).unwrap();
    assert!(content.len().is_multiple_of(16));
    let base = top - content.len() as u64;
    let text = |at: u64| {
        let from = &content[usize::try_from(at - base).unwrap()..];
        from[..from.iter().position(|&byte| byte == 0).unwrap()].to_vec()
    };
    assert_eq!(word(&content, 0), 2);
    assert_eq!(text(word(&content, 1)), b"/bin/a");
    assert_eq!(text(word(&content, 2)), b"-x");
    assert_eq!(word(&content, 3), 0);
    assert_eq!(text(word(&content, 4)), b"K=V");
    assert_eq!(word(&content, 5), 0);
    let aux: Vec<(u64, u64)> =
        (0..5).map(|i| (word(&content, 6 + 2 * i), word(&content, 7 + 2 * i))).collect();
    assert!(aux.contains(&(AUX_ENTRY, 0x1234)) && aux.contains(&(AUX_TIME_PAGE, 0x5000)));
    let random = aux.iter().find(|entry| entry.0 == AUX_RANDOM).unwrap().1;
    assert_eq!(content[usize::try_from(random - base).unwrap()..][..16], [7; 16]);
    assert_eq!(aux[4], (AUX_END, 0));
}

#[test]
fn too_long_strings_are_refused() {
    let strings = Strings { args: vec![0; STRINGS_MAX + 1], env: Vec::new() };
    assert!(stack_content(1 << 30, &strings, &[0; 16], 0, 0).is_none());
}

#[test]
fn pointers_count_as_well() {
    let most = STRINGS_MAX / (2 + 8);
    let content = |count: usize| {
        let strings = Strings { args: b"x\0".repeat(count - 1), env: b"y\0".to_vec() };
        stack_content(1 << 30, &strings, &[0; 16], 0, 0)
    };
    assert!(content(most).is_some());
    assert!(content(most + 1).is_none());
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
    assert_eq!(starts(b"ab\0\0c\0", 3).unwrap(), [0, 3, 4]);
    assert_eq!(starts(b"ab\0\0c\0", 2), None);
    assert_eq!(starts(b"", 0).unwrap(), [0_u64; 0]);
}
