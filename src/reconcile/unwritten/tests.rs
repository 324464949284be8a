#![expect(clippy::unwrap_used, reason = "a test may panic")]

use super::*;
use crate::model::Signature;

fn entry(number: usize, file: &str, content: usize) -> Entry {
    Entry {
        subject: format!("staging: number {number}"),
        body: String::new(),
        trailers: Vec::new(),
        author: Signature {
            name: "ada".to_owned(),
            email: "ada@example.com".to_owned(),
            time: Timestamp::UNIX_EPOCH,
        },
        time: Timestamp::UNIX_EPOCH,
        changes: Changes::from([(file.to_owned(), Some(vec![b'x'; content]))]),
    }
}

fn unwritten() -> Unwritten {
    Unwritten::new(&"staging".parse().unwrap())
}

#[test]
fn what_fails_stays_in_its_place() {
    let mut unwritten = unwritten();
    (0..5).for_each(|number| unwritten.take(entry(number, "a", 1)));
    let mut written = Vec::new();
    for room in [0, 2, 1, 9] {
        let mut left = room;
        let result = unwritten.write(|entry| {
            if left == 0 {
                return Err("full");
            }
            left -= 1;
            written.push(entry.subject.clone());
            Ok(())
        });
        assert_eq!(result.is_ok(), room == 9);
    }
    let all: Vec<String> = (0..5)
        .map(|number| format!("staging: number {number}"))
        .collect();
    assert_eq!(written, all);
    assert_eq!(
        (unwritten.written(), unwritten.count(), unwritten.size),
        (5, 0, 0)
    );
}

#[test]
fn a_long_wait_costs_details_and_no_file() {
    let mut unwritten = unwritten();
    let count = 3 * MOST / 10_000;
    for number in 0..count {
        let file = format!("file-{}", number % 7);
        unwritten.take(entry(number, &file, 10_000 + number % 3));
    }
    assert!(unwritten.size <= MOST);
    assert_eq!(unwritten.count(), count as u64);
    let mut written = Vec::new();
    let mut tree = Changes::new();
    let result: Result<(), ()> = unwritten.write(|entry| {
        tree.extend(entry.changes.clone());
        written.push(entry.clone());
        Ok(())
    });
    result.unwrap();
    assert_eq!(unwritten.written(), count as u64);
    for number in count - 7..count {
        let content = tree[&format!("file-{}", number % 7)].as_ref();
        assert_eq!(content.map(Vec::len), Some(10_000 + number % 3));
    }
    let first = written[0].message();
    let gathered = count - (written.len() - 1);
    assert!(first.contains(&format!("{gathered} entries")), "{first}");
    assert!(first.contains("staging: number 0\n"), "{first}");
    assert!(
        first.contains(&format!("… and {} more\n", gathered - SUBJECTS)),
        "{first}"
    );
}
