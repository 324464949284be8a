//! Who has refused a write although the caller may write: an admission policy or a webhook
//! of the cluster's, as the API server names it.

/// An admission policy or a webhook that has refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admitter {
    /// A `ValidatingAdmissionPolicy`, through a binding.
    Validating(Policy),
    /// A `MutatingAdmissionPolicy`, through a binding.
    Mutating(Policy),
    /// A webhook, which answered, and is named as in its configuration.
    Webhook(String),
    /// A webhook that can't be asked, and without whose answer nothing is taken.
    AwayWebhook(String),
}

/// A policy, and what puts it in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Policy {
    /// Its name.
    pub(super) name: String,
    /// The name of its binding, where that is told.
    pub(super) binding: Option<String>,
}

impl Admitter {
    /// Who has refused, if it is one of these. Only what the API server itself puts at
    /// these places counts: the words behind are those of whoever wrote the policy.
    pub(super) fn of(message: &str) -> Option<Self> {
        if let Some(rest) = message.strip_prefix("admission webhook \"") {
            let (name, rest) = rest.split_once('"')?;
            let denied = rest.starts_with(" denied the request");
            return denied.then(|| name_of(name).map(Self::Webhook)).flatten();
        }
        let away = [
            "Internal error occurred: failed calling webhook \"",
            "failed calling webhook \"",
        ];
        if let Some(rest) = away.iter().find_map(|words| message.strip_prefix(words)) {
            let (name, _) = rest.split_once('"')?;
            return name_of(name).map(Self::AwayWebhook);
        }
        let (before, _) = message.split_once(" denied request: ")?;
        let said = before
            .rsplit_once(" is forbidden: ")
            .map_or(before, |(_, said)| said);
        let (kind, rest): (fn(Policy) -> Self, &str) =
            match said.strip_prefix("ValidatingAdmissionPolicy ") {
                Some(rest) => (Self::Validating, rest),
                None => (Self::Mutating, said.strip_prefix("policy ")?),
            };
        let (name, binding) = match rest.split_once(" with binding ") {
            Some((name, binding)) => (name, Some(unquoted(binding)?)),
            None => (rest, None),
        };
        let name = unquoted(name)?;
        Some(kind(Policy { name, binding }))
    }

    /// Whether it has looked at what was written, and said no.
    pub(super) fn denied(&self) -> bool {
        !matches!(self, Self::AwayWebhook(_))
    }
}

fn unquoted(text: &str) -> Option<String> {
    name_of(text.trim_matches(['\'', '"']))
}

/// What can be the name of such an object: it becomes part of a command.
fn name_of(text: &str) -> Option<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    let named = !text.is_empty() && !text.starts_with('-') && text.bytes().all(fits);
    named.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, binding: Option<&str>) -> Policy {
        Policy {
            name: name.to_owned(),
            binding: binding.map(str::to_owned),
        }
    }

    #[test]
    fn who_has_refused_is_read_from_where_the_api_server_says_it() {
        let cases = [
            (
                "leases.coordination.k8s.io \"a\" is forbidden: ValidatingAdmissionPolicy 'no' with binding 'no-all' denied request: never",
                Some(Admitter::Validating(policy("no", Some("no-all")))),
            ),
            (
                "configmaps \"a\" is forbidden: policy 'no' with binding 'no-all' denied request: never",
                Some(Admitter::Mutating(policy("no", Some("no-all")))),
            ),
            (
                "configmaps \"a\" is forbidden: policy \"no\" denied request: never",
                Some(Admitter::Mutating(policy("no", None))),
            ),
            (
                "admission webhook \"no.example\" denied the request: never",
                Some(Admitter::Webhook("no.example".to_owned())),
            ),
            (
                "Internal error occurred: failed calling webhook \"no.example\": failed to call webhook: Post \"https://a\"",
                Some(Admitter::AwayWebhook("no.example".to_owned())),
            ),
            (
                "configmaps \"a\" is forbidden: User \"b\" cannot patch",
                None,
            ),
            (
                "admission webhook \"no; rm -r .\" denied the request: never",
                None,
            ),
            (
                "ConfigMap \"a\" is invalid: data: Invalid value: \"policy 'no' denied request: x\"",
                None,
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(Admitter::of(message), expected, "{message}");
        }
    }
}
