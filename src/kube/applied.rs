//! The list of what was applied as it stands in an inventory: in little room, and under a
//! keyed digest, so that nobody else can make one up or copy it from another unit.
//!
//! `1.<seal>.<list>`: the seal is over environment, unit and list. The list is base64 of
//! the length of the names, the names, and the uids in their order, 16 bytes each. The
//! names, deflated, are one line for each kind and namespace (`=Kind.group namespace`),
//! and one for each object in it: the name, behind it ` ?` for one that is only intended,
//! or ` ` and the uid where that is no UUID.

use std::io::{Read as _, Write as _};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::error::ApiError;
use super::inventory::InventoryParent;
use crate::model::{Applied, AppliedList, DigestKey, GroupKind, Namespace, ObjectId, Uid};

/// The longest list: a ConfigMap holds 1 MiB, and what is known clean stands beside it.
const LONGEST: usize = 640 * 1024;
/// The longest names of a list that is read, whoever wrote it.
const LONGEST_NAMES: u64 = 16 * 1024 * 1024;
/// Of this format.
const VERSION: &str = "1";
/// What the agent's key is made into for this.
const PURPOSE: &str = "the list of what was applied";

/// What makes the list of an inventory believed.
#[derive(Debug, Clone)]
pub enum ListKey {
    /// It was written under this key.
    Ours(DigestKey),
    /// The key can't be had here: the list is shown as it stands, and nothing is done.
    Unknown,
}

/// Why a list says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It is not there: the inventory is of an earlier release, or not ours at all.
    Missing,
    /// It was not written under our key for this unit, or is damaged.
    Wrong,
}

impl InventoryParent {
    /// The list as it is kept.
    ///
    /// # Errors
    /// When it is too long for a ConfigMap.
    pub(super) fn list_text(
        &self,
        list: &AppliedList,
        key: &DigestKey,
    ) -> Result<String, ApiError> {
        let text = STANDARD_NO_PAD.encode(packed(list));
        if text.len() > LONGEST {
            return Err(ApiError::Rejected(format!(
                "the unit {} of {} has {} objects, and the list of what was applied would take {} bytes, more than the {LONGEST} that its inventory has room for; split the unit",
                self.unit,
                self.environment,
                list.len(),
                text.len()
            )));
        }
        let seal = key.derived(PURPOSE).seal(&self.sealed(&text));
        Ok(format!("{VERSION}.{}.{text}", hex::encode(seal)))
    }

    /// Reads it again.
    pub(super) fn read_list(&self, text: &str, key: &ListKey) -> Result<AppliedList, Lost> {
        let rest = text
            .strip_prefix(VERSION)
            .and_then(|it| it.strip_prefix('.'));
        let (seal, text) = rest.and_then(|it| it.split_once('.')).ok_or(Lost::Wrong)?;
        let seal = hex::decode(seal).map_err(|_| Lost::Wrong)?;
        let holds = match key {
            ListKey::Ours(key) => key.derived(PURPOSE).holds(&self.sealed(text), &seal),
            ListKey::Unknown => true,
        };
        let packed = STANDARD_NO_PAD.decode(text).ok().filter(|_| holds);
        packed
            .and_then(|packed| unpacked(&packed))
            .ok_or(Lost::Wrong)
    }

    /// Neither name can hold the character that ends it.
    fn sealed(&self, text: &str) -> Vec<u8> {
        format!("{}\n{}\n{text}", self.environment, self.unit).into_bytes()
    }
}

fn packed(list: &AppliedList) -> Vec<u8> {
    let (mut names, mut uids) = (String::new(), Vec::new());
    let mut before: Option<(&GroupKind, &Option<Namespace>)> = None;
    for (id, applied) in list {
        let place = (&id.kind, &id.namespace);
        if before.replace(place) != Some(place) {
            let namespace = id.namespace.as_deref().unwrap_or_default();
            names.extend(["=", &id.kind.to_string(), " ", namespace, "\n"]);
        }
        names.push_str(&id.name);
        match applied {
            Applied::Intended => names.push_str(" ?"),
            Applied::Is(uid) => match uid.bytes() {
                Some(bytes) => uids.extend_from_slice(bytes),
                None => names.extend([" ", &uid.to_string()]),
            },
        }
        names.push('\n');
    }
    let names = deflated(names.as_bytes());
    let length = u32::try_from(names.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&length[..], &names, &uids].concat()
}

fn unpacked(bytes: &[u8]) -> Option<AppliedList> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (names, uids) = rest.split_at_checked(length)?;
    let (mut uids, names) = (uids.chunks_exact(16), inflated(names)?);
    let (mut place, mut list) = (None, Vec::new());
    for line in names.lines() {
        if let Some(header) = line.strip_prefix('=') {
            place = Some(header.split_once(' ')?);
            continue;
        }
        let (kind, namespace) = place?;
        let (name, applied) = match line.split_once(' ') {
            Some((name, "?")) => (name, Applied::Intended),
            Some((name, uid)) => (name, Applied::Is(Uid::parse(uid)?)),
            None => {
                let uid = uids.next()?.try_into().ok()?;
                (line, Applied::Is(Uid::from_bytes(uid)))
            }
        };
        let namespace = Some(namespace).filter(|it| !it.is_empty());
        let id = ObjectId::parse(kind.parse().ok()?, namespace, name).ok()?;
        list.push((id, applied));
    }
    let whole = uids.next().is_none() && uids.remainder().is_empty();
    whole.then(|| list.into_iter().collect())
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("nothing fails that is written into memory")
}

