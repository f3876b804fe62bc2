use super::*;
use proptest::prelude::*;

#[test]
fn reads_what_is_ours_and_leaves_the_rest() {
    let line = "quiet swos.exit=semihosting root=/dev/vda swos.panic=reset swos.log=warning swos.ip=10.0.2.15/24 \
                swos.gateway=10.0.2.2 swos.disk-timeout=5";
    let options = Options::parse(line);
    assert!(options.exit_by_semihosting);
    assert_eq!(options.panic, PanicEnd::Reset);
    assert_eq!(options.log, LogLevel::Warning);
    assert_eq!(options.address, Some((Ipv4Addr::new(10, 0, 2, 15), 24)));
    assert_eq!(options.gateway, Some(Ipv4Addr::new(10, 0, 2, 2)));
    assert_eq!(options.disk_timeout, Some(5));
    assert_eq!(options.init, "");
    assert!(options.refused.is_empty());
}

#[test]
fn the_first_program_gets_what_follows_two_dashes() {
    let options = Options::parse("swos.log=debug -- swos.log=error -- x");
    assert_eq!(options.log, LogLevel::Debug);
    assert_eq!(options.init, "swos.log=error -- x");
    assert_eq!(Options::parse("-- a").init, "a");
    assert_eq!(Options::parse("x-- a").init, "");
}

#[test]
fn names_the_words_that_it_refuses() {
    let options =
        Options::parse("swos.ip=10.0.2.15/33 swos.gateway=here swos.panic=never swos.exit=door swos.ip=1");
    assert_eq!(
        options.refused.as_slice(),
        ["swos.ip=10.0.2.15/33", "swos.gateway=here", "swos.panic=never", "swos.exit=door", "swos.ip=1"]
    );
    assert_eq!(options.address, None);
    for wrong in
        ["swos.disk-timeout=0", "swos.disk-timeout=3601", "swos.disk-timeout=", "swos.disk-timeout=5s"]
    {
        let options = Options::parse(wrong);
        assert_eq!((options.disk_timeout, options.refused.as_slice()), (None, [wrong].as_slice()));
    }
}

#[test]
fn sources_of_the_log_have_levels_of_their_own() {
    let options = Options::parse("swos.log=warning,net:debug,httpd:off");
    assert_eq!(options.log, LogLevel::Warning);
    assert_eq!(options.log_sources.as_slice(), [("net", Some(LogLevel::Debug)), ("httpd", None)]);
    let options = Options::parse("swos.log=net:info");
    assert_eq!((options.log, options.log_sources.len()), (LogLevel::Info, 1));
    for wrong in ["swos.log=loud", "swos.log=net:loud", "swos.log=:debug", "swos.log=", "swos.log=debug,"] {
        assert_eq!(Options::parse(wrong).refused.as_slice(), [wrong]);
    }
    let many = "swos.log=a:off,b:off,c:off,d:off,e:off,f:off,g:off,h:off,i:off";
    assert_eq!(Options::parse(many).refused.as_slice(), [many]);
}

proptest! {
    #[test]
    fn never_panics(line in ".*") {
        let _ = Options::parse(&line);
    }
}
