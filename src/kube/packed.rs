//! Objects kept in little memory.

use std::sync::Arc;

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// An object's JSON, compressed against another object of its kind: they have most of
/// their text in common, managedFields above all.
pub(super) struct Packed {
    dictionary: Arc<[u8]>,
    length: usize,
    bytes: Box<[u8]>,
}

impl Packed {
    /// Packs an object's JSON.
    pub(super) fn new(json: &[u8], dictionary: &Arc<[u8]>) -> Self {
        Self {
            dictionary: Arc::clone(dictionary),
            length: json.len(),
            bytes: compress_with_dict(json, dictionary).into(),
        }
    }

    /// How much memory it takes, besides what it is packed against.
    pub(super) fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The JSON again.
    pub(super) fn json(&self) -> Vec<u8> {
        decompress_with_dict(&self.bytes, self.length, &self.dictionary)
            .expect("it was compressed here with this dictionary")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let dictionary: Arc<[u8]> = Arc::from(&br#"{"metadata":{"name":"a"}}"#[..]);
        for text in ["", "{}", r#"{"metadata":{"name":"another"}}"#] {
            let packed = Packed::new(text.as_bytes(), &dictionary);
            assert_eq!(packed.json(), text.as_bytes());
        }
        let none: Arc<[u8]> = Arc::from(&b""[..]);
        assert_eq!(Packed::new(b"{\"a\":1}", &none).json(), b"{\"a\":1}");
    }

    #[test]
    fn like_objects_take_little() {
        let object = |name: &str| {
            let fields: Vec<String> = (0..200).map(|at| format!("\"f:{at}\":{{}}")).collect();
            let fields = fields.join(",");
            format!("{{\"name\":\"{name}\",{fields}}}").into_bytes()
        };
        let dictionary: Arc<[u8]> = object("first").into();
        let second = object("second");
        assert!(Packed::new(&second, &dictionary).bytes.len() * 10 < second.len());
    }
}
