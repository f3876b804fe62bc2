use proptest::prelude::*;

use super::*;
use crate::fuzz::parse_any;

fn refused(text: &str) -> (u32, u32, Problem) {
    let error = parse(text.as_bytes()).unwrap_err();
    (error.line, error.column, error.problem)
}

#[test]
fn every_key_is_read() {
    let text = "# First.\n\n[service names]\nprogram = /n\nreceives = names\n[service log]\nprogram = /bin/logd\nreceives = log\n\t# Second.\n[service  web-1 ]\nprogram=/bin/my httpd\nroot = /my www\n\
        args = --port 80 \"a b\"\nenvironment = HOME=/ EMPTY= A=b=c\nrestart = on-failure\ncapabilities = net\tfs-read\n\
        after = log\nreceives = web\nsends = log\nregisters = names\nstdin = console\nstdout = /tmp/out\nstderr = null\nmemory = 16M\nhandles = 256\nthreads = 8";
    let services = parse(text.as_bytes()).unwrap();
    let names = Service { program: "/n", receives: Some("names"), ..empty("names") };
    let log = Service { program: "/bin/logd", receives: Some("log"), ..empty("log") };
    let web = Service {
        name: "web-1",
        program: "/bin/my httpd",
        root: Some("/my www"),
        args: Words::new("--port 80 \"a b\"").unwrap(),
        environment: Words::new("HOME=/ EMPTY= A=b=c").unwrap(),
        restart: Restart::OnFailure,
        capabilities: Capabilities::NET | Capabilities::FS_READ,
        after: Words::new("log").unwrap(),
        receives: Some("web"),
        sends: Words::new("log").unwrap(),
        registers: Words::new("names").unwrap(),
        stdin: Stream::Console,
        stdout: Stream::File("/tmp/out"),
        stderr: Stream::Null,
        memory: 16 << 20,
        handles: 256,
        threads: 8,
    };
    assert_eq!(services, [names, log, web]);
    assert_eq!(
        web.to_string(),
        "[service web-1]\nprogram = /bin/my httpd\nargs = --port 80 \"a b\"\nenvironment = HOME=/ EMPTY= A=b=c\n\
         after = log\nsends = log\nregisters = names\nroot = /my www\nreceives = web\nrestart = on-failure\ncapabilities = fs-read net\nstdin = console\nstdout = /tmp/out\n\
         stderr = null\nmemory = 16777216\nhandles = 256\nthreads = 8\n\n"
    );
}

#[test]
fn nothing_is_a_text_without_services() {
    for text in ["", "\n", " \t\n# [service x]\n"] {
        assert_eq!(parse(text.as_bytes()), Ok(Vec::new()));
    }
}

#[test]
fn each_slip_is_refused_where_it_is() {
    let section = |rest: &str| format!("[service a]\nprogram = /a\n{rest}");
    let cases = [
        ("words", 1, 1, Problem::Line),
        ("program = /x", 1, 1, Problem::NoSection),
        ("  [service]", 1, 11, Problem::Name),
        ("[servicea]", 1, 1, Problem::Section),
        ("[group a]", 1, 1, Problem::Section),
        ("[service a", 1, 1, Problem::Section),
        ("[service a] # x", 1, 1, Problem::Section),
        ("[service A]", 1, 10, Problem::Name),
        ("[service a b]", 1, 10, Problem::Name),
        ("[service 1a]", 1, 10, Problem::Name),
        ("[service abcdefghijklmnopqrstuvwxyz0123456]", 1, 10, Problem::Name),
        ("\n[service a]\nargs = x\n", 2, 1, Problem::NoProgram),
        ("[service a]\nprogram = bin/a", 2, 11, Problem::Path),
        ("[service a]\nprogram = /", 2, 11, Problem::Path),
        ("[service a]\nprogram = /a//b", 2, 11, Problem::Path),
        ("[service a]\nprogram = /a/../b", 2, 11, Problem::Path),
        ("[service a]\nprogram =  ", 2, 10, Problem::NoValue),
        ("[service a]\r\nprogram = /a", 1, 12, Problem::ControlCharacter),
    ];
    for (text, line, column, problem) in cases {
        assert_eq!(refused(text), (line, column, problem), "{text}");
    }
    let cases = [
        ("program = /b", 1, Problem::DuplicateKey),
        ("root = www", 8, Problem::Path),
        ("root = /www/..", 8, Problem::Path),
        ("porgram = /b", 1, Problem::UnknownKey),
        ("  Args = b", 3, Problem::UnknownKey),
        ("args = a \"b", 10, Problem::Quote),
        ("environment = A=b c", 19, Problem::Environment),
        ("environment = =b", 15, Problem::Environment),
        ("restart = Always", 11, Problem::UnknownWord),
        ("capabilities = net everything", 20, Problem::UnknownWord),
        ("capabilities = net net", 20, Problem::DuplicateWord),
        ("capabilities = fs_read", 16, Problem::UnknownWord),
        ("after = b", 9, Problem::UnknownService),
        ("after = a", 9, Problem::UnknownService),
        ("receives = Names", 12, Problem::Name),
        ("receives = a b", 12, Problem::Name),
        ("sends = names", 9, Problem::UnknownEndpoint),
        ("registers = \tnames", 14, Problem::UnknownEndpoint),
        ("stdin = file", 9, Problem::UnknownWord),
        ("stdout = /tmp/", 10, Problem::Path),
        ("memory = 16m", 12, Problem::Number),
        ("memory = M", 10, Problem::Number),
        ("memory = 18446744073709551615K", 10, Problem::Number),
        ("handles = -1", 11, Problem::Number),
        ("threads = 4294967296", 11, Problem::Number),
        ("\u{7}", 1, Problem::ControlCharacter),
        ("[service a]", 10, Problem::DuplicateService),
    ];
    for (line, column, problem) in cases {
        assert_eq!(refused(&section(line)), (3, column, problem), "{line}");
    }
    let served = |rest: &str| {
        format!("[service n]\nprogram = /n\nreceives = names\n[service a]\nprogram = /a\n{rest}")
    };
    let cases = [
        ("receives = names", 12, Problem::DuplicateEndpoint),
        ("sends = n", 9, Problem::UnknownEndpoint),
        ("sends = names log", 15, Problem::UnknownEndpoint),
        ("sends = names names", 15, Problem::DuplicateWord),
    ];
    for (line, column, problem) in cases {
        assert_eq!(refused(&served(line)), (6, column, problem), "{line}");
    }
    for both in ["sends = names\nregisters = names", "registers = names\nsends = names"] {
        assert_eq!(refused(&served(both)).2, Problem::DuplicateWord);
    }
    let itself = section("receives = a\nsends = a");
    assert_eq!(refused(&itself), (4, 9, Problem::UnknownEndpoint));
    let twice = section("[service b]\nprogram = /b\nafter = a a");
    assert_eq!(refused(&twice), (5, 11, Problem::DuplicateWord));
    assert_eq!(parse(b"# \xff").unwrap_err(), Error { line: 1, column: 3, problem: Problem::NotText });
}

