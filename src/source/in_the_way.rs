//! Branches that Git can't keep beside each other: `live` and `live/x` would be a file and a
//! directory of one name. Pure.

/// The branch that is in the way of another one.
pub(super) fn of<'a>(wanted: &str, branches: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let beneath = |one: &str, other: &str| {
        one.strip_prefix(other)
            .is_some_and(|rest| rest.starts_with('/'))
    };
    branches
        .into_iter()
        .find(|branch| beneath(wanted, branch) || beneath(branch, wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_is_in_the_way_of_those_beneath_and_above_it() {
        let cases = [
            ("live/x", "live", true),
            ("live", "live/x", true),
            ("live/x/y", "live", true),
            ("live/x", "live/x", false),
            ("live/x", "lives", false),
            ("live/x", "live/y", false),
            ("lives/x", "live", false),
        ];
        for (wanted, branch, expected) in cases {
            assert_eq!(
                of(wanted, [branch]).is_some(),
                expected,
                "{wanted} {branch}"
            );
        }
    }
}
