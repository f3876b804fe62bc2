use super::*;
use core::net::SocketAddr;

fn flow(port: u16) -> Flow {
    Flow { local: SocketAddr::from(([10, 0, 0, 1], 80)), remote: SocketAddr::from(([10, 0, 0, 2], port)) }
}

const PEER: SeqNumber = SeqNumber(77);

#[test]
fn comes_back_with_its_mss_class() {
    let mut cookies = Cookies::new([3; 16]);
    let now = Instant::ZERO + Duration::from_secs(1000);
    for (mss, class) in [(10, 216), (536, 536), (1459, 1440), (1460, 1460), (9000, 8960), (65535, 8960)] {
        let cookie = cookies.issue(now, &flow(1), PEER, mss);
        assert_eq!(cookies.check(now, &flow(1), PEER, cookie), Some(class));
        assert_eq!(cookies.check(now + EPOCH, &flow(1), PEER, cookie), Some(class));
    }
}

#[test]
fn counts_only_for_its_flow_number_and_time() {
    let mut cookies = Cookies::new([3; 16]);
    let now = Instant::ZERO + Duration::from_secs(1000);
    let cookie = cookies.issue(now, &flow(1), PEER, 1460);
    assert_eq!(cookies.check(now, &flow(2), PEER, cookie), None);
    assert_eq!(cookies.check(now, &flow(1), PEER + 1, cookie), None);
    assert_eq!(Cookies::new([4; 16]).check(now, &flow(1), PEER, cookie), None);
    assert_eq!(cookies.check(now + EPOCH.saturating_mul(2), &flow(1), PEER, cookie), None);
    // Nobody was given a cookie lately: none is accepted, however right.
    let mut quiet = Cookies::new([3; 16]);
    assert_eq!(quiet.check(now, &flow(1), PEER, cookie), None);
    quiet.issue(now, &flow(9), PEER, 1460);
    assert_eq!(quiet.check(now, &flow(1), PEER, cookie), Some(1460));
}

#[test]
fn guessing_does_not_work() {
    let mut cookies = Cookies::new([3; 16]);
    let now = Instant::ZERO + Duration::from_secs(1000);
    let cookie = cookies.issue(now, &flow(1), PEER, 1460);
    let near = (1..20_000).filter(|&i| cookies.check(now, &flow(1), PEER, cookie + i).is_some()).count();
    assert_eq!(near, 0);
    let ports = (2..20_000).filter(|&p| cookies.check(now, &flow(p), PEER, cookie).is_some()).count();
    assert_eq!(ports, 0);
}