#[test]
fn size_is_bounded() {
    let mut text = vec![b'#'; TEXT_MAX];
    assert_eq!(parse(&text), Ok(Vec::new()));
    text.push(b'#');
    assert_eq!(parse(&text).unwrap_err().problem, Problem::TooLong);
    let many =
        |count: usize| (0..count).map(|n| format!("[service s{n}]\nprogram = /s\n")).collect::<String>();
    assert_eq!(parse(many(SERVICES_MAX).as_bytes()).map(|services| services.len()), Ok(SERVICES_MAX));
    let error = parse(many(SERVICES_MAX + 1).as_bytes()).unwrap_err();
    assert_eq!((error.line, error.problem), (513, Problem::TooMany));
}

#[test]
fn the_corpus_holds() {
    for text in [
        &b""[..],
        b"[service a]",
        b"[service a]\nprogram=/a\nargs=\"\"",
        b"[service\n",
        b"=",
        b"[]",
        b"\"",
        b"[service a]\nprogram=/\xc3\xa4",
    ] {
        parse_any(text);
    }
}

fn line() -> impl Strategy<Value = String> {
    let values = "[ a-z/\"=.0-9KMG#-]{0,12}";
    prop_oneof![
        "[a-c]".prop_map(|name| format!("[service {name}]\nprogram = /{name}")),
        (prop::sample::select(&KEYS[..]), values).prop_map(|(key, value)| format!("{key} = {value}")),
        ("[a-c ]{1,5}").prop_map(|names| format!("after = {names}")),
        ("[a-c]").prop_map(|name| format!("receives = {name}")),
        ("(sends|registers)", "[a-c ]{1,4}").prop_map(|(key, names)| format!("{key} = {names}")),
        prop::sample::subsequence(vec!["net", "fs-read", "spawn", "console"], 0..4)
            .prop_map(|names| format!("capabilities = {}", names.join(" "))),
        Just("# Comment.".into()),
        Just(String::new()),
        "[ -~]{0,10}",
    ]
}

proptest! {
    #[test]
    fn what_is_accepted_prints_as_it_was_meant(lines in prop::collection::vec(line(), 0..8)) {
        parse_any(lines.join("\n").as_bytes());
    }

    #[test]
    fn any_service_survives_printing(
        args in prop::collection::vec("[ -!#-~\u{e4}]{0,6}", 0..4),
        bits in any::<u64>(),
        numbers in any::<(u64, u32, u32)>(),
        restart in prop::sample::select(&Restart::ALL[..]),
    ) {
        let args = args.iter().map(|arg| format!("\"{arg}\" ")).collect::<String>();
        let service = Service {
            program: "/bin/a",
            args: Words::new(&args).unwrap(),
            root: (bits & 1 == 1).then_some("/www"),
            restart: restart.1,
            capabilities: Capabilities::from_bits_truncate(bits),
            memory: numbers.0,
            handles: numbers.1,
            threads: numbers.2,
            ..empty("a")
        };
        let printed = service.to_string();
        prop_assert_eq!(parse(printed.as_bytes()), Ok(vec![service]));
    }

    #[test]
    fn no_bytes_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
        parse_any(&text);
    }

    #[test]
    fn every_cut_and_flip_of_a_good_text_is_handled(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let text = b"[service log]\nprogram = /bin/logd\n[service web]\nprogram = /bin/web\nargs = \"a b\" c\nafter = log\n";
        let at = at.index(text.len());
        parse_any(&text[..at]);
        let mut changed = *text;
        changed[at] = byte;
        parse_any(&changed);
    }
}
