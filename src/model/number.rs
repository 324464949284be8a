//! How many there are, in words.

/// A number of things: `1 object`, `2 objects`. `what` is one of them, with a plural in `s`.
pub fn number_of(number: usize, what: &str) -> String {
    format!("{number} {}", named(number, what))
}

/// What so many of a thing are called.
pub fn named(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{what}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_not_told_as_many() {
        let told = [0, 1, 2].map(|number| number_of(number, "object"));
        assert_eq!(told, ["0 objects", "1 object", "2 objects"]);
    }
}
