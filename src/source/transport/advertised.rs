//! What the list of refs says of the server's own copy, which libgit2 trips over.

/// How a line begins that says where a history is cut off: its length, as Git writes it.
const CUT: &[u8] = b"0035shallow ";

/// A reading of the list, piece by piece.
#[derive(Debug, Default)]
pub(super) struct Advertised {
    is_cut: bool,
    /// The end of the piece before.
    end: Vec<u8>,
}

impl Advertised {
    /// Whether the server's copy is a shallow one, as far as was read.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Takes note of a piece.
    pub(super) fn read(&mut self, piece: &[u8]) {
        if self.is_cut {
            return;
        }
        self.end.extend_from_slice(piece);
        self.is_cut = self.end.windows(CUT.len()).any(|window| window == CUT);
        let over = self.end.len().saturating_sub(CUT.len() - 1);
        self.end.drain(..over);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_seen_wherever_the_pieces_end() {
        let list = b"003d1111 refs/heads/main\n0035shallow 1111\n0000";
        for at in 0..list.len() {
            let mut advertised = Advertised::default();
            advertised.read(&list[..at]);
            advertised.read(&list[at..]);
            assert!(advertised.is_cut(), "{at}");
        }
        let mut whole = Advertised::default();
        whole.read(b"003d1111 refs/heads/shallow\n0000");
        assert!(!whole.is_cut());
    }
}
