#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn source(last: u8) -> Source {
    Source::of(Ipv4Addr::new(10, 0, 0, last).into())
}

/// Places with connections that never end, and how many of each source are left.
async fn left(most: usize, arriving: &[u8]) -> Vec<usize> {
    let (mut places, mut connections) = (Places::new(most), JoinSet::new());
    for last in arriving {
        let connection = connections.spawn(std::future::pending::<()>());
        places.enter(source(*last), connection);
    }
    let kept = places.taken.len();
    while connections.len() > kept {
        let ended = connections.join_next().await.unwrap();
        assert!(ended.is_err(), "what has no place is ended");
    }
    (0..4).map(|last| places.count(source(last))).collect()
}

#[tokio::test]
async fn one_source_has_a_quarter_and_the_others_have_theirs() {
    let many = [0; 100];
    assert_eq!(left(16, &many).await, [4, 0, 0, 0]);
    let others = [&many[..], &[1, 2, 3, 1]].concat();
    assert_eq!(left(16, &others).await, [4, 2, 1, 1]);
}

#[tokio::test]
async fn where_all_are_taken_who_has_most_gives_one_up() {
    let full: Vec<u8> = [[10; 3], [11; 3], [12; 3], [13; 3]].concat();
    let more = [&full[..], &[0, 0, 1, 2, 3, 0]].concat();
    let places = left(16, &more).await;
    assert_eq!(places, [3, 1, 1, 1]);
}

#[test]
fn a_network_of_ipv6_is_one_source() {
    let one: Ipv6Addr = "2001:db8:1:2::1".parse().unwrap();
    let other: Ipv6Addr = "2001:db8:1:2:ffff::9".parse().unwrap();
    let third: Ipv6Addr = "2001:db8:1:3::1".parse().unwrap();
    assert_eq!(Source::of(one.into()), Source::of(other.into()));
    assert_ne!(Source::of(one.into()), Source::of(third.into()));
    let mapped = Ipv4Addr::new(10, 0, 0, 7).to_ipv6_mapped();
    assert_eq!(Source::of(mapped.into()), source(7));
}
