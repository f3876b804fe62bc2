use super::*;

fn has(machine: &Machine, words: &[&str]) -> bool {
    machine.arguments().windows(words.len()).any(|window| window == words)
}

#[test]
fn every_choice_reaches_the_command_line() {
    let machine = Machine::new("k")
        .smp(4)
        .memory_mib(32)
        .gic(Gic::V3)
        .cpu("max")
        .append("a=1")
        .append("b")
        .only("/bin/x y")
        .disk("x,y.img")
        .network(&[Forward { host: 8081, guest: 80 }])
        .exit_by(ExitBy::Semihosting)
        .extra(["-s"]);
    assert!(has(&machine, &["-M", "virt,gic-version=3", "-cpu", "max"]));
    assert!(has(&machine, &["-smp", "4", "-m", "32M"]));
    assert!(has(&machine, &["-append", "swos.exit=semihosting a=1 b -- /bin/x y"]));
    assert!(has(&machine, &["-drive", "file=x,,y.img,if=none,id=base,format=raw,readonly=on"]));
    assert!(has(&machine, &["-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:8081-:80"]));
    assert!(has(&machine, &["-semihosting-config", "enable=on,target=native"]));
    assert!(has(&machine, &["-s"]));
    assert_eq!(machine.host_port(80), Some(8081));
    assert_eq!(machine.host_port(22), None);
}

#[test]
fn bad_sectors_stand_before_the_disk() {
    let line = Machine::new("k").disk("x,y.img").unreadable([7, 4096]).command_line();
    assert!(line.contains("file.image.filename=x,,y.img,if=none,id=base,readonly=on"), "{line}");
    assert!(line.contains("file.inject-error.0.sector=7,file.inject-error.0.errno=5"), "{line}");
    assert!(line.contains("file.inject-error.1.event=read_aio,file.inject-error.1.sector=4096"), "{line}");
}

#[test]
fn command_line_survives_a_shell() {
    let machine = Machine::new("it's here").append("two words");
    let line = machine.command_line();
    assert!(line.contains(r"-kernel 'it'\''s here'"), "{line}");
    assert!(line.ends_with("-append 'two words'"), "{line}");
}

#[test]
fn nothing_is_plugged_in_unasked() {
    let line = Machine::new("k").command_line();
    for absent in ["-drive", "-netdev", "-append", "-semihosting-config"] {
        assert!(!line.contains(absent), "{absent}");
    }
}
