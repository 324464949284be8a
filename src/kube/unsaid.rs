//! What the API server says about a Secret, without what may be one of its values.
//!
//! It quotes what it does not like, whole or in part, and a webhook says what it wants. A
//! value that is blacked out wherever it occurs can be read off the gaps. So only what
//! stands at a place where no value can be is shown: the beginnings of sentences that the
//! API server has made itself.

use super::error::ApiError;

/// Sentences about a Secret that hold nothing of it, after `secrets "<name>" `.
const PLAIN: [&str; 6] = [
    "not found",
    "already exists",
    "is forbidden: User ",
    "is forbidden: exceeded quota",
    "is forbidden: unable to create new content",
    "is forbidden: violates",
];

/// Sentences that are not about the object's content.
const OTHERS: [&str; 5] = [
    "namespaces \"",
    "Operation cannot be fulfilled on",
    "Apply failed with ",
    "the server could not find",
    "Unauthorized",
];

/// What field validation calls its objections (`field.ErrorType`).
const OBJECTIONS: [&str; 9] = [
    "Invalid value",
    "Required value",
    "Unsupported value",
    "Duplicate value",
    "Too long",
    "Too many",
    "Not found",
    "Forbidden",
    "Internal error",
];

impl ApiError {
    /// The same about a Secret with these values.
    pub(super) fn of_secret(mut self, values: &[String]) -> Self {
        let message = match &mut self {
            Self::NoSuchKind(_)
            | Self::NoSuchVersion(_)
            | Self::Misanswered { .. }
            | Self::TooLarge(_)
            | Self::Withdrawn => return self,
            // Mostly the words of the network.
            Self::Unavailable(message) | Self::Away(message) if !quotes(message, values) => {
                return self;
            }
            Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::Denied(message)
            | Self::Invalid { message, .. }
            | Self::Conflict(message)
            | Self::NotFound { message, .. }
            | Self::Away(message)
            | Self::Expired(message)
            | Self::Throttled { message, .. }
            | Self::Faulted(message)
            | Self::Unavailable(message)
            | Self::Rejected(message) => message,
        };
        let kept = trusted(message);
        if kept < message.len() {
            message.truncate(kept);
            let between = if kept > 0 { " " } else { "" };
            message.push_str(between);
            message.push_str("(the rest may quote the Secret, and is left out)");
        }
        self
    }
}

fn quotes(message: &str, values: &[String]) -> bool {
    let mut values = values.iter().filter(|value| !value.is_empty());
    values.any(|value| message.contains(value.as_str()))
}

/// How much of a message can hold no value, in bytes from its beginning.
fn trusted(message: &str) -> usize {
    if OTHERS.iter().any(|words| message.starts_with(words)) {
        return message.len();
    }
    let about = behind_name(message, "secrets \"");
    if about.is_some_and(|rest| PLAIN.iter().any(|words| rest.starts_with(words))) {
        return message.len();
    }
    let kept = denied(message)
        .or_else(|| objection(message))
        .or_else(|| type_error(message));
    kept.unwrap_or(0)
}

/// What follows a name in quotes at the beginning. No name has quotes in it.
fn behind_name<'a>(message: &'a str, before: &str) -> Option<&'a str> {
    let (_, rest) = message.strip_prefix(before)?.split_once("\" ")?;
    Some(rest)
}

/// `admission webhook "<name>" denied the request: …`, `secrets "<name>" is forbidden:
/// ValidatingAdmissionPolicy '<name>' with binding '<name>' denied request: …`
fn denied(message: &str) -> Option<usize> {
    let rest = behind_name(message, "admission webhook \"")
        .filter(|rest| rest.starts_with("denied the request"))
        .or_else(|| {
            behind_name(message, "secrets \"")?
                .strip_prefix("is forbidden: ValidatingAdmissionPolicy ")
        })?;
    let end = ["denied the request", "denied request"]
        .iter()
        .find_map(|words| Some(rest.find(words)? + words.len()))?;
    Some(message.len() - rest.len() + end)
}

/// `Secret "<name>" is invalid: data[key]: Invalid value: …`
fn objection(message: &str) -> Option<usize> {
    let rest = behind_name(message, "Secret \"")?.strip_prefix("is invalid: ")?;
    let (place, what) = rest.split_once(": ")?;
    let words = OBJECTIONS.iter().find(|words| what.starts_with(**words))?;
    let ahead = message.len() - rest.len();
    Some(ahead + place.len() + 2 + words.len())
}

/// `failed to create typed patch object (<object>): .data.key: expected string, got …`
fn type_error(message: &str) -> Option<usize> {
    let rest = message.strip_prefix("failed to create typed patch object (")?;
    let (_, rest) = rest.split_once("): ")?;
    let (place, what) = rest.split_once(": ")?;
    let words = "expected string";
    let expected = place.starts_with('.') && what.starts_with(words);
    expected.then(|| message.len() - what.len() + words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT_OUT: &str = "(the rest may quote the Secret, and is left out)";

    fn said(message: &str) -> String {
        let message = message.to_owned();
        ApiError::Rejected(message).of_secret(&[]).to_string()
    }

    #[test]
    fn only_what_stands_where_no_value_can_be_is_shown() {
        for whole in [
            r#"secrets "tok" is forbidden: User "jane" cannot patch resource "secrets" in API group "" in the namespace "shop""#,
            r#"secrets "tok" is forbidden: exceeded quota: few, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1"#,
            r#"namespaces "shop" not found"#,
            r#"Apply failed with 1 conflict: conflict with "kubectl" using v1: .data.password"#,
        ] {
            assert_eq!(said(whole), whole);
        }
        for (begin, rest) in [
            (
                r#"Secret "tok" is invalid: type: Invalid value"#,
                r#": "Opaque": field is immutable"#,
            ),
            (
                r#"Secret "tok" is invalid: data[.dockerconfigjson]: Invalid value"#,
                r#": "x": invalid character 'p' looking for beginning of value"#,
            ),
            (
                r#"admission webhook "no.example.com" denied the request"#,
                ": hunter2 is too short",
            ),
            (
                r#"secrets "tok" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request"#,
                ": failed expression: hunter2",
            ),
            (
                "failed to create typed patch object (shop/tok; /v1, Kind=Secret): .stringData.pin: expected string",
                ", got &value.valueUnstructured{Value:1234}",
            ),
        ] {
            assert_eq!(
                said(&format!("{begin}{rest}")),
                format!("{begin} {LEFT_OUT}")
            );
        }
        assert_eq!(said("hunter2 is not a good value"), LEFT_OUT);
        assert_eq!(said(r#"admission webhook "a" says hunter2"#), LEFT_OUT);
    }

    #[test]
    fn a_short_value_cannot_be_read_off_the_gaps() {
        let refused = ApiError::Invalid {
            message:
                r#"Secret "tok" is invalid: type: Invalid value: "Opaque": field is immutable"#
                    .to_owned(),
            immutable: true,
        };
        let told = refused
            .of_secret(&["p".to_owned(), "id".to_owned()])
            .to_string();
        assert!(!told.contains("redacted"), "{told}");
        assert!(
            told.starts_with(r#"Secret "tok" is invalid: type: Invalid value ("#),
            "{told}"
        );
    }

    #[test]
    fn what_the_network_says_is_shown_unless_it_quotes() {
        let away = || ApiError::Unavailable("connection refused".to_owned());
        assert_eq!(
            away().of_secret(&["hunter2".to_owned(), String::new()]),
            away()
        );
        let odd = ApiError::Unavailable("failed to convert new object: got hunter2".to_owned());
        let told = odd.of_secret(&["hunter2".to_owned()]).to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}