/// A few bytes may become very many: no more than anything that we would write.
fn inflated(bytes: &[u8]) -> Option<String> {
    let mut text = String::new();
    let mut decoder = DeflateDecoder::new(bytes).take(LONGEST_NAMES);
    decoder.read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(environment: &str, unit: &str) -> InventoryParent {
        let (environment, unit) = (environment.parse(), unit.parse());
        InventoryParent::new(
            &"agent".parse().expect("a name"),
            &environment.expect("a name"),
            &unit.expect("a name"),
        )
    }

    fn key(byte: u8) -> DigestKey {
        DigestKey::new([byte; 32])
    }

    /// So many objects with names as people give them.
    fn list(count: u32) -> AppliedList {
        let object = |number: u32| {
            let kinds = [
                "ConfigMap",
                "Service",
                "Deployment.apps",
                "Widget.example.com",
            ];
            let kind = kinds[number as usize % 4].parse().expect("a kind");
            let namespace = (!number.is_multiple_of(7)).then(|| format!("team-{}", number % 50));
            let name = number.wrapping_mul(2_654_435_761);
            let name = format!("payments-{name:x}-worker-{number}");
            let digest = key(1).seal(&number.to_le_bytes());
            let uid = digest.first_chunk().expect("it is longer");
            let applied = match number % 100 {
                8 => Applied::Intended,
                9 => Applied::Is(Uid::parse(&format!("uid-{number}")).expect("it is not empty")),
                _ => Applied::Is(Uid::from_bytes(*uid)),
            };
            let id = ObjectId::parse(kind, namespace.as_deref(), &name);
            (id.expect("a name"), applied)
        };
        (0..count).map(object).collect()
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let parent = parent("staging", "shop");
        for count in [0, 1, 10, 1000] {
            let text = parent
                .list_text(&list(count), &key(7))
                .expect("it is short");
            for read_with in [ListKey::Ours(key(7)), ListKey::Unknown] {
                assert_eq!(parent.read_list(&text, &read_with), Ok(list(count)));
            }
        }
    }

    #[test]
    fn a_list_of_another_unit_or_another_key_says_nothing() {
        let text = parent("staging", "shop")
            .list_text(&list(10), &key(7))
            .expect("it is short");
        let read = |environment, unit, with| {
            parent(environment, unit).read_list(&text, &ListKey::Ours(key(with)))
        };
        assert_eq!(read("staging", "shop", 8), Err(Lost::Wrong));
        assert_eq!(read("staging", "web", 7), Err(Lost::Wrong));
        assert_eq!(read("production", "shop", 7), Err(Lost::Wrong));
        assert!(read("staging", "shop", 7).is_ok());
    }

    #[test]
    fn a_list_that_was_tampered_with_says_nothing() {
        let parent = parent("staging", "shop");
        let text = parent.list_text(&list(10), &key(7)).expect("it is short");
        let longer = parent.list_text(&list(11), &key(8)).expect("it is short");
        let (seal, _) = text.rsplit_once('.').expect("it has parts");
        let (_, other) = longer.rsplit_once('.').expect("it has parts");
        for tampered in [
            format!("{seal}.{other}"),
            text.replacen("1.", "2.", 1),
            text[..text.len() - 4].to_owned(),
            "1.00.".to_owned(),
            "1.".to_owned(),
            String::new(),
        ] {
            let read = parent.read_list(&tampered, &ListKey::Ours(key(7)));
            assert_eq!(read, Err(Lost::Wrong), "{tampered}");
        }
        // Without a key, what is damaged is still no list.
        for damaged in ["1.00.AAAA", "1.00./////w", "1.00.AQAAAAA"] {
            assert_eq!(
                parent.read_list(damaged, &ListKey::Unknown),
                Err(Lost::Wrong)
            );
        }
    }

    #[test]
    fn ten_thousand_objects_have_room_in_a_config_map() {
        let parent = parent("staging", "shop");
        let text = parent
            .list_text(&list(10_000), &key(7))
            .expect("it is short enough");
        assert!(text.len() < 450 * 1024, "{}", text.len());
        assert_eq!(
            parent.read_list(&text, &ListKey::Ours(key(7))),
            Ok(list(10_000))
        );
    }

    #[test]
    fn a_list_that_has_no_room_is_refused_with_what_to_do() {
        let parent = parent("staging", "shop");
        let told = parent
            .list_text(&list(40_000), &key(7))
            .map_err(|error| error.to_string());
        let told = told.expect_err("it is too long");
        assert!(
            told.starts_with("the unit shop of staging has 40000 objects"),
            "{told}"
        );
        assert!(told.ends_with("split the unit"), "{told}");
    }
}
